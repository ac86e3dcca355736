r"""Long-tailed images: the designed loss beside closed-form, tuned and post-hoc ones.

    python -m benchmarks.long_tail --dataset cifar10-lt --model strided-cnn --data-dir DATA \
        --seeds 5 --jobs 2 --json results/cifar10_lt_small.json

``balanced`` is the balanced error in percent on the test images after the last epoch; nothing is
chosen on them. The training images are thinned to a tail of ratio 100. Tuned losses, the tuned bias
and the searches split off a fifth of what is left, the same for all methods of a seed, and then
train on everything. The headline was named, and everything set, on the data of
``--development``, which leaves the test images alone.

Every finished (method, seed) is kept in a file beside the JSON, so that an interrupted run goes on;
rows of an existing JSON with the same settings are kept as well, so that seeds and methods can be
added to it.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from benchmarks.long_tail.cases import CASES
from benchmarks.long_tail.lab import Lab
from benchmarks.long_tail.methods import METHODS
from benchmarks.long_tail.show import show
from benchmarks.long_tail.summary import goals, summarise
from benchmarks.long_tail.sweep import Sweep, parser, settings_of
from benchmarks.record import write_record


def main() -> None:
    """Run what is not done yet, print the table and write the JSON."""
    options = parser((__doc__ or "").splitlines()[0])
    options.add_argument("--development", action="store_true", help="leave the test images alone")
    arguments = options.parse_args()
    settings = settings_of(arguments, arguments.development)
    sweep = Sweep(arguments, settings, "method", [method.names for method in METHODS], run_method)
    rows = sweep.rows()
    summary = summarise(rows)
    reached = goals(arguments.dataset, summary)
    title = CASES[arguments.dataset].title + (", development" if arguments.development else "")
    show(Console(width=120), f"{title}, {arguments.model}", summary, reached)
    write_record(
        arguments.json,
        "long_tail",
        rows,
        title=title,
        settings=settings,
        summary=summary,
        goals=reached,
    )
    sweep.remove_parts()


def run_method(lab: Lab, position: int) -> list[dict[str, Any]]:
    """The rows of one method."""
    return METHODS[position].run(lab)


if __name__ == "__main__":
    main()
