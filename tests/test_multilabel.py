"""Labels as groups: counts, errors and designs against loops over labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError, ObjectiveError
from autobalance.losses.presets import PRESETS, preset
from autobalance.multilabel import label_counts, label_errors
from autobalance.objectives import Objective

T = np.array([[1, 0], [0, 0], [1, 1], [0, 1], [1, 1]])
SYMPTOMS = ("rash", "fever")


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["int", "float", "bool"]),
    st.booleans(),
)
def test_counts_and_errors_are_those_of_a_loop(seed, n_labels, n_groups, kind, weighted):
    rng = np.random.default_rng(seed)
    targets = rng.integers(2, size=(30, n_labels))
    targets[:2] = np.arange(2)[:, None]
    known = rng.random(targets.shape) < (1.0 if kind == "bool" else 0.8)
    known[:2] = True
    g = rng.integers(n_groups, size=30)
    weight = rng.uniform(0.5, 2, 30) if weighted else None
    logits = rng.normal(size=targets.shape)
    given_targets = {
        "int": np.where(known, targets, -100),
        "float": np.where(known, targets, np.nan),
        "bool": targets.astype(bool),
    }[kind]
    counts = label_counts(given_targets, None, g, range(n_groups), weight)
    errors = label_errors(logits, given_targets, g, n_groups, weight)
    w = np.ones(30) if weight is None else weight
    for t in (0, 1):
        for k in range(n_labels):
            for j in range(n_groups):
                rows = known[:, k] & (targets[:, k] == t) & (g == j)
                column = k * n_groups + j
                assert counts.values[t, column] == pytest.approx(w[rows].sum())
                wrong = w[rows & ((logits[:, k] > 0) != t)].sum()
                expected = wrong / w[rows].sum() if rows.any() else np.nan
                np.testing.assert_allclose(errors[t, column], expected)
    assert counts.groups == tuple((k, j) for k in range(n_labels) for j in range(n_groups))


def test_cells_are_named_after_their_labels():
    counts = label_counts(T, SYMPTOMS)
    assert counts.classes == ("negative", "positive")
    assert counts.groups == SYMPTOMS
    assert counts.cell_name(1, 0) == "label 'rash', positive"
    by_sex = label_counts(T, SYMPTOMS, np.array([0, 1, 0, 1, 1]), ("f", "m"))
    assert by_sex.cell_name(0, 3) == "label 'fever, m', negative"
    with pytest.raises(DesignError, match="weight is not positive for label 'fever', positive"):
        LossDesign(counts, np.array([[1.0, 1.0], [1.0, 0.0]]), *np.ones((2, 2, 2)))


def test_an_outcome_without_an_example_is_named_by_its_label():
    counts = label_counts(np.array([[1, 0], [0, 0]]), SYMPTOMS)
    with pytest.raises(ObjectiveError, match="needs label 'fever', positive, which has no"):
        Objective.parse("worst-group").bind(counts)


@pytest.mark.parametrize("name", PRESETS)
def test_designs_of_labels_survive_json(name):
    design = preset(name, label_counts(T, SYMPTOMS))
    again = LossDesign.from_json(design.to_json())
    assert again == design
    assert again.counts.multilabel
    assert again.counts.cell_name(1, 1) == "label 'fever', positive"


def test_objectives_are_means_and_maxima_over_labels():
    counts = label_counts(T, SYMPTOMS)
    logits = np.array([[1, -1], [1, -1], [1, -1], [-1, -1], [-1, -1.0]])
    errors = label_errors(logits, T)
    np.testing.assert_allclose(errors, [[1 / 2, 0], [1 / 3, 1]])

    def value(name):
        return Objective.parse(name).bind(counts).error(errors, counts.frequencies)

    assert value("group-balanced") == pytest.approx(np.mean([1 / 2, 0, 1 / 3, 1]))
    assert value("worst-group") == 1
    assert value("error") == pytest.approx(((logits > 0) != T).mean())  # the Hamming loss


@pytest.mark.parametrize("name", ["equal-opportunity", "0.5*error+0.5*equalized-odds"])
def test_labels_are_not_compared_with_one_another(name):
    with pytest.raises(ObjectiveError, match="would compare labels with one another"):
        Objective.parse(name).bind(label_counts(T, SYMPTOMS))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((T[0],), r"targets have shape \(2,\); give one column for each label"),
        ((T + 1, SYMPTOMS), "target of example 0 in column 0 is 2; give 0 or 1, and NaN"),
        ((T, ("rash",)), "2 columns of targets but 1 labels"),
        ((T, SYMPTOMS, np.zeros(5, int)), "belong together"),
        ((T, SYMPTOMS, np.full(5, 2), ("f", "m")), r"one group code in 0\.\.1 for each of 5"),
        ((T, SYMPTOMS, None, None, np.ones(3)), "5 examples but 3 sample weights"),
        ((np.array([[1, -100], [0, -100]]), SYMPTOMS), "label 'fever' is known of no example"),
        ((np.zeros((3, 2)), SYMPTOMS), "no label of any example is positive"),
    ],
)
@pytest.mark.usefixtures("plain_calls")
def test_what_cannot_be_counted_is_refused(arguments, said):
    with pytest.raises(DataError, match=said):
        label_counts(*arguments)


@pytest.mark.usefixtures("plain_calls")
def test_errors_need_a_logit_for_each_target():
    with pytest.raises(DataError, match=r"logits have shape \(5, 1\) but targets \(5, 2\)"):
        label_errors(np.ones((5, 1)), T)
