from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, ShuffleSplit

from autobalance.contest import outer
from autobalance.contest.contenders import OURS, TUNED_BIAS, WITHOUT_GROUPS
from autobalance.contest.outer import outer_folds, predict_left_out
from autobalance.errors import DataError
from autobalance.objectives import Objective


def folds_of(data, *arguments):
    return outer_folds(data, Objective.parse("balanced").bind(data.counts), *arguments)


@pytest.fixture(scope="module")
def folds(data):
    return folds_of(data, 2, 3, 0)


@pytest.fixture(scope="module")
def predictions(data, procedure, folds):
    return predict_left_out(data, procedure, folds)


def test_every_example_is_left_out_once_and_predicted_by_everybody(data, predictions):
    assert predictions.row.tolist() == list(range(len(data)))
    assert predictions.parts == 3
    names = [OURS, *(form.name for form in WITHOUT_GROUPS), TUNED_BIAS]
    assert sorted(predictions.contenders) == sorted(names)
    assert next(iter(predictions.contenders)) == OURS
    fitted = {name: each.fitted for name, each in predictions.contenders.items()}
    assert (fitted["Cross-entropy"], fitted["Logit adjustment"], fitted["VS"]) == (0, 1, 2)
    assert fitted[TUNED_BIAS] == 2  # three classes, less a common constant
    assert fitted[OURS] > 0


def test_what_is_left_out_plays_no_part(data, procedure, folds, predictions):
    """Each part is redone by hand on its rows alone, with the others' labels scrambled."""
    part = 1
    left_out = folds.row[folds.fold == part]
    scrambled = data.y.copy()
    scrambled[left_out] = (scrambled[left_out] + 1) % 3
    again = predict_left_out(replace(data, y=scrambled), procedure, folds)
    at = np.isin(predictions.row, left_out)
    for name, contender in predictions.contenders.items():
        np.testing.assert_array_equal(again.contenders[name].codes[at], contender.codes[at])


def test_predictions_belong_to_their_rows(data, procedure, folds, predictions):
    train = np.flatnonzero(folds.train[0])
    left_out = folds.row[folds.fold == 0]
    inner = procedure.on_part(2, 0)
    bench = inner.bench(data.part(train))
    head = bench.train_preset("weighted", "by hand")
    codes = predictions.contenders["Inverse-frequency weights"].codes
    at = np.searchsorted(predictions.row, left_out)
    np.testing.assert_array_equal(codes[at], head.model.predict(data.features[left_out]))


def test_parts_at_once_give_the_same(data, procedure, folds, predictions):
    at_once = predict_left_out(data, procedure, folds, n_jobs=2)
    for name, contender in predictions.contenders.items():
        np.testing.assert_array_equal(at_once.contenders[name].codes, contender.codes)


def test_progress_is_told(data, procedure, folds):
    done, started, evaluations = [], [], []
    predict_left_out(
        data,
        procedure,
        folds,
        evaluated=evaluations.append,
        starting=started.append,
        judged=done.append,
    )
    assert done == [1, 2, 3]
    assert started.count(OURS) == 3
    assert len(evaluations) >= 3


def test_a_share_leaves_one_part_untouched(data):
    folds = folds_of(data, 5, 0.25, 0)
    assert len(folds) == 1
    assert len(folds.row) == round(0.25 * len(data))
    assert not folds.train[0, folds.row].any()


def test_auto_goes_by_the_size_of_the_problem(make_data, monkeypatch):
    data = make_data((900, 400))
    size = data.features.shape[0] * 5 * 2
    assert len(folds_of(data, 5, "auto", 0)) == 5
    monkeypatch.setattr(outer, "AFFORDABLE", size - 1)
    assert len(folds_of(data, 5, "auto", 0)) == 1
    monkeypatch.setattr(outer, "AFFORDABLE", size)
    assert len(folds_of(data, 5, "auto", 0)) == 5


def test_auto_leaves_no_part_untouched_that_could_not_judge_the_rarest(make_data, monkeypatch):
    monkeypatch.setattr(outer, "AFFORDABLE", 0)
    for rarest, parts in ((399, 5), (400, 1)):
        data = make_data((900, rarest))
        assert len(folds_of(data, 5, "auto", 0)) == parts
    error = Objective.parse("error").bind(make_data((900, 20)).counts)
    assert len(outer_folds(make_data((900, 20)), error, 5, "auto", 0)) == 1


def test_images_are_never_judged_on_folds_unasked(make_data):
    """A network on images is costly, so that only an untouched part can be had for nothing."""

    def images(rarest):
        data = make_data((900, rarest))
        return replace(data, features=np.zeros((len(data), 1, 2, 2), dtype=np.uint8))

    assert len(folds_of(images(400), 5, "auto", 0)) == 1
    with pytest.raises(DataError, match=r"would hold 99 .* --verdict 0.25 or --verdict 5"):
        folds_of(images(397), 5, "auto", 0)
    assert len(folds_of(images(397), 5, 5, 0)) == 5


def test_a_splitter_makes_the_outer_folds_too(data):
    units = np.arange(len(data)) % 7
    folds = folds_of(replace(data, units=units), GroupKFold(3), "auto", 0)
    assert len(folds) == 3
    for part in range(3):
        together = set(units[folds.row[folds.fold == part]])
        assert not together & set(units[folds.train[part]])


def test_given_pairs_are_cut_down_to_each_part(data, procedure):
    thirds = np.arange(len(data)) % 3
    pairs = [(np.flatnonzero(thirds != k), np.flatnonzero(thirds == k)) for k in range(3)]
    with_pairs = replace(procedure, cv=pairs)
    folds = folds_of(data, pairs, "auto", 0)
    predictions = predict_left_out(data, with_pairs, folds)
    assert predictions.row.tolist() == list(range(len(data)))
    # within the part that leaves out third 0, third 1 validates on what trains on third 2
    train = np.flatnonzero(thirds != 0)
    within = outer._cv_within(pairs, train, len(data))
    assert len(within) == 2
    for (fit, validate), k in zip(within, (1, 2), strict=True):
        assert set(thirds[train[validate]]) == {k}
        assert set(thirds[train[fit]]) == {3 - k}


def test_an_example_left_out_twice_counts_once(data, procedure):
    splitter = ShuffleSplit(3, test_size=0.5, random_state=0)
    folds = folds_of(data, splitter, "auto", 0)
    predictions = predict_left_out(data, replace(procedure, cv=splitter), folds)
    assert len(np.unique(predictions.row)) == len(predictions.row) < len(folds.row)
    assert all(len(c.codes) == len(predictions.row) for c in predictions.contenders.values())


@pytest.mark.parametrize("how", ["often", True, 1, 1.5])
def test_refuses_what_is_no_way_to_judge(data, how):
    with pytest.raises(DataError):
        folds_of(data, 5, how, 0)


def test_a_class_too_rare_to_be_left_out_is_named(make_data):
    with pytest.raises(DataError, match="class 'b' has too few examples"):
        folds_of(make_data((30, 2)), 2, 5, 0)
    assert len(folds_of(make_data((30, 3)), 2, 5, 0)) == 3
