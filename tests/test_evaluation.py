import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, zero_one_loss

from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.evaluation import (
    Evaluator,
    cell_codes,
    cell_errors,
    class_errors,
    measurable_objectives,
)
from autobalance.objectives import Objective

CLASSES, GROUPS = ("no", "yes"), ("a", "b", None)


def drawn_codes(
    size: int, K: int, G: int, seed: int = 0, wrong: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, g = rng.integers(K, size=size), rng.integers(G, size=size)
    predicted = np.where(rng.random(size) < wrong, rng.integers(K, size=size), y)
    return y, predicted, g


def evaluator(size: int, K: int, G: int, name: str = "error", **options: object) -> Evaluator:
    y, _, g = drawn_codes(size, K, G)
    counts = Counts(np.full((K, G), 10.0), tuple(range(K)), tuple(range(G)))
    objective = Objective.parse(name).bind(counts, empty_cells="drop")
    return Evaluator(y, g, counts, objective, measurable_objectives(counts), **options)


class TestCellErrors:
    def test_is_the_zero_one_loss_of_each_cell(self) -> None:
        y, predicted, g = drawn_codes(300, 4, 3)
        weight = np.random.default_rng(1).random(300)
        errors = cell_errors(y, predicted, g, 4, 3, weight)
        for k, j in np.ndindex(4, 3):
            inside = (y == k) & (g == j)
            expected = zero_one_loss(y[inside], predicted[inside], sample_weight=weight[inside])
            assert errors[k, j] == pytest.approx(expected)

    def test_cells_without_examples_or_weight_are_nan(self) -> None:
        y, predicted, g = np.array([0, 0, 1]), np.array([1, 0, 1]), np.array([0, 0, 1])
        errors = cell_errors(y, predicted, g, 2, 2, np.array([1.0, 1.0, 0.0]))
        np.testing.assert_array_equal(errors, [[0.5, np.nan], [np.nan, np.nan]])

    def test_without_groups_there_is_one_column(self) -> None:
        errors = cell_errors(np.array([0, 1, 1]), np.array([0, 1, 0]), None, 2, 1)
        np.testing.assert_array_equal(errors, [[0.0], [0.5]])

    def test_mistakes_in_the_input_are_named(self) -> None:
        three = np.array([0, 1, 1])
        with pytest.raises(DataError, match=r"group code 2 of example 1 is not in 0\.\.1"):
            cell_codes(three, np.array([0, 2, 0]), 2, 2)
        with pytest.raises(DataError, match="class code 1 of example 1"):
            cell_codes(three, None, 1, 1)
        with pytest.raises(DataError, match="3 class codes but 2 group codes"):
            cell_codes(three, np.array([0, 1]), 2, 2)
        with pytest.raises(DataError, match="3 examples but 2 predictions"):
            cell_errors(three, np.array([0, 1]), None, 2, 1)
        with pytest.raises(DataError, match="3 examples but 1 sample weights"):
            cell_errors(three, three, None, 2, 1, np.ones(1))
        with pytest.raises(DataError, match="not negative"):
            cell_errors(three, three, None, 2, 1, np.array([1.0, -1.0, 1.0]))

    @given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 10_000))
    def test_class_errors_are_those_of_the_class_as_a_whole(
        self, K: int, G: int, seed: int
    ) -> None:
        y, predicted, g = drawn_codes(30, K, G, seed)
        errors = cell_errors(y, predicted, g, K, G)
        share = np.bincount(y * G + g, minlength=K * G).reshape(K, G) / 30
        expected = cell_errors(y, predicted, None, K, 1)[:, 0]
        np.testing.assert_allclose(class_errors(errors, share), expected)


class TestMeasurableObjectives:
    def test_group_objectives_need_groups(self) -> None:
        names = set(measurable_objectives(Counts(np.full((3, 1), 5.0), (0, 1, 2))))
        assert names == {"error", "balanced", "worst-class"}

    def test_equal_opportunity_needs_a_positive_class(self) -> None:
        counts = Counts(np.full((3, 2), 5.0), ("x", "y", "z"), ("a", "b"))
        assert "equal-opportunity" not in measurable_objectives(counts)
        assert "equal-opportunity" in measurable_objectives(counts, "z")


