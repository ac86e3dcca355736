"""What a policy of augmentation costs: in a training step, and in a search.

    python -m benchmarks.augmentation --json results/augmentation.json

**Step.** Synthetic images in bytes, in batches of 128 on the device, and a training step of a small
network behind a policy that is the same for all classes, or another for each of 10 or 40 clusters
of the 40 classes. ``ratio`` is a step's time relative to one without augmentation in the same
repeat, ``to_single`` to that with the single policy. Where torchvision can be imported, its
AutoAugment in a DataLoader without worker processes stands beside them, image by image.

**Search.** Seconds of one hypergradient of l and δ alone, with a policy searched beside them by
exact differences of probabilities (the default), and by relaxed Bernoulli variables instead.

**Noise.** On the network of ``benchmarks.planted_rotation`` halfway through its training, many
hypergradients by other draws and other batches. ``noise`` is the variance of one over its squared
mean, both summed over the log odds of all probabilities, or over those of all magnitudes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy, policy_for_images
from autobalance.counts import Counts
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.models.factory import model_factory
from autobalance.models.pixels import Pixels
from autobalance.policy_space import POLICY_PARAMETERS
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.pipeline import default_device
from benchmarks import planted_rotation as planted
from benchmarks.record import write_record

CLASSES, BATCH = 40, 128
SHAPES = {"grey 28 × 28": (1, 28, 28), "colour 32 × 32": (3, 32, 32)}
CLUSTERS = (1, 10, 40)
GOAL_CLUSTERS, AT_MOST = "10 clusters", 1.3
PLAIN, TORCHVISION = "no augmentation", "torchvision's AutoAugment in a DataLoader"
ESTIMATORS: dict[str, float | None] = {"exact differences": None, "relaxed, T = 0.1": 0.1}
BOTH = ("additive", "multiplicative")
Row = dict[str, Any]
_TINY = 1e-6
"""Rate of α at which a move tells the hypergradient and changes nothing."""


def clustered(clusters: int, channels: int) -> Policy:
    """A policy with other values for each cluster of the classes."""
    policy = policy_for_images(CLASSES, 1, channels)
    share = np.linspace(0.5, 1, clusters)[np.arange(CLASSES) % clusters][:, None, None, None]
    return replace(
        policy, probability=share * policy.probability, magnitude=share * policy.magnitude
    )


def step_costs(repeats: int, steps: int, model: str, device: torch.device) -> Iterator[Row]:
    """Seconds of training steps, every kind once in each repeat."""
    for name, shape in SHAPES.items():
        images = torch.randint(256, (steps * BATCH, *shape), dtype=torch.uint8, device=device)
        targets = torch.randint(CLASSES, (len(images),), device=device)
        kinds: dict[str, Callable[[Tensor, Tensor], Tensor]] = {PLAIN: lambda x, _: x}
        for clusters in CLUSTERS:
            policy = clustered(clusters, shape[0])
            kinds[f"{clusters} clusters"] = PolicyAugmentation(policy).to(device)
        torchvision = _torchvision()
        if torchvision is not None:
            kinds[TORCHVISION] = torchvision
        for repeat in range(repeats):
            times = {
                kind: _seconds(change, images, targets, model, device)
                for kind, change in kinds.items()
            }
            for kind, seconds in times.items():
                yield {
                    "part": "step",
                    "images": name,
                    "augmentation": kind,
                    "repeat": repeat,
                    "milliseconds": round(1000 * seconds / steps, 3),
                    "ratio": round(seconds / times[PLAIN], 3),
                    "to_single": round(seconds / times["1 clusters"], 3),
                }


def _seconds(
    change: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    targets: Tensor,
    model: str,
    device: torch.device,
) -> float:
    """Of an epoch, after a first step that does not count."""
    network = _network(images, model)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def epoch(rows: Tensor) -> None:
        for part in rows.split(BATCH):
            optimizer.zero_grad()
            x, y = images[part], targets[part]
            nn.functional.cross_entropy(network(change(x, y)), y).backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    rows = torch.arange(len(images), device=device)
    epoch(rows[:BATCH])
    started = time.perf_counter()
    epoch(rows)
    return time.perf_counter() - started


def _network(images: Tensor, model: str) -> nn.Module:
    """With fresh weights, for such images, where they are."""
    shape = tuple(images.shape[1:])
    torch.manual_seed(0)
    front = Pixels(shape[0]).fit(images)
    return nn.Sequential(front, model_factory(model)(shape, CLASSES)).to(images.device)


def _torchvision() -> Callable[[Tensor, Tensor], Tensor] | None:
    """AutoAugment image by image, as a Dataset in a DataLoader has it; None if it is not there."""
    try:
        from torchvision.transforms import AutoAugment, AutoAugmentPolicy
    except (ImportError, RuntimeError):
        return None
    transform = AutoAugment(AutoAugmentPolicy.CIFAR10)
    return lambda x, _: torch.stack([transform(image) for image in x.cpu()]).to(x.device)


def search_costs(repeats: int, model: str, device: torch.device) -> Iterator[Row]:
    """Seconds of a hypergradient."""
    for name, shape in SHAPES.items():
        images = torch.randint(256, (8 * BATCH, *shape), dtype=torch.uint8, device=device)
        targets = torch.arange(len(images), device=device) % CLASSES
        network = _network(images, model)
        kinds = {
            "l and δ": _search(network, images, targets, BOTH, None),
            **{
                f"l, δ and a policy by {estimator}": _search(
                    network, images, targets, BOTH + POLICY_PARAMETERS, temperature, shape[0]
                )
                for estimator, temperature in ESTIMATORS.items()
            },
        }
        for search in kinds.values():  # which tries the network before its first move
            _seconds_of_a_move(search, images, targets)
        for repeat in range(repeats):
            times = {
                kind: _seconds_of_a_move(search, images, targets) for kind, search in kinds.items()
            }
            for kind, seconds in times.items():
                yield {
                    "part": "search",
                    "images": name,
                    "searched": kind,
                    "repeat": repeat,
                    "milliseconds": round(1000 * seconds, 1),
                    "ratio": round(seconds / times["l and δ"], 3),
                }


def _search(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    parameters: tuple[str, ...],
    temperature: float | None,
    channels: int = 0,
) -> OnlineSearch:
    counts = Counts.from_codes(targets.cpu().numpy(), None, tuple(range(CLASSES)))
    policy = policy_for_images(CLASSES, 1, channels) if channels else None
    design = replace(preset("logit-adjustment", counts), policy=policy)
    half = len(images) // 2
    return OnlineSearch(
        network,
        ParametricCrossEntropy.from_design(design).to(images.device),
        "balanced",
        [(images[half:], targets[half:])],
        parameters=parameters,
        dictionary="cluster:4",
        augmentation=None if policy is None else PolicyAugmentation(policy).to(images.device),
        settings=OnlineSettings(every=1, temperature=temperature, learning_rate=1e-6),
    )


def _seconds_of_a_move(search: OnlineSearch, images: Tensor, targets: Tensor) -> float:
    search.settings = replace(search.settings, every=10**9)
    for start in range(0, 4 * BATCH, BATCH):
        search.step(images[start : start + BATCH], targets[start : start + BATCH])
    search.settings = replace(search.settings, every=1)
    started = time.perf_counter()
    search.step(images[:BATCH], targets[:BATCH])
    return time.perf_counter() - started


def noise(draws: int, seeds: int) -> Iterator[Row]:
    """Relative variance of hypergradients by either estimator, on the same networks."""
    for seed in range(seeds):
        data = planted.world(seed, seed % planted.CLASSES, 0.8)
        start = Policy.uniform(planted.CLASSES, 1, planted.OPERATIONS)
        trainee = planted.Trainee(data, start, seed)
        trainee.train(planted.EPOCHS // 2)
        for estimator, temperature in ESTIMATORS.items():
            every = len(list(planted.batches(data, 1)))
            search = trainee.search(
                OnlineSettings(every=every, temperature=temperature),
                optimizer=lambda alpha: torch.optim.SGD(alpha, lr=_TINY),
            )
            torch.manual_seed(seed)
            for rows in planted.batches(data, draws):
                search.step(data.inputs[rows], data.targets[rows])
            alphas = [move.alpha for move in search.history]
            course = np.array([np.zeros(search.space.dimension), *alphas])
            slopes = -np.diff(course, axis=0) / _TINY
            sizes = np.cumsum(list(search.space.sizes.values()))[:-1]
            for name, part in zip(search.space.sizes, np.split(slopes, sizes, 1), strict=True):
                yield {
                    "part": "noise",
                    "values": name,
                    "estimator": estimator,
                    "seed": seed,
                    "draws": draws,
                    "noise": round(float(part.var(0, ddof=1).sum() / (part.mean(0) ** 2).sum()), 3),
                    "size": float(np.linalg.norm(part.mean(0))),
                }


def summarise(rows: list[Row]) -> list[Row]:
    """Medians and ranges over the repeats or seeds, with all that a row is of."""
    known = {"part", "images", "augmentation", "searched", "values", "estimator"}
    groups: dict[tuple[tuple[str, Any], ...], list[Row]] = {}
    for row in rows:
        key = tuple((name, value) for name, value in row.items() if name in known)
        groups.setdefault(key, []).append(row)
    summary = []
    for key, group in groups.items():
        entry: Row = dict(key)
        for name in ("milliseconds", "ratio", "to_single", "noise"):
            if name in group[0]:
                values = [row[name] for row in group]
                entry[name] = round(float(np.median(values)), 3)
                entry[f"{name}_range"] = [min(values), max(values)]
        summary.append(entry)
    return summary


def goal(summary: list[Row]) -> dict[str, Any]:
    """Whether clusters cost little beside a single policy."""
    found = [
        entry["to_single"]
        for entry in summary
        if entry["part"] == "step" and entry["augmentation"] == GOAL_CLUSTERS
    ]
    return {"at_most": AT_MOST, "met": max(found) <= AT_MOST}


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--model", default="strided-cnn")
    parser.add_argument("--device")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device = default_device(arguments.device)
    rows = [
        *step_costs(arguments.repeats, arguments.steps, arguments.model, device),
        *search_costs(arguments.repeats, arguments.model, device),
        *noise(arguments.draws, arguments.seeds),
    ]
    summary = summarise(rows)
    table = Table("part", "of", "what", "median", "ratio", "to single policy", "noise")
    for entry in summary:
        of = entry.get("images") or entry["values"]
        what = entry.get("augmentation") or entry.get("searched") or entry["estimator"]
        cells = [str(entry.get(k, "")) for k in ("milliseconds", "ratio", "to_single", "noise")]
        table.add_row(entry["part"], of, what, *cells)
    Console(width=140).print(table)
    if arguments.json:
        facts = {
            "model": arguments.model,
            "torchvision": _torchvision() is not None,
            "goal": goal(summary),
        }
        write_record(arguments.json, "augmentation", rows, **facts, summary=summary)


if __name__ == "__main__":
    main()
