"""Who is held out of a case, and what is trained on."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.tables.cases import CASES, OUTER_FOLDS, PARTS, TABLES, TEST_SPLIT, make_task


@pytest.mark.parametrize("case_name", ["by_class", "by_group"])
def test_the_seeds_hold_out_every_row_once(request, table, case_name):
    case = request.getfixturevalue(case_name)
    held_out = [make_task(table, case, seed).test for seed in range(PARTS)]
    values = np.concatenate([test.features[:, 0] for test in held_out])
    np.testing.assert_array_equal(np.sort(values), np.sort(table.frame["a"]))


def test_every_fold_holds_its_share_of_each_cell(table, by_group):
    cells = [
        np.bincount(2 * task.test.y + task.test.g, minlength=4)
        for task in (make_task(table, by_group, seed) for seed in range(PARTS))
    ]
    assert (np.ptp(cells, axis=0) <= 1).all()


def test_nothing_held_out_is_trained_on(table, by_class):
    task = make_task(table, by_class, 2)
    assert len(task.train) + len(task.test) == len(table)
    assert not np.isin(task.test.features[:, 0], task.train.features[:, 0]).any()


def test_the_group_is_no_feature(table, by_class, by_group):
    assert make_task(table, by_class, 0).train.features.shape[1] == 4
    task = make_task(table, by_group, 0)
    assert task.train.features.shape[1] == 2
    assert task.train.groups == ("f", "m")


def test_a_test_split_stays_and_the_seed_draws_the_inner_folds(table, by_class):
    marks = np.where(np.arange(len(table)) % 3 == 0, "test", "train")
    table = replace(table, frame=table.frame.assign(part=marks))
    case = replace(by_class, split="part")
    tasks = [make_task(table, case, seed) for seed in (0, 1)]
    for task in tasks:
        np.testing.assert_array_equal(task.test.features[:, 0], table.frame["a"][::3])
    folds = [task.procedure.bench(task.train).folds for task in tasks]
    assert (folds[0].fold != folds[1].fold).any()
    assert case.basis == TEST_SPLIT
    assert by_class.basis == OUTER_FOLDS


def test_the_cases_cover_the_tables_of_the_issue():
    assert len(TABLES) == 9
    assert {case.objective for case in CASES if case.group is None} == {"balanced"}
    for table in ("adult", "law_school"):
        asked = [case.objective for case in CASES if case.table == table and case.group]
        assert asked == ["worst-group", "group-balanced"]
