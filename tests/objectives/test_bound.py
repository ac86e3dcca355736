"""Objectives of cells: the formulas against numpy, the smooth maximum, what is held out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.objectives import OBJECTIVES, Objective, smooth_maximum

COUNTS = Counts(np.array([[40.0, 10.0], [5.0, 25.0], [8.0, 12.0]]), ("a", "b", "c"), ("f", "m"))
HOLED = Counts(np.array([[40.0, 10.0], [5.0, 0.0], [8.0, 12.0]]), ("a", "b", "c"), ("f", "m"))
RISKS = np.array([[0.2, 0.9], [1.4, 0.3], [0.5, 0.8]])


def by_hand(name, risks, frequencies, present, positive=2):
    """The table of the package's docstring, written with loops."""
    cells = [(k, j) for k, j in np.ndindex(risks.shape) if present[k, j]]
    classes = sorted({k for k, _ in cells})
    within = {k: [risks[k, j] for i, j in cells if i == k] for k in classes}
    share = {k: np.array([frequencies[k, j] for i, j in cells if i == k]) for k in classes}
    of_class = {k: share[k] @ within[k] / share[k].sum() for k in classes}
    total = sum(frequencies[c] for c in cells)
    return {
        "error": sum(frequencies[c] * risks[c] for c in cells) / total,
        "balanced": np.mean(list(of_class.values())),
        "group-balanced": np.mean([risks[c] for c in cells]),
        "worst-class": max(of_class.values()),
        "worst-group": max(risks[c] for c in cells),
        "equal-opportunity": max(within[positive]) - min(within[positive]),
        "equalized-odds": sum(max(values) - min(values) for values in within.values()),
    }[name]


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("counts", [COUNTS, HOLED], ids=["all cells", "one empty"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_risk_and_error_follow_their_formula(name, counts):
    bound = Objective.parse(name, "c").bind(counts, empty_cells="drop")
    risks = np.where(counts.present, RISKS, 7.0)  # what an absent cell holds does not matter
    expected = by_hand(name, RISKS, counts.frequencies, counts.present)
    exact = bound.risk(*tensors(risks, counts.frequencies), None)
    assert float(exact) == pytest.approx(expected, rel=1e-12)
    errors = np.where(counts.present, RISKS, np.nan)
    assert bound.error(errors, counts.frequencies) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_cells_without_a_test_example_are_left_out_of_the_error(name):
    bound = Objective.parse(name, "c").bind(COUNTS)
    errors = np.where(HOLED.present, RISKS, np.nan)
    expected = by_hand(name, RISKS, COUNTS.frequencies, HOLED.present)
    assert bound.error(errors, COUNTS.frequencies) == pytest.approx(expected, rel=1e-12)


def test_a_sum_is_the_sum_of_its_terms():
    bound = Objective.parse("0.1*error + 0.9*equalized-odds").bind(COUNTS)
    parts = [by_hand(n, RISKS, COUNTS.frequencies, COUNTS.present) for n in OBJECTIVES]
    assert bound.error(RISKS, COUNTS.frequencies) == pytest.approx(0.1 * parts[0] + 0.9 * parts[-1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_smooth_risk_tends_to_the_exact_one(name):
    bound = Objective.parse(name, "c").bind(HOLED, "drop")
    arguments = tensors(RISKS, HOLED.frequencies)
    exact = float(bound.risk(*arguments, None))
    gaps = [
        abs(float(bound.risk(*arguments, sharpness)) - exact) for sharpness in (20.0, 200.0, 2e4)
    ]
    assert gaps[0] >= gaps[1] >= gaps[2]
    assert gaps[2] < 1e-3


@pytest.mark.parametrize("name", OBJECTIVES)
def test_smooth_risk_has_a_finite_gradient_that_skips_absent_cells(name):
    bound = Objective.parse(name, "c").bind(HOLED, "drop")
    risks, frequencies = tensors(RISKS.copy(), HOLED.frequencies)
    risks.requires_grad_()
    (gradient,) = torch.autograd.grad(bound.risk(risks, frequencies), risks)
    assert torch.isfinite(gradient).all()
    assert gradient[1, 1] == 0
    function = lambda cells: bound.risk(cells, frequencies)  # noqa: E731
    assert torch.autograd.gradcheck(function, risks)


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=8),
    st.floats(0.1, 1e4),
)
def test_smooth_maximum_lies_within_its_bounds(values, sharpness):
    smooth = float(smooth_maximum(torch.tensor(values, dtype=torch.float64), sharpness))
    slack = 1e-9
    assert smooth <= max(values) + slack
    assert smooth >= max(values) - np.log(len(values)) / sharpness - slack
    assert smooth >= np.mean(values) - slack


def test_smooth_difference_of_two_is_the_log_cosh_of_the_docstring():
    values = torch.tensor([0.3, 0.8], dtype=torch.float64)
    both = smooth_maximum(values, 20.0) + smooth_maximum(-values, 20.0)
    assert float(both) == pytest.approx(2 / 20 * np.log(np.cosh(20 * 0.25)), rel=1e-12)
    assert float(smooth_maximum(values[:1].repeat(3), 20.0)) == pytest.approx(0.3, rel=1e-12)


def test_smooth_maximum_skips_what_is_not_present():
    values = torch.tensor([[0.3, 9.0, 0.8], [5.0, 1.0, 2.0]], dtype=torch.float64)
    present = torch.tensor([[True, False, True], [True, True, True]])
    smooth = smooth_maximum(values, 20.0, present)
    assert float(smooth[0]) == pytest.approx(float(smooth_maximum(values[0, ::2], 20.0)), rel=1e-14)
    assert float(smooth[1]) == pytest.approx(float(smooth_maximum(values[1], 20.0)), rel=1e-14)


@pytest.mark.parametrize("name", ["group-balanced", "worst-group", "equalized-odds"])
def test_a_needed_cell_that_is_never_held_out_is_named_or_dropped(name):
    seen = HOLED.present
    with pytest.raises(ObjectiveError, match="class 'b' in group 'm', of which no example is held"):
        Objective.parse(name).bind(COUNTS).on_held_out(seen, COUNTS)
    dropped = Objective.parse(name).bind(COUNTS, "drop").on_held_out(seen, COUNTS)
    np.testing.assert_array_equal(dropped.present, seen)


@pytest.mark.parametrize("name", ["balanced", "worst-class"])
def test_a_class_that_is_never_held_out_is_named(name):
    seen = np.array([[True, True], [False, False], [True, False]])
    with pytest.raises(ObjectiveError, match="class 'b'"):
        Objective.parse(name).bind(COUNTS).on_held_out(seen, COUNTS)
    Objective.parse("error").bind(COUNTS).on_held_out(seen, COUNTS)


def test_calibration_weighs_cells_as_linear_objectives_do():
    frequencies = torch.from_numpy(COUNTS.frequencies)
    of = {
        name: Objective.parse(name, "c").bind(COUNTS).calibration_weights(frequencies).numpy()
        for name in OBJECTIVES
    }
    np.testing.assert_allclose(of["error"], COUNTS.frequencies, rtol=1e-12)
    within = COUNTS.values / COUNTS.per_class[:, None]
    np.testing.assert_allclose(of["balanced"], within / 3, rtol=1e-12)
    for name in ("group-balanced", "worst-group", "equalized-odds"):
        np.testing.assert_allclose(of[name], np.full((3, 2), 1 / 6), rtol=1e-12)
    blend = Objective.parse("0.1*error+0.9*worst-group").bind(COUNTS)
    np.testing.assert_allclose(
        blend.calibration_weights(frequencies), 0.1 * of["error"] + 0.9 / 6, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("text", "rarest"),
    [
        ("error", 92),
        ("balanced", 5),
        ("worst-class", 5),
        ("group-balanced", 5),
        ("worst-group", 5),
        ("equalized-odds", 5),
        ("equal-opportunity", 8),
        ("error+equal-opportunity", 8),
        ("2*error+0.1*balanced", 5),
    ],
)
def test_the_rarest_cell_is_one_that_the_objective_takes(text, rarest):
    """92 examples in all; class b has 5, all in one group, and c has 8 and 12."""
    examples = np.where(HOLED.present, COUNTS.values, 0.0)
    examples[0] = 50.0, 17.0
    bound = Objective.parse(text, "c").bind(HOLED, empty_cells="drop")
    assert bound.rarest_cell(examples) == rarest


def test_a_class_has_the_examples_of_all_its_groups():
    for name, rarest in (("balanced", 20), ("worst-group", 5)):
        assert Objective.parse(name).bind(COUNTS).rarest_cell(COUNTS.values) == rarest
