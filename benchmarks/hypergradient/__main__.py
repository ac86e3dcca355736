"""What a hypergradient of a network costs, and how right it is.

    python -m benchmarks.hypergradient --data-dir DATA --json results/hypergradient.json

Every solver with either tangent, the Hessian by double backward, and Algorithm 2 as published, on

* ResNet-32, 464,154 parameters, trained for 50 steps on CIFAR-10-LT (JPEG);
* a small CNN, 29,738 parameters, trained for 150 steps on Fashion-MNIST-LT, small enough for an
  exact reference.

Both sets are long-tailed with ρ = 100, cut to 900 (CIFAR) and 2,000 images of the largest class.
Batches are of 128. Ours get the last 4 training batches and one stratified held-out batch of about
512, as a search does by default; the published configuration gets 10 training batches, whose graphs
it keeps, and 10 held-out batches drawn uniformly, as in the authors' experiments.

* ``cost``: time in training steps (:mod:`benchmarks.hypergradient.cost`).
* ``peak_memory``: in that of a training step (:mod:`benchmarks.hypergradient.memory`).
* ``cosine``, ``cosine_gauss_newton``: with the exact direction (the small CNN only;
  :mod:`benchmarks.hypergradient.cosine`), mean and standard deviation over draws of the batches,
  the same for all; ``cosine_of_mean`` is that of the draws' mean, without their noise.

The default, ``default: true``, is what ``hypergradient()`` does unless told otherwise. Betty's rows
appear where it is installed (:mod:`benchmarks.hypergradient.betty_library`). Finished parts are
kept beside the JSON: an interrupted run goes on where it stopped. The published configuration
takes 11 GiB on ResNet-32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.hypergradient import betty_library
from benchmarks.hypergradient.cases import CNN, NETWORKS, Case, trained
from benchmarks.hypergradient.cosine import DRAWS, cosines, published_step, reference
from benchmarks.hypergradient.cost import cost
from benchmarks.hypergradient.memory import TRAINING_STEP, peak
from benchmarks.hypergradient.methods import DEFAULT, PUBLISHED, methods
from benchmarks.hypergradient.show import goals, show
from benchmarks.record import Parts, write_record

SEED = 0
ANY_STEP = 0.01
"""Of the published series where only its cost is measured, which does not depend on it."""


def main() -> None:
    """Run what is not done yet, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=1, help="of the timings on the CPU")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    parts = Parts(arguments.json)

    @cache
    def case(name: str) -> Case:
        print(f"{name}: training", flush=True)
        return trained(name, arguments.data_dir, device)

    def part(key: str, measure: Callable[[], Any]) -> Any:
        if key not in parts:
            print(key, flush=True)
            parts.write(key, measure())
        return parts.read(key)

    def measured(name: str, method: str) -> dict[str, Any]:
        run = methods(ANY_STEP)[method]
        # Peaks first: this process keeps some of the memory that a cost has taken.
        return {
            "peak": part(f"{name}, peak of {method}", lambda: peak(name, method, device)),
            **part(f"{name}, cost of {method}", lambda: cost(case(name), run)),
        }

    directions = part(f"{CNN}, directions", lambda: _directions(case(CNN)))
    rows = []
    for name in NETWORKS:
        base = part(f"{name}, peak of training", partial(peak, name, TRAINING_STEP, device))
        found = {method: measured(name, method) for method in methods(ANY_STEP)}
        rows += rows_of(name, found, base, directions["methods"] if name == CNN else {})
    reached = goals(rows)
    show(Console(width=120), rows, reached)
    write_record(
        arguments.json,
        "hypergradient",
        rows,
        goals=reached,
        reference=directions["reference"],
        published_step=directions["published_step"],
        betty=betty_library.version() or "not installed",
        device=_name(device),
    )
    parts.remove()


def rows_of(
    name: str, found: dict[str, dict[str, Any]], base: int | None, directions: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row for each method; memory in units of ``base``, where it was measured."""
    return [
        {
            "method": method,
            "network": name,
            "seed": SEED,
            "default": method == DEFAULT,
            "published": method == PUBLISHED,
            "cost": own["cost"],
            "cost_quartiles": own["cost_quartiles"],
            "runs": own["runs"],
            "peak_memory": own["peak"] / base if own["peak"] and base else None,
            **directions.get(method, {}),
        }
        for method, own in found.items()
    ]


def _directions(case: Case) -> dict[str, Any]:
    exact = reference(case)
    step = published_step(case)
    return {
        "reference": {
            "damping": exact.damping,
            "products": exact.products,
            "training_examples": len(case.train.targets),
            "held_out_examples": len(case.held_out.targets),
        },
        "published_step": step,
        "methods": cosines(case, methods(step), exact, range(DRAWS)),
    }


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


if __name__ == "__main__":
    main()
