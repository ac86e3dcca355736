"""What is asked of which table, and which of its rows are held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import ndarray

from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.data.tables import Table
from autobalance.data.targets import encode_groups, encode_target
from autobalance.objectives import Objective
from autobalance.runs.columns import Columns
from autobalance.runs.examples import Examples, prepare

PARTS = 5
"""Outer folds of a table without a test split of its own: one seed holds out one of them."""
TEST_SPLIT, OUTER_FOLDS = "test split", "outer folds"
_SPLIT = "held out"
_PARTITION_SEED = 0


@dataclass(frozen=True)
class Case:
    """A table, its classes and groups, and the objective asked of it.

    Parameters
    ----------
    table
        Name of its file.
    target
        Column of the classes.
    objective
        What should be small.
    group
        Column of the groups, which then is no feature; ``None`` without groups.
    split
        The table's own split column, if it has one.
    """

    table: str
    target: str
    objective: str = "balanced"
    group: str | None = None
    split: str | None = None

    @property
    def grouping(self) -> str:
        """What the errors are taken by."""
        return "class" if self.group is None else f"class and {self.group}"

    @property
    def basis(self) -> str:
        """Where the errors are measured."""
        return OUTER_FOLDS if self.split is None else TEST_SPLIT


def _by_group(table: str, target: str, group: str, split: str | None = None) -> list[Case]:
    return [
        Case(table, target, objective, group, split)
        for objective in ("worst-group", "group-balanced")
    ]


CASES = (
    Case("adult", "income", split="split"),
    *_by_group("adult", "income", "sex", split="split"),
    Case("law_school", "pass_bar"),
    *_by_group("law_school", "pass_bar", "race"),
    Case("bank_marketing", "y"),
    Case("mammography", "malignant"),
    Case("ann_thyroid", "target"),
    Case("shuttle", "target"),
    Case("satimage", "target"),
    Case("krkopt", "target"),
    Case("letter", "target"),
)
TABLES = tuple(dict.fromkeys(case.table for case in CASES))


@dataclass(frozen=True, eq=False)
class Task:
    """One case with one seed: what is trained on, how a loss is designed, what is held out."""

    case: Case
    seed: int
    train: TrainingData
    test: Examples
    procedure: Procedure


def read_case(data_dir: Path, case: Case) -> Table:
    """The table of a case, with the columns that it needs."""
    return _columns(case).read(data_dir / "tables" / f"{case.table}.csv.gz")


def make_task(table: Table, case: Case, seed: int) -> Task:
    """Hold out the test split, or fold ``seed`` of the outer folds, and code the rest.

    The seed also draws the inner folds. Outer folds are stratified by class and group, and made by
    the rule of the library's own folds: a class that is rarer than the folds are many would lower
    their number, and a rare cell is spread over them together with its class.
    """
    columns = _columns(case)
    if case.split is None:
        marks = np.where(_outer_fold(table, case) == seed, "test", "train")
        table = replace(table, frame=table.frame.assign(**{_SPLIT: marks}))
        columns = replace(columns, split=_SPLIT)
    data = prepare(columns.rows(table), columns)
    if data.test is None:
        raise SystemExit(f"{case.table} has no outer fold {seed}; ask for fewer seeds")
    train = TrainingData(
        data.train.features,
        data.train.y,
        data.train.g,
        np.ones(len(data.train)),
        data.counts.classes,
        data.counts.groups,
    )
    procedure = Procedure(
        Objective.parse(case.objective), seed=seed, standardise=not data.reader.one_vector
    )
    return Task(case, seed, train, data.test, procedure)


def _columns(case: Case) -> Columns:
    return Columns(case.target, () if case.group is None else (case.group,), case.split)


def _outer_fold(table: Table, case: Case) -> ndarray:
    """Which fold holds out which row, the same for every seed."""
    target = encode_target(table.column(case.target))
    groups = None if case.group is None else encode_groups(table.columns([case.group]))
    nothing = np.zeros(len(table), dtype=np.int64)
    data = TrainingData(
        np.zeros((len(table), 0)),
        target.codes,
        nothing if groups is None else groups.codes,
        np.ones(len(table)),
        target.labels,
        None if groups is None else groups.labels,
    )
    folds = data.folds(PARTS, _PARTITION_SEED)
    return folds.fold  # every row is held out once and the rows ascend
