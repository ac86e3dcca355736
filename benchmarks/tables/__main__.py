"""Nine tables of real data: the designed loss beside its rivals, each on the same terms.

    python -m benchmarks.tables --data-dir DATA --seeds 5 --json results/tables.json --jobs 2

The objective is the balanced error, and with groups (adult by sex, law_school by race, the column
then being no feature) the worst-group and the group-balanced error. Race is the grouping of
law_school because it is the imbalanced one and its rarest cell still holds 916 of the 20,798 rows;
adult by race would leave 25 rows of a cell to train on.

* Held out: the table's own test split (adult), and the seed draws the inner folds; otherwise seed s
  holds out fold s of five that are stratified by class and group, so that five seeds hold out every
  example once. Every class here has at least ten examples, enough for five folds twice over.
* Methods: AutoBalance as ``AutoBalanceClassifier`` searches by default (the headline, named here
  before any run), every closed-form loss with its strengths tuned, a tuned post-hoc bias, and what
  other libraries offer (:mod:`benchmarks.tables.rivals`). All see the same encoded features, and
  all that is tuned is tuned on the same inner folds for the same objective.
* ``value`` is the objective's error and ``balanced`` the balanced error, both in percent.
  Differences to the headline are paired, with a standard error from resampling the held-out
  examples within their cells; the headline ties with the best if their difference is within one.
  Ranks share ties.

Every finished (table, objective, seed) is kept beside the JSON until all are done: an interrupted
run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console

from autobalance.jobs import each_finished
from benchmarks.record import Parts, write_record
from benchmarks.tables.cases import CASES, PARTS, TABLES, Case
from benchmarks.tables.run import run_case
from benchmarks.tables.show import show
from benchmarks.tables.summary import goals, mean_ranks, summarise_case


def main() -> None:
    """Run what is not done yet, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=PARTS, choices=range(1, PARTS + 1))
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--tables", default=",".join(TABLES), help="a comma between names")
    parser.add_argument("--jobs", type=int, default=1, help="cases at once, one thread each")
    arguments = parser.parse_args()
    chosen = arguments.tables.split(",")
    unknown = [name for name in chosen if name not in TABLES]
    if unknown:
        parser.error(f"no table {unknown[0]!r}; choose from {', '.join(TABLES)}")

    cases = [case for case in CASES if case.table in chosen]
    seeds = range(arguments.seeds)
    parts = Parts(arguments.json)
    _run(
        arguments.data_dir,
        [(case, seed) for case in cases for seed in seeds],
        parts,
        arguments.jobs,
    )
    done = {case: [parts.read(_key(case, seed)) for seed in seeds] for case in cases}
    summary = [summarise_case(case, own) for case, own in done.items()]
    ranks = mean_ranks(summary)
    reached = goals(summary, ranks)
    show(Console(width=120), summary, ranks, reached)
    write_record(
        arguments.json,
        "tables",
        [row for own in done.values() for part in own for row in part["rows"]],
        summary=summary,
        ranks=ranks,
        goals=reached,
    )
    parts.remove()


def _run(data_dir: Path, work: list[tuple[Case, int]], parts: Parts, jobs: int) -> None:
    left = [(case, seed) for case, seed in work if _key(case, seed) not in parts]
    if len(left) < len(work):
        print(f"{len(work) - len(left)} of {len(work)} are done already: {parts.folder}")

    def run(case: Case, seed: int) -> str:
        started = time.perf_counter()
        parts.write(_key(case, seed), run_case(data_dir, case, seed))
        return f"{_key(case, seed)}: {time.perf_counter() - started:.0f} s"

    for _, done in each_finished(run, left, jobs):
        print(done, flush=True)


def _key(case: Case, seed: int) -> str:
    return f"{case.table}-{case.group or 'class'}-{case.objective}-{seed}"


if __name__ == "__main__":
    main()
