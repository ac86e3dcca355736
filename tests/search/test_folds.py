"""Folds: who trains, who validates, and what is refused."""

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.search.folds import make_folds


def folds_of(cv, y, g=None, weight=None, seed=0, cv_groups=None):
    y = np.asarray(y)
    cells = y if g is None else y * (int(np.max(g)) + 1) + np.asarray(g)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    labels = tuple(f"c{k}" for k in range(int(y.max()) + 1))
    used = weight > 0
    groups = None if g is None else tuple(range(int(np.max(g)) + 1))
    counts = Counts.from_codes(y[used], None if g is None else np.asarray(g)[used], labels, groups)
    x = np.zeros((len(y), 1))
    return make_folds(cv, x, y, y, cells, counts, weight, seed, cv_groups)


Y = np.repeat([0, 1, 2], [50, 23, 7])
G = np.arange(80) % 2


def assert_sound(folds, rows=80):
    assert folds.train.shape == (len(folds), rows)
    assert not folds.train[folds.fold, folds.row].any()
    assert (np.diff(folds.row) >= 0).all()
    for f in range(len(folds)):
        assert (folds.fold == f).any()


@pytest.mark.parametrize("n", [2, 5, 7])
def test_every_example_validates_once(n):
    folds = folds_of(n, Y, G)
    assert_sound(folds)
    assert len(folds) == n
    np.testing.assert_array_equal(folds.row, np.arange(80))
    held_out = np.zeros((n, 80), dtype=bool)
    held_out[folds.fold, folds.row] = True
    np.testing.assert_array_equal(folds.train, ~held_out)
    assert folds.note == ""
    assert folds.held_out_share == 1.0


def test_folds_are_stratified_by_cell():
    folds = folds_of(3, Y, G)
    cells = Y * 2 + G
    for cell in np.unique(cells):
        per_fold = np.bincount(folds.fold[cells[folds.row] == cell], minlength=3)
        assert per_fold.max() - per_fold.min() <= 1


def test_small_cells_are_spread_within_their_class():
    g = np.zeros(80, dtype=int)
    g[[0, 1]] = 1  # two examples of class 0 in another group, for five folds
    folds = folds_of(5, Y, g)
    assert_sound(folds)
    assert len(set(folds.fold[:2])) == 2


def test_a_class_with_fewer_examples_than_folds_lowers_the_number_and_says_so():
    folds = folds_of(10, Y)
    assert len(folds) == 7
    assert folds.note == "7 folds instead of 10: class 'c2' has only 7 examples"


@pytest.mark.parametrize("cv", [5, 0.2])
def test_a_single_example_is_refused_by_name(cv):
    with pytest.raises(DataError, match=r"class 'c2' has a single example.*--drop-class"):
        folds_of(cv, [0] * 9 + [1] * 9 + [2])


def test_examples_of_weight_zero_neither_train_nor_validate():
    weight = np.ones(80)
    weight[::5] = 0
    given = [(np.arange(0, 80, 2), np.arange(1, 80, 2))]
    for cv in (3, 0.3, KFold(3, shuffle=True, random_state=0), given):
        folds = folds_of(cv, Y, G, weight)
        assert not folds.train[:, ::5].any()
        assert not np.isin(folds.row, np.arange(0, 80, 5)).any()
        totals = folds.train_weight(weight).sum(1)
        np.testing.assert_allclose(totals, np.ones(len(folds)), rtol=1e-12)


def test_training_weights_are_shares_of_the_sample_weights():
    weight = np.linspace(0.5, 2, 80)
    folds = folds_of(4, Y, G, weight)
    for f, row in enumerate(folds.train_weight(weight)):
        chosen = folds.train[f]
        np.testing.assert_allclose(row[chosen], weight[chosen] / weight[chosen].sum(), rtol=1e-12)
        assert not row[~chosen].any()


