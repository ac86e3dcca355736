r"""Where a policy of augmentation pays, before any search: fixed ones, on training images.

    python -m benchmarks.policy_study --dataset fashion-mnist-lt --data-dir DATA --seeds 3 \
        --epochs 60 --jobs 2 --json results/policy_study_fashion_mnist_lt_60_epochs.json

Balanced cross-entropy, with weights that multiply the loss or that draw the examples, behind
policies of all operations. Each has a level, which is every probability and every strength as a
share of the largest: the same for all classes, or along log frequency from the most frequent class
to the rarest. ``gain`` is how much lower the balanced error is than without a policy, with the same
weights and seed. It never sees a test image: the long tail comes from the first training images of
each class, and those that are scored are the last 1,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from autobalance.augmentation.policy import policy_by_frequency
from autobalance.design import LossDesign
from autobalance.reproduce.images.lab import ImageLab
from benchmarks.long_tail.lab import Lab
from benchmarks.search_study.study import study, summarise
from benchmarks.search_study.variants import DRAWN, Drawn, Fixed, Variant, run

Row = dict[str, Any]

MULTIPLIED = "weights that multiply"
NO_POLICY = "no policy"
_SAME, _RISING = (0.3, 0.3), (0.2, 0.6)
_LEVELS = (_SAME, (0.5, 0.5), _RISING, _RISING[::-1])
"""Of the most frequent class and of the rarest."""


def _design(lab: ImageLab, levels: tuple[float, float] | None) -> LossDesign:
    policy = None if levels is None else policy_by_frequency(lab.counts, lab.channels, *levels)
    return replace(lab.preset("weighted"), policy=policy)


def _name(frequent: float, rare: float) -> str:
    return f"level {frequent:g}" if frequent == rare else f"level {frequent:g} to {rare:g}"


def _fixed(question: str, levels: Sequence[tuple[float, float]]) -> tuple[Fixed, ...]:
    return (
        Fixed(question, NO_POLICY, partial(_design, levels=None)),
        *(Fixed(question, _name(*each), partial(_design, levels=each)) for each in levels),
    )


VARIANTS: tuple[Variant, ...] = (
    *_fixed(MULTIPLIED, [_SAME]),
    *map(Drawn, _fixed(DRAWN, _LEVELS)),
)
REFERENCES = (NO_POLICY, f"{NO_POLICY}, drawn")


def main() -> None:
    """Run the study."""
    about = (__doc__ or "").splitlines()[0]
    study("policy_study", about, VARIANTS, run_variant, summarised, NO_POLICY)


def summarised(rows: list[Row]) -> list[Row]:
    """Gains on no policy, with the same weights."""
    return [
        entry
        for question, reference in zip((MULTIPLIED, DRAWN), REFERENCES, strict=True)
        for entry in summarise([row for row in rows if row["question"] == question], reference)
    ]


def run_variant(lab: Lab, position: int) -> list[Row]:
    """The rows of one variant."""
    return run(VARIANTS[position], lab)


if __name__ == "__main__":
    main()
