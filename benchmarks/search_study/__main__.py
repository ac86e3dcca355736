r"""What makes the search beside a training win: one thing changed at a time.

    python -m benchmarks.search_study --dataset fashion-mnist-lt --data-dir DATA --seeds 3 \
        --jobs 2 --json results/search_study.json

It never sees a test image: the long tail comes from the first training images of each class, and
``balanced``, the error in percent after retraining on everything, is that of the last 1,000.
``gain`` is how much lower it is than logit adjustment's with the same seed: same first weights and
same order of the batches.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.long_tail.lab import Lab
from benchmarks.search_study.study import study, summarise
from benchmarks.search_study.variants import LOGIT_ADJUSTMENT, VARIANTS, run


def run_variant(lab: Lab, position: int) -> list[dict[str, Any]]:
    """The rows of one variant."""
    return run(VARIANTS[position], lab)


def main() -> None:
    """Run the study."""
    about = (__doc__ or "").splitlines()[0]
    summarised = partial(summarise, reference=LOGIT_ADJUSTMENT)
    study("search_study", about, VARIANTS, run_variant, summarised, LOGIT_ADJUSTMENT)


if __name__ == "__main__":
    main()