class TestEvaluate:
    def test_figures_agree_with_scikit_learn_and_by_hand(self) -> None:
        y, predicted, g = drawn_codes(400, 3, 2)
        result = evaluator(400, 3, 2, "balanced").evaluate(predicted)
        errors = cell_errors(y, predicted, g, 3, 2)
        expected = {
            "error": zero_one_loss(y, predicted),
            "balanced": 1 - balanced_accuracy_score(y, predicted),
            "group-balanced": errors.mean(),
            "worst-group": errors.max(),
            "equalized-odds": np.ptp(errors, axis=1).sum(),
        }
        for name, value in expected.items():
            assert result.summary[name].value == pytest.approx(value)
        assert result.objective == result.summary["balanced"]
        np.testing.assert_array_equal(result.cell_errors, errors)

    def test_intervals_of_an_error_rate_have_the_binomial_width(self) -> None:
        _, predicted, _ = drawn_codes(4000, 2, 1)
        result = evaluator(4000, 2, 1, "error").evaluate(predicted)
        error, low, high = result.objective.value, result.objective.low, result.objective.high
        expected = 2 * norm.ppf(0.975) * np.sqrt(error * (1 - error) / 4000)
        assert high - low == pytest.approx(expected, rel=0.08)
        assert low < error < high
        low, high = result.class_intervals[0]
        rate, size = result.class_errors[0], (evaluator(4000, 2, 1).y == 0).sum()
        expected = 2 * norm.ppf(0.975) * np.sqrt(rate * (1 - rate) / size)
        assert high - low == pytest.approx(expected, rel=0.08)

    def test_a_lower_level_gives_narrower_intervals(self) -> None:
        _, predicted, _ = drawn_codes(500, 2, 2)
        wide = evaluator(500, 2, 2, "worst-group").evaluate(predicted).objective
        narrow = evaluator(500, 2, 2, "worst-group", level=0.5).evaluate(predicted).objective
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_the_seed_decides(self) -> None:
        _, predicted, _ = drawn_codes(200, 2, 2)
        first, again, other = (
            evaluator(200, 2, 2, "equalized-odds", random_state=seed).evaluate(predicted)
            for seed in (1, 1, 2)
        )
        assert first.to_json() == again.to_json()
        assert first.objective != other.objective

    def test_frequencies_decide_what_population_the_error_is_about(self) -> None:
        y, predicted, g = drawn_codes(300, 2, 2)
        share = np.array([[0.7, 0.1], [0.15, 0.05]])
        result = evaluator(300, 2, 2, "error", frequencies=share).evaluate(predicted)
        expected = (share * cell_errors(y, predicted, g, 2, 2)).sum()
        assert result.objective.value == pytest.approx(expected)

    def test_weights_as_whole_numbers_are_repetitions_of_examples(self) -> None:
        y, predicted, g = drawn_codes(200, 2, 2)
        times = np.random.default_rng(0).integers(0, 4, 200)
        weighted = evaluator(200, 2, 2, sample_weight=times.astype(float)).evaluate(predicted)
        y, predicted, g = (np.repeat(codes, times) for codes in (y, predicted, g))
        template = evaluator(200, 2, 2)
        repeated = Evaluator(y, g, template.counts, template.objective, template.summary)
        for name, estimate in repeated.evaluate(predicted).summary.items():
            assert weighted.summary[name].value == pytest.approx(estimate.value)

    def test_cells_and_classes_without_examples_are_null_in_json_and_left_out(self) -> None:
        counts = Counts(np.full((2, 3), 9.0), CLASSES, GROUPS)
        y, g = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
        worst = Objective.parse("worst-group").bind(counts)
        result = Evaluator(y, g, counts, worst).evaluate(np.array([0, 1, 1, 1])).to_json()
        assert result["value"] == 1.0
        assert result["cell_errors"] == [[0.5, 1.0, None], [None, None, None]]
        assert result["class_errors"] == [0.75, None]
        assert result["class_intervals"][1] is None
        assert result["cell_intervals"][0][2] is None
        json.dumps(result, allow_nan=False)

    def test_a_perfect_small_cell_is_not_called_certain(self) -> None:
        counts = Counts(np.full((2, 1), 9.0), CLASSES)
        y = np.array([0, 0, 0, 1, 1, 1, 1, 1])
        error = Objective.parse("error").bind(counts)
        result = Evaluator(y, None, counts, error).evaluate(y)
        assert result.cell_errors.tolist() == [[0.0], [0.0]]
        assert result.cell_intervals[0, 0, 1] == pytest.approx(1 - 0.025 ** (1 / 3))

    def test_nothing_to_evaluate_on_is_refused(self) -> None:
        counts = Counts(np.full((2, 1), 9.0), CLASSES)
        error = Objective.parse("error").bind(counts)
        with pytest.raises(DataError, match="no example"):
            Evaluator(np.array([], dtype=int), None, counts, error)

    @pytest.mark.parametrize(("size", "K", "G"), [(10_000, 2, 2), (20_000, 1000, 1)])
    def test_is_fast(self, size: int, K: int, G: int) -> None:
        _, predicted, _ = drawn_codes(size, K, G)
        several = evaluator(size, K, G, "worst-class")
        start = time.perf_counter()
        several.evaluate(predicted)
        assert time.perf_counter() - start < 10  # 0.03 s and 0.4 s alone on a machine


