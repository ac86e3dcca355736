"""Figure 4: errors on training, held-out and test images at every epoch of the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from autobalance.data.heldout import held_out_positions, held_out_split
from autobalance.evaluation import cell_errors
from autobalance.reproduce.images.drawing import Errors, figure4
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.methods import Designed, values
from autobalance.reproduce.images.rows import HEADLINE
from autobalance.reproduce.images.tables import DATASETS
from autobalance.reproduce.images.work import BY_KEY, Job
from autobalance.reproduce.outcome import (
    Line,
    Outcome,
    Picture,
    Table,
    mean_and_error,
    with_error,
)
from autobalance.reproduce.request import SEEDS, TRAINING_OPTIONS, Reproduction, Request
from autobalance.reproduce.runs import Row, Unit, finish, units_of
from autobalance.runs.watch import Watch
from autobalance.training.loop import Epoch, predict_logits

LEFT_OUT = 0.4
"""Share of the images that no network trains on: the held-out parts are of these."""
SHARES = (0.05, 0.1, 0.2, 0.4)
"""Held-out images for each of all training images."""
PARTS: Mapping[str, str] = MappingProxyType(
    {"train": "Training", "held_out": "Held out", "test": "Test"}
)


_KEYS = tuple(f"held-out-{share:g}" for share in SHARES)


@dataclass(frozen=True)
class Searches:
    """Does one search, and looks at all three parts after each epoch.

    What is seen of the test images goes into the row and nowhere else.
    """

    job: Job

    def __call__(self, unit: Unit) -> dict[str, Row]:
        """The row of a held-out share."""
        (key,) = unit.methods
        lab, test = self.job.lab(unit.seed), self.job.data.test
        method = BY_KEY[HEADLINE]
        assert isinstance(method, Designed)
        train, held_out = parts_of(lab, SHARES[_KEYS.index(key)])
        y = lab.examples.targets[train].numpy()
        errors: dict[str, list[float]] = {part: [] for part in PARTS}

        def observe(epoch: Epoch, model: nn.Module) -> None:
            fitted = predict_logits(model, lab.examples, train).argmax(1).numpy()
            of_train = cell_errors(y, fitted, None, lab.counts.n_classes, 1)
            of_test = test.errors(test.predictions(lab.network(model)))
            of_held_out = np.array(epoch.cell_errors)
            seen = {"train": of_train, "held_out": of_held_out, "test": of_test}
            for part, of_classes in seen.items():
                # a class of two images has none to hold out in the smaller parts
                errors[part].append(round(100 * float(np.nanmean(of_classes)), 3))

        search = method.search(lab, parts=(train, held_out), observe=observe)
        last = ", ".join(f"{PARTS[part].lower()} {each[-1]:.1f}%" for part, each in errors.items())
        return {key: {**errors, "design": values(search.design()), "told": last}}


def parts_of(lab: ImageLab, share: float) -> tuple[Int[Tensor, "M"], Int[Tensor, "H"]]:
    """The images that all searches of a seed train on, and a held-out share of all of them."""
    y, labels = lab.examples.targets.numpy(), lab.examples.classes
    split = held_out_split(y, labels, LEFT_OUT, lab.seed)
    if share == LEFT_OUT:
        return torch.from_numpy(split.train), torch.from_numpy(split.held_out)
    chosen = held_out_positions(y[split.held_out], share / LEFT_OUT, lab.seed)
    return torch.from_numpy(split.train), torch.from_numpy(split.held_out[chosen])


def run(request: Request, watch: Watch) -> Outcome:
    """Search with every held-out share."""
    dataset = request.dataset or DATASETS[0]
    job, seeds = Job.of(request, dataset, watch), request.seeds or 3
    units = units_of([(key,) for key in _KEYS], seeds)
    kept = job.kept(request.out, "figure4")
    rows = finish(units, kept, Searches(job), request.jobs, watch)
    by_key = {key: [row for row in rows if row["method"] == key] for key in _KEYS}
    pictured = [
        Errors(
            f"{100 * share:g}% held out",
            *(np.mean([row[part] for row in by_key[key]], 0).tolist() for part in PARTS),
        )
        for key, share in zip(_KEYS, SHARES, strict=True)
    ]
    return Outcome(
        f"figure4_{dataset.replace('-', '_')}",
        f"Figure 4: errors while a loss is searched on {job.data.title}",
        {
            **job.conditions,
            "Trained on": f"{100 * (1 - LEFT_OUT):g}% of the training images, whatever is held out",
            "Search": "Δ & l from logit adjustment",
            "Seeds": str(seeds),
        },
        job.deviations,
        (_table(by_key),),
        (
            Picture(
                "errors",
                "Balanced errors at the end of every epoch, the mean over the seeds. The images "
                "that are trained on are the same in all panels.",
                "A panel for each held-out share, with lines for training, held-out and test "
                "error over the epochs.",
                partial(figure4, pictured),
            ),
        ),
        rows=rows,
    )


REPRODUCTION = Reproduction(
    "figure4",
    "errors over the epochs of a search",
    run,
    DATASETS,
    (SEEDS, *TRAINING_OPTIONS),
)


def _table(by_key: Mapping[str, Sequence[Row]]) -> Table:
    lines = []
    for key, share in zip(_KEYS, SHARES, strict=True):
        last = [
            with_error(*mean_and_error([row[part][-1] for row in by_key[key]])) for part in PARTS
        ]
        gap = mean_and_error([row["test"][-1] - row["held_out"][-1] for row in by_key[key]])
        lines.append(Line((f"{100 * share:g}%", *last, with_error(*gap, sign="+"))))
    return Table(
        "Balanced errors after the last epoch of the search, %",
        ("Held out", *PARTS.values(), "Test minus held out"),
        tuple(lines),
        ("± is the standard error over the seeds. Nothing is retrained here.",),
    )
