"""Both searches minimise the same function, and the comparison counts what it says."""

import numpy as np
import pytest

import benchmarks.search_cost as cost
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.objectives import Objective


@pytest.fixture
def search():
    """A bench and a space of 7 values on small data of three classes."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [120, 60, 30])
    x = y[:, None] * rng.normal(size=3) + rng.normal(size=(len(y), 3))
    data = TrainingData(x, y, np.zeros_like(y), np.ones(len(y)), (0, 1, 2))
    procedure = Procedure(
        Objective.parse("balanced"), seed=0, dictionary="class", start="logit-adjustment"
    )
    bench = procedure.bench(data)
    return bench, procedure.space(bench)


def test_tpe_sees_the_function_that_the_exact_search_minimises(search):
    bench, space = search
    rng = np.random.default_rng(1)
    for _ in range(3):
        alpha = 0.5 * rng.normal(size=space.dimension)
        expected, _ = bench.problem(space).value_and_gradient(alpha)
        value = cost.value_at(bench.problem(space), bench.folds, alpha)
        assert value == pytest.approx(expected, rel=1e-10)


def test_both_start_alike_and_the_gradient_leads_further(search):
    bench, space = search
    exact, evaluations, seconds = cost.exact_trace(bench, space)
    tpe, trials, _ = cost.tpe_trace(bench, space, space.bounds, 15, 0)
    assert exact[0][0] == tpe[0][0] == 1
    assert exact[0][2] == pytest.approx(tpe[0][2], rel=1e-10)
    assert exact[-1][2] < tpe[-1][2]
    assert trials == 15
    assert evaluations >= exact[-1][0]
    assert seconds >= exact[-1][1] > 0


def test_tpe_repeats_itself_with_its_seed(search):
    bench, space = search
    bounds = cost.near_start(space)
    runs = [cost.tpe_trace(bench, space, bounds, 15, seed)[0] for seed in (3, 3, 4)]
    values = [[value for _, _, value in trace] for trace in runs]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert values[0] != values[2]


def test_the_near_box_holds_the_start_and_lies_within_the_bounds(search):
    _, space = search
    for (low, high), (lowest, highest) in zip(cost.near_start(space), space.bounds, strict=True):
        assert lowest <= low < 0 < high <= highest
    assert cost.near_start(space)[0] == (-cost.NEAR, cost.NEAR)


def test_improvements_are_where_the_value_became_lower():
    points = [(0.1, 3.0), (0.2, 4.0), (0.3, 2.0), (0.4, 2.0), (0.5, 1.0)]
    assert cost.improvements(points) == [(1, 0.1, 3.0), (3, 0.3, 2.0), (5, 0.5, 1.0)]


def test_kept_rows_hold_every_class():
    target = np.repeat([0, 1, 2, 3], [30_000, 9_000, 200, 7])
    kept = cost.kept_rows(target, 0)
    assert len(np.unique(kept)) == len(kept)
    counts = np.bincount(target[kept])
    share = cost.ROWS / len(target)
    expected = [np.ceil(30_000 * share), np.ceil(9_000 * share), cost.FEWEST, 7]
    np.testing.assert_array_equal(counts, expected)
    assert (cost.kept_rows(target, 1) != kept).any()
    np.testing.assert_array_equal(cost.kept_rows(np.arange(50) % 2, 0), np.arange(50))


def rows(table, classes, exact, tpe, seconds):
    common = {"table": table, "classes": classes, "seed": 0, "dimension": 7, "examples": 9}
    return [
        common | {"method": method, "objective": trace[-1][2], "seconds": total, "trace": trace}
        for method, trace, total in (
            (cost.EXACT, exact, exact[-1][1]),
            (cost.TPE, tpe, seconds),
            (cost.NARROW, tpe, seconds),
        )
    ]


def test_the_summary_takes_the_time_to_the_rivals_value():
    exact = [(1, 1.0, 0.5), (2, 2.0, 0.4), (3, 3.0, 0.2)]
    tpe = [(1, 1.0, 0.5), (40, 30.0, 0.35)]
    summary = cost.summarise(rows("b", 9, exact, tpe, 100.0) + rows("a", 3, exact[:2], tpe, 50.0))
    assert [(entry["table"], entry["rival"]) for entry in summary] == [
        (table, rival) for table in ("a", "b") for rival in (cost.TPE, cost.NARROW)
    ]
    assert summary[0]["ratio"] is None  # 0.4 is as low as it came, and TPE 0.35
    assert (summary[2]["seconds_to_rival"], summary[2]["ratio"]) == (3.0, 0.03)
    reached = cost.goals(summary)
    quick, grows, *_ = reached.values()
    assert quick == {"met": False, "missed": ["a"]}
    assert grows["met"]
    assert len(reached) == 4