class TestPairedDifference:
    def test_of_a_method_with_itself_is_nothing(self) -> None:
        _, predicted, _ = drawn_codes(300, 3, 2)
        same = evaluator(300, 3, 2, "worst-group").paired_difference(predicted, predicted)
        assert (same.value, same.low, same.high) == (0, 0, 0)

    def test_is_the_difference_of_the_two_figures_and_changes_sign(self) -> None:
        examples = evaluator(500, 3, 2, "equalized-odds")
        _, good, _ = drawn_codes(500, 3, 2, wrong=0.1)
        _, bad, _ = drawn_codes(500, 3, 2, wrong=0.6)
        values = [examples.evaluate(each).objective.value for each in (bad, good)]
        difference = examples.paired_difference(bad, good)
        assert difference.value == pytest.approx(values[0] - values[1])
        assert examples.paired_difference(good, bad).value == pytest.approx(-difference.value)

    def test_has_the_width_of_a_paired_comparison(self) -> None:
        """McNemar: the variance comes from the examples on which the two disagree."""
        y, predicted, _ = drawn_codes(3000, 2, 1)
        other = predicted.copy()
        other[:60] = 1 - y[:60]
        difference = evaluator(3000, 2, 1, "error").paired_difference(other, predicted)
        gap = (other != y).astype(float) - (predicted != y)
        within = sum((y == k).sum() * gap[y == k].var() for k in (0, 1))
        expected = 2 * norm.ppf(0.975) * np.sqrt(within) / 3000
        assert difference.value == pytest.approx(gap.mean())
        assert difference.high - difference.low == pytest.approx(expected, rel=0.1)
        assert difference.low > 0

    def test_another_length_is_refused(self) -> None:
        _, predicted, _ = drawn_codes(300, 3, 2)
        with pytest.raises(DataError, match="300 examples but 299 predictions"):
            evaluator(300, 3, 2).paired_difference(predicted, predicted[:-1])


class TestCosts:
    MATRIX = np.array([[0.0, 1.0, 4.0], [2.0, 0.5, 6.0], [20.0, 5.0, 0.0]])

    @pytest.fixture
    def drawn(self):
        y, predicted, g = drawn_codes(400, 3, 2)
        weight = np.random.default_rng(2).uniform(0.5, 2, 400)
        counts = Counts.from_codes(y, g, tuple("abc"), GROUPS[:2], weight)
        objective = Objective.parse("cost", costs=Costs.of(self.MATRIX, "abc")).bind(counts)
        summary = measurable_objectives(counts)
        return y, predicted, g, weight, Evaluator(y, g, counts, objective, summary, weight)

    def test_means_are_of_what_each_decision_costs(self, drawn) -> None:
        y, predicted, g, weight, evaluator = drawn
        paid = self.MATRIX[y, predicted]
        result = evaluator.evaluate(predicted)
        assert result.objective.value == pytest.approx(np.average(paid, weights=weight))
        assert result.objective == evaluator.objective_estimate(predicted)
        for k, j in np.ndindex(3, 2):
            cell = (y == k) & (g == j)
            mean = np.average(paid[cell], weights=weight[cell])
            assert result.cell_costs[k, j] == pytest.approx(mean)
        ones = np.average(paid[y == 1], weights=weight[y == 1])
        assert result.to_json()["class_costs"][1] == pytest.approx(ones)
        assert "cost" not in result.summary

    def test_intervals_are_those_of_a_plain_bootstrap_within_cells(self, drawn) -> None:
        y, predicted, g, _, evaluator = drawn
        evaluator = replace(evaluator, sample_weight=None, frequencies=None)
        reference = np.where(np.arange(400) % 3, predicted, (predicted + 1) % 3)
        found = evaluator.paired_difference(predicted, reference)
        difference = self.MATRIX[y, predicted] - self.MATRIX[y, reference]
        rng = np.random.default_rng(1)
        drawn_rows = np.concatenate(
            [
                rng.choice(rows, (2000, len(rows)))
                for k, j in np.ndindex(3, 2)
                for rows in [np.flatnonzero((y == k) & (g == j))]
            ],
            axis=1,
        )
        draws, value = difference[drawn_rows].mean(axis=1), difference.mean()
        low, high = 2 * value - np.quantile(draws, [0.975, 0.025])
        assert found.value == pytest.approx(value)
        assert found.interval == pytest.approx([low, high], abs=0.1 * (high - low))

    def test_a_factor_is_a_change_of_unit(self, drawn) -> None:
        _, predicted, _, _, evaluator = drawn
        larger = Objective.parse("cost", costs=Costs.of(1000 * self.MATRIX, "abc"))
        other = replace(evaluator, objective=larger.bind(evaluator.counts))
        found, expected = (e.objective_estimate(predicted).interval for e in (other, evaluator))
        assert found == pytest.approx([1000 * end for end in expected])