def test_same_seed_same_folds():
    for cv in (4, 0.25):
        first, again, other = (folds_of(cv, Y, G, seed=seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(first.train, again.train)
        np.testing.assert_array_equal(first.row, again.row)
        assert not np.array_equal(first.train, other.train)


def test_a_share_gives_one_stratified_split():
    folds = folds_of(0.25, Y, G)
    assert_sound(folds)
    assert len(folds) == 1
    assert len(folds.row) == 20
    assert folds.held_out_share == 0.25
    np.testing.assert_allclose(np.bincount(Y[folds.row]), [12.5, 5.75, 1.75], atol=1)


def test_a_share_leaves_an_example_of_every_cell_on_both_sides():
    """Of two examples of each of 20 classes, a fifth is none; the search needs one."""
    y = np.repeat(np.arange(20), 2)
    folds = folds_of(0.2, y)
    assert_sound(folds, rows=40)
    np.testing.assert_array_equal(y[folds.row], np.arange(20))


def test_a_lone_example_of_a_cell_does_not_stop_a_split():
    g = np.zeros(80, dtype=int)
    g[3] = 1
    assert_sound(folds_of(0.25, Y, g))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(DataError, match="share"):
        folds_of(share, Y)


def test_subjects_stay_together():
    subjects = np.arange(80) % 9
    folds = folds_of(GroupKFold(3), Y, cv_groups=subjects)
    assert_sound(folds)
    for f in range(3):
        validating = set(subjects[folds.row[folds.fold == f]])
        assert not validating & set(subjects[folds.train[f]])


def test_subjects_that_are_not_given_are_asked_for():
    with pytest.raises(DataError, match="cv_groups"):
        folds_of(GroupKFold(3), Y)


def test_time_runs_forward():
    y = np.arange(60) % 3
    folds = folds_of(TimeSeriesSplit(4), y)
    assert_sound(folds, 60)
    for f in range(4):
        assert np.flatnonzero(folds.train[f]).max() < folds.row[folds.fold == f].min()
    assert folds.held_out_share == pytest.approx(48 / 60)


def test_splitters_see_labels_and_may_repeat_examples():
    folds = folds_of(StratifiedKFold(5, shuffle=True, random_state=1), Y)
    expected = list(StratifiedKFold(5, shuffle=True, random_state=1).split(Y[:, None], Y))
    for f, (train, validating) in enumerate(expected):
        np.testing.assert_array_equal(np.flatnonzero(folds.train[f]), train)
        np.testing.assert_array_equal(folds.row[folds.fold == f], validating)
    repeated = folds_of(ShuffleSplit(4, test_size=0.5, random_state=0), Y)
    assert_sound(repeated)
    assert len(repeated.row) == 160
    assert 0.5 < repeated.held_out_share < 1.0


def test_a_predefined_split_leaves_the_rest_for_training():
    where = np.where(np.arange(80) % 4 == 0, 0, -1)
    folds = folds_of(PredefinedSplit(where), Y)
    np.testing.assert_array_equal(folds.row, np.flatnonzero(where == 0))
    np.testing.assert_array_equal(folds.train[0], where != 0)


def test_pairs_may_be_positions_masks_or_repeat_a_position():
    mask = np.arange(80) % 3 == 0
    positions = np.flatnonzero(mask)
    plain = folds_of([(np.flatnonzero(~mask), positions)], Y)
    for pair in (
        (~mask, mask),
        (np.flatnonzero(~mask).tolist(), positions.tolist()),
        (np.flatnonzero(~mask), np.repeat(positions, 2)),
        (np.flatnonzero(~mask), positions - 80),
    ):
        folds = folds_of(iter([pair]), Y)
        np.testing.assert_array_equal(folds.row, plain.row)
        np.testing.assert_array_equal(folds.train, plain.train)


@pytest.mark.parametrize(
    ("cv", "said"),
    [
        (1, "at least 2 folds"),
        (-3, "at least 2 folds"),
        (True, "cv is True"),
        (None, "cv is None"),
        ("five", "cv is 'five'"),
        ([], "no split"),
        ([3], "no pairs of positions"),
        ([([0, 50, 79], [80])], "no pairs of positions"),
        ([([0.5], [1.5])], "no pairs of positions"),
        ([([0, 50, 79], [50])], "fold 1 of 1 trains on held-out examples"),
        ([([0, 50, 79], np.empty(0, int))], "fold 1 of 1 has no held-out example"),
        ([([0, 50], [79])], "trains without class 'c2'"),
    ],
)
def test_what_is_no_split_is_refused(cv, said):
    with pytest.raises(DataError, match=said):
        folds_of(cv, Y)


def test_folds_among_some_examples_are_the_same_folds():
    y = np.arange(60) % 3
    folds = folds_of(5, y)
    rows = np.flatnonzero(np.arange(60) % 4 != 1)
    some = folds.among(rows)
    np.testing.assert_array_equal(some.train, folds.train[:, rows])
    pairs = {(f, int(row)) for f, row in zip(folds.fold, folds.row, strict=True) if row % 4 != 1}
    assert {(f, int(rows[row])) for f, row in zip(some.fold, some.row, strict=True)} == pairs
    assert (np.diff(some.row) >= 0).all()
