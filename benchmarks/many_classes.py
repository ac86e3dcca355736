"""What a step of the search costs as classes are added, in training steps of the same network.

    python -m benchmarks.many_classes --json results/many_classes.json

A ResNet-32 is trained on random 32×32 images in batches of 128 beside a search for l and δ, with
one value a class and, from 100 classes on, with one for each cluster of 40 as in section 2.2 of the
paper. Held-out batches are of 512 images, the same number of every class or, with more classes than
that, one each of a fresh random subset. Training steps, and every fifth time a step of the search,
take turns, and so do the numbers of classes. ``ratio`` is the median over the rounds of a step of
the search relative to the round's median training step, between its ``quartiles``.

Times are of one thread's processor, which other work on the machine disturbs least. The solver does
its five products every time: where it may stop sooner, it does so by chance.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from autobalance.counts import Counts
from autobalance.hypergradient.damped_cg import CG
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models.resnet import resnet32
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings
from benchmarks.record import write_record

CLASSES = (10, 100, 1000, 8142)
CLUSTERS = "cluster:40"
ROUNDS = 7
EVERY = 5
BATCH, HELD_OUT = 128, 512
MOST_GROWTH = 1.1
_RAREST, _MOST_FREQUENT = 2, 1000


def main() -> None:
    """Run the benchmark, print its table and write its JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    cases = [(classes, "class") for classes in CLASSES]
    cases += [(classes, CLUSTERS) for classes in CLASSES if classes >= 100]
    rows = measure(
        [Case(resnet32(classes), classes, dictionary) for classes, dictionary in cases],
        arguments.rounds,
    )
    reached = goal(rows)
    _show(rows, reached)
    if arguments.json:
        write_record(arguments.json, "many_classes", rows, goal=reached)


class Case:
    """A network in training with a search beside it, on random images."""

    def __init__(
        self,
        model: nn.Module,
        classes: int,
        dictionary: str,
        *,
        side: int = 32,
        batch: int = BATCH,
        held_out: int = HELD_OUT,
    ) -> None:
        self.classes, self.dictionary = classes, dictionary
        self._random = torch.Generator().manual_seed(0)
        self._shape, self._batch, self._held_out = (3, side, side), batch, held_out
        values = np.geomspace(_MOST_FREQUENT, _RAREST, classes).round()[:, None]
        counts = Counts(values, tuple(range(classes)))
        self._model = model
        self._loss = ParametricCrossEntropy.from_design(preset("logit-adjustment", counts))
        self._optimizer = torch.optim.SGD(
            model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4
        )
        self._search = OnlineSearch(
            model,
            self._loss,
            "balanced",
            _Stream(self),
            parameters=("additive", "multiplicative"),
            dictionary=dictionary,
            settings=OnlineSettings(every=EVERY, solver=CG(tolerance=0.0)),
            trained_by=self._optimizer,
        )
        self.dimension = self._search.space.dimension

    def round(self) -> tuple[float, float]:
        """Seconds of a training step, the median, and of the step of the search that follows."""
        seconds = []
        for _ in range(EVERY):
            images, targets = self.draw(self._batch)
            started = time.process_time()
            self._optimizer.zero_grad()
            self._loss(self._model(images), targets).backward()
            self._optimizer.step()
            trained = time.process_time()
            move = self._search.step(images, targets)
            searched = time.process_time()
            seconds.append(trained - started)
        if move is None or move.refused:
            raise RuntimeError(f"the loss was not moved: {move}")
        return float(np.median(seconds)), searched - trained

    def held_out_batch(self) -> tuple[Tensor, Tensor]:
        """All classes alike, or a random subset of them."""
        images, _ = self.draw(self._held_out)
        classes = torch.randperm(self.classes, generator=self._random)[: self._held_out]
        return images, classes[torch.arange(self._held_out) % len(classes)]

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Random images and classes."""
        images = torch.randn(size, *self._shape, generator=self._random)
        return images, torch.randint(self.classes, (size,), generator=self._random)


class _Stream:
    """Held-out batches without end."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield self._case.held_out_batch()


def measure(cases: list[Case], rounds: int) -> list[dict[str, Any]]:
    """One row for each case; what happens on first use is on nobody's bill."""
    for case in cases:
        case.round()
    times = np.array([[case.round() for case in cases] for _ in range(rounds)])
    rows = []
    for case, (training, search) in zip(cases, times.transpose(1, 2, 0), strict=True):
        ratios = search / training
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        rows.append(
            {
                "method": f"AutoBalance, {case.dictionary}",
                "seed": 0,
                "classes": case.classes,
                "dictionary": case.dictionary,
                "dimension": case.dimension,
                "ratio": float(middle),
                "quartiles": [float(low), float(high)],
                "training_seconds": float(np.median(training)),
                "search_seconds": float(np.median(search)),
                "ratios": ratios.tolist(),
            }
        )
    return rows


def goal(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the ratio at the most classes is less than a tenth above that at the fewest."""
    fewest = min(rows, key=lambda row: row["classes"])
    most = max(row["classes"] for row in rows)
    growth = {
        row["dictionary"]: row["ratio"] / fewest["ratio"] for row in rows if row["classes"] == most
    }
    return {
        "fewest": fewest["classes"],
        "most": most,
        "growth": growth,
        "met": bool(max(growth.values()) < MOST_GROWTH),
    }


def _show(rows: list[dict[str, Any]], reached: dict[str, Any]) -> None:
    table = Table(title="A step of the search, in training steps of the same network")
    for name in ("classes", "dictionary", "values", "training step", "search step", "ratio"):
        table.add_column(name, justify="left" if name == "dictionary" else "right")
    table.add_column("quartiles")
    for row in sorted(rows, key=lambda row: (row["dictionary"], row["classes"])):
        table.add_row(
            str(row["classes"]),
            row["dictionary"],
            str(row["dimension"]),
            f"{row['training_seconds']:.3f} s",
            f"{row['search_seconds']:.2f} s",
            f"{row['ratio']:.2f}",
            "{:.2f} to {:.2f}".format(*row["quartiles"]),
        )
    Console(width=110).print(table)
    growth = ", ".join(f"{name}: × {value:.3f}" for name, value in reached["growth"].items())
    print(
        f"goal: from {reached['fewest']} to {reached['most']} classes the ratio grows by less than "
        f"a tenth: {'met' if reached['met'] else 'missed'} ({growth})"
    )


if __name__ == "__main__":
    main()
