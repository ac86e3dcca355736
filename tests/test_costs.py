"""Cost matrices: what is refused, how they are read, and what a search sees of them."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.errors import ObjectiveError
from autobalance.objectives import Objective

COUNTS = Counts(np.array([[60.0], [30.0], [10.0]]), ("a", "b", "c"))
ROWS = ((0.0, 1.0, 4.0), (2.0, 0.0, 6.0), (20.0, 5.0, 0.0))
COSTS = Costs(("a", "b", "c"), ROWS)
UNIT = Costs(("a", "b", "c"), ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)))
matrices = st.lists(
    st.lists(st.floats(0, 1e6), min_size=3, max_size=3), min_size=3, max_size=3
).filter(lambda rows: np.ptp(np.array(rows), axis=1).max() > 1e-3)


def written(tmp_path, text):
    path = tmp_path / "costs.csv"
    path.write_text(text, "utf-8")
    return path


def test_equal_costs_of_errors_are_stakes_of_one_and_credit_for_the_true_class():
    bound = UNIT.bind(COUNTS)
    np.testing.assert_allclose(bound.stakes, np.ones(3), rtol=1e-15)
    np.testing.assert_array_equal(bound.credits, np.eye(3))


def test_the_balanced_error_is_a_cost():
    """Errors that cost 1/π of their class: the stakes are those of the balanced error."""
    rows = (1 - np.eye(3)) * (COUNTS.values.sum() / COUNTS.values)
    bound = Objective.parse("cost", costs=Costs.of(rows, "abc")).bind(COUNTS)
    balanced = Objective.parse("balanced").bind(COUNTS)
    examples, frequencies = COUNTS.values, COUNTS.frequencies
    assert bound.estimation_variance(examples, frequencies) == pytest.approx(
        balanced.estimation_variance(examples, frequencies), rel=1e-12
    )
    shares = torch.tensor(frequencies)
    torch.testing.assert_close(
        bound.calibration_weights(shares), balanced.calibration_weights(shares)
    )
    assert bound.rarest_cell(examples) == balanced.rarest_cell(examples) == 10


@given(matrices, st.sampled_from([1e-6, 1000.0, 3e5]), st.integers(0, 2**32 - 1))
def test_a_factor_and_what_no_decision_can_change_do_not_count(rows, factor, seed):
    matrix = np.array(rows)
    constant = np.random.default_rng(seed).uniform(0, 10, (3, 1)) * np.ptp(matrix)
    first = Costs.of(matrix, "abc").bind(COUNTS)
    second = Costs.of(factor * (matrix + constant), "abc").bind(COUNTS)
    np.testing.assert_allclose(first.stakes, second.stakes, atol=1e-6)
    staked = first.stakes > 1e-3
    np.testing.assert_allclose(first.credits[staked], second.credits[staked], atol=1e-6)
    assert COUNTS.frequencies[:, 0] @ first.stakes == pytest.approx(1)
    assert ((first.credits >= 0) & (first.credits <= 1)).all()


def test_classes_are_found_by_their_names_whatever_their_order():
    turned = Costs(("c", "a", "b"), tuple(tuple(ROWS[y][k] for k in (2, 0, 1)) for y in (2, 0, 1)))
    np.testing.assert_array_equal(turned.of_classes("abc"), ROWS)
    np.testing.assert_array_equal(turned.of_classes("ca"), [[0, 20], [4, 0]])
    numbered = Costs(("10", "9"), ((0.0, 3.0), (1.0, 0.0)))
    np.testing.assert_array_equal(numbered.of_classes((9, 10)), [[0, 1], [3, 0]])
    with pytest.raises(ObjectiveError, match="no costs for class 'd'; they are for a, b, c"):
        COSTS.of_classes("abd")


def test_tables_and_rows_of_numbers_are_read():
    frame = pd.DataFrame(ROWS, index=list("abc"), columns=list("abc"))
    assert Costs.of(frame, "abc") == Costs.of(ROWS, "abc") == Costs.of(COSTS, "xyz") == COSTS
    assert Costs.of(frame[["c", "a", "b"]], "abc") == COSTS
    assert hash(COSTS) == hash(Costs.of(frame, "abc"))


def test_json_gives_them_back():
    mixed = Costs((1, None, ("a", 2.5)), ROWS)
    assert Costs.from_json(json.loads(json.dumps(mixed.to_json()))) == mixed


def test_a_file_names_rows_and_columns_in_any_order(tmp_path):
    text = "﻿true, c, a, b\n\na,4,0,1\n c ,0,20,5\nb,6,2,0\n"
    assert Costs.load(written(tmp_path, text)).of_classes("abc").tolist() == [*map(list, ROWS)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no table of costs"),
        (",a,b\na,0,1\n", "'b' 0 times as a row and 1 times as a column"),
        (",a,b\na,0,1\nb,1,0\nc,1,1\n", "'c' 1 times as a row and 0 times"),
        (",a,b\na,0,1\na,1,0\n", "'a' 2 times as a row"),
        (",a,a\na,0,1\nb,1,0\n", "'a' 1 times as a row and 2 times as a column"),
        (",a,b\na,0,1\nb,1\n", "holds no table of costs"),
        (",a,b\na,0,x\nb,1,0\n", "cost 'x' in .* is no number"),
        (",a,b\na,0,-1\nb,1,0\n", "deciding 'b' where 'a' is true is -1; costs must be finite"),
        (",a,b\na,0,1\nb,inf,0\n", "deciding 'a' where 'b' is true is inf"),
        (",a,b\na,0,nan\nb,1,0\n", "is nan"),
        (",a\na,0\n", "no square of 1 rows"),
    ],
)
def test_files_with_a_fault_are_refused_in_one_sentence(tmp_path, text, message):
    with pytest.raises(ObjectiveError, match=message) as caught:
        Costs.load(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ObjectiveError, match="cannot read the costs"):
        Costs.load(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([[0, 1], [1, 0]], r"shape \(2, 2\) but the data have 3 classes"),
        ([["x"] * 3] * 3, "no table of numbers"),
        ([[0, 1], [1]], "no table of numbers"),
        (None, "shape"),
    ],
)
def test_what_holds_no_costs_is_refused(costs, message):
    with pytest.raises(ObjectiveError, match=message):
        Costs.of(costs, "abc")


def test_labels_that_read_alike_are_refused():
    with pytest.raises(ObjectiveError, match="'1' twice"):
        Costs((1, "1"), ((0.0, 1.0), (1.0, 0.0)))


def test_costs_that_no_decision_changes_are_refused():
    same = Costs(("a", "b"), ((1.0, 1.0), (3.0, 3.0)))
    with pytest.raises(ObjectiveError, match="every decision costs the same"):
        same.bind(Counts(np.array([[2.0], [3.0]]), ("a", "b")))


class TestObjective:
    def test_it_is_stored_with_its_costs(self):
        objective = Objective.parse("cost", "c", COSTS)
        assert str(objective) == "cost"
        document = json.loads(json.dumps(objective.to_json()))
        assert Objective.from_json(document) == objective
        older = {"objective": "0.5*error+0.5*balanced", "positive_class": None}
        assert Objective.from_json(older) == Objective.parse(older["objective"])
        assert Objective.parse("balanced").to_json().keys() == {"objective", "positive_class"}

    @pytest.mark.parametrize(
        ("text", "costs", "message"),
        [
            ("0.5*cost+0.5*balanced", COSTS, "no common unit; ask for cost alone"),
            ("balanced", COSTS, "'balanced' does not look at them"),
        ],
    )
    def test_costs_stand_alone(self, text, costs, message):
        with pytest.raises(ObjectiveError, match=message):
            Objective.parse(text, costs=costs)

    def test_without_costs_it_cannot_be_bound(self):
        with pytest.raises(ObjectiveError, match="needs what decisions cost"):
            Objective.parse("cost").bind(COUNTS)

    def test_a_class_that_is_never_held_out_is_missed(self):
        bound = Objective.parse("cost", costs=COSTS).bind(COUNTS)
        with pytest.raises(ObjectiveError, match="class 'c'"):
            bound.on_held_out(np.array([[True], [True], [False]]), COUNTS)
