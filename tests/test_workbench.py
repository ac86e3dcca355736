"""The workbench: searched, closed-form and post-hoc heads on one data set and one set of folds."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from autobalance import workbench
from autobalance.counts import Counts
from autobalance.errors import DataError
from autobalance.losses.parametric import adjusted_cross_entropy
from autobalance.objectives import Objective
from autobalance.search.folds import make_folds
from autobalance.search.settings import SearchSettings
from autobalance.space import SearchSpace
from autobalance.starts import default_starts
from autobalance.workbench import Workbench


def a_bench(objective="worst-group", groups=2, rows=300, noise=0, **settings):
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(12) % 3, rng.choice(3, rows - 12, p=[0.6, 0.3, 0.1])])
    g = np.concatenate(
        [np.arange(12) // 3 % 2, (rng.random(rows - 12) < 0.2 + 0.6 * (y[12:] == 0)).astype(int)]
    ) * (groups - 1)
    x = rng.normal(size=(rows, 6)) + 1.2 * np.eye(3, 6)[y] + 0.8 * np.eye(2, 6, 3)[g]
    x = 3.0 + 2.0 * np.hstack([x, rng.normal(size=(rows, noise))])
    labels = ("f", "m") if groups == 2 else None
    counts = Counts.from_codes(y, g if groups == 2 else None, ("a", "b", "c"), labels)
    weight = np.ones(rows)
    folds = make_folds(3, x, y, y, y * groups + g, counts, weight, 0)
    bound = Objective.parse(objective).bind(counts)
    return x, Workbench(x, y, g, weight, counts, folds, bound, SearchSettings(**settings))


def training_gradient(x, bench, head):
    """Gradient of the stated training loss in the coefficients, on standardised features."""
    design = head.design
    mean, scale = x.mean(0), x.std(0)
    standard = torch.from_numpy((x - mean) / scale)
    slopes = torch.from_numpy(head.model.coef * scale).requires_grad_()
    bias = torch.from_numpy(head.model.intercept + head.model.coef @ mean)
    loss = adjusted_cross_entropy(
        standard @ slopes.T + bias,
        torch.from_numpy(bench.y),
        *(torch.from_numpy(np.array(getattr(design, n))) for n in ("weight", "additive")),
        torch.from_numpy(np.array(design.multiplicative)),
        group=torch.from_numpy(bench.g),
    )
    (gradient,) = torch.autograd.grad(loss + design.ridge / 2 * (slopes**2).sum(), slopes)
    return float(gradient.norm())


@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_a_searched_head_is_trained_with_its_design_on_all_examples(precision):
    x, bench = a_bench(precision=precision)
    space = SearchSpace.build(bench.start("group-la"), dictionary="class")
    seen = []
    head = bench.train(space, "AutoBalance", progress=seen.append)
    assert (head.name, head.kind) == ("AutoBalance", "designed")
    assert len(seen) == len(head.result.history) > 1
    assert head.design == head.result.design
    assert training_gradient(x, bench, head) < 1e-4
    assert head.model.temperature == head.result.best.temperature
    assert head.held_out_logits.shape == (300, 3)
    assert head.result.value < head.result.history[0].objective
    right = (head.model.predict(x) == bench.y).mean()
    held_out = (head.held_out_logits.argmax(1) == bench.y[bench.folds.row]).mean()
    assert right == pytest.approx(held_out, abs=0.1)


def test_a_preset_has_the_best_ridge_for_the_objective():
    _, bench = a_bench("error")
    head = bench.train_preset("cross-entropy", "Cross-entropy")
    assert head.kind == "closed form"
    for name, value in (("weight", 1), ("additive", 0), ("multiplicative", 1)):
        np.testing.assert_allclose(getattr(head.design, name), value, rtol=1e-12)
    problem = bench.problem(SearchSpace.build(bench.start("cross-entropy"), ("ridge",)))
    for ridge in np.geomspace(1e-3, 1, 13):
        value, _ = problem.value_and_gradient(np.array([np.log(ridge / 0.01)]))
        assert head.result.value <= value + 2e-4


def test_plain_cross_entropy_is_scikit_learns():
    x, bench = a_bench("error", groups=1, precision="double")
    head = bench.train_preset("cross-entropy", "Cross-entropy")
    standard = (x - x.mean(0)) / x.std(0)
    model = LogisticRegression(C=1 / (300 * head.design.ridge), tol=1e-10, max_iter=10_000)
    expected = model.fit(standard, bench.y).decision_function(standard)
    logits = head.model.logits(x)
    logits -= logits.mean(1, keepdims=True)
    np.testing.assert_allclose(logits, expected - expected.mean(1, keepdims=True), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "tuned", "kept"),
    [
        ("logit-adjustment", ("additive",), "log-prior"),
        ("group-vs", ("additive", "multiplicative"), "cell-log-prior"),
    ],
)
def test_a_preset_may_have_its_strengths_tuned(name, tuned, kept):
    _, bench = a_bench("worst-group")
    plain = bench.train_preset(name, "plain")
    head = bench.train_preset(name, "tuned", tuned)
    assert len(head.result.alpha) == len(tuned) + 1
    assert head.result.value <= plain.result.value + 5e-3
    log_prior = np.log(bench.counts.frequencies)
    if kept == "log-prior":
        log_prior = np.log(bench.counts.per_class / 300)[:, None].repeat(2, 1)
    change = head.design.additive - bench.start(name).additive
    slope = head.result.alpha[0]
    np.testing.assert_allclose(change, slope * (log_prior - log_prior.mean(0)), atol=1e-9)


def test_a_tuned_bias_changes_nothing_but_the_intercept():
    _, bench = a_bench("worst-group")
    head = bench.train_preset("cross-entropy", "Cross-entropy")
    corrected = bench.add_tuned_bias(head, "Tuned bias")
    assert (corrected.name, corrected.kind) == ("Tuned bias", "post-hoc")
    np.testing.assert_array_equal(corrected.model.coef, head.model.coef)
    bias = corrected.model.intercept - head.model.intercept
    # the loss that trains this model: its adjustment takes the place of the bias
    np.testing.assert_allclose(corrected.design.additive, np.repeat(-bias[:, None], 2, axis=1))
    assert corrected.fitted == 2
    np.testing.assert_allclose(corrected.held_out_logits, head.held_out_logits + bias)
    assert corrected.seconds >= head.seconds
    held_out = bench.problem(SearchSpace(head.design, {}, True)).held_out
    before, after = (held_out(torch.from_numpy(h.held_out_logits)) for h in (head, corrected))
    assert float(after.objective) < float(before.objective) - 0.02
    assert corrected.model.temperature == pytest.approx(after.temperature, rel=1e-9)


def test_features_are_never_written_to():
    x, _ = a_bench()
    kept = x.copy()
    x.setflags(write=False)
    y, g = np.arange(300) % 3, np.zeros(300, dtype=int)
    counts = Counts.from_codes(y, None, (0, 1, 2))
    folds = make_folds(2, x, y, y, y, counts, np.ones(300), 0)
    bound = Objective.parse("error").bind(counts)
    Workbench(x, y, g, np.ones(300), counts, folds, bound, SearchSettings())
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        ("error", ("cross-entropy",)),
        ("balanced", ("logit-adjustment", "weighted")),
        ("worst-class", ("logit-adjustment", "weighted")),
        ("worst-group", ("group-la", "group-balanced")),
        ("0.1*error+0.9*equalized-odds", ("group-la", "group-balanced")),
    ],
)
def test_starts_are_consistent_with_the_objective(objective, names):
    assert default_starts(Objective.parse(objective)) == names


def test_the_best_start_is_the_one_of_the_lowest_held_out_objective():
    _, bench = a_bench("balanced", groups=1)
    tuned = {name: bench.tune_preset(name) for name in ("logit-adjustment", "weighted")}
    best = min(tuned, key=lambda name: tuned[name].value)
    start = bench.best_start()
    assert start.metadata["preset"] == best
    assert start.ridge == tuned[best].design.ridge
    assert bench.tune_preset("weighted") is tuned["weighted"]  # and is not searched twice


@pytest.mark.parametrize(
    ("objective", "rows", "loss"),
    [
        ("error", 120, "error"),  # in which a rare class counts for little
        ("balanced", 60, "cross-entropy"),
        ("balanced", 300, "error"),
        ("worst-group", 2000, "cross-entropy"),  # which may come to rest on its rarest cell
        ("worst-group", 6000, "error"),
    ],
)
def test_the_held_out_loss_is_the_error_where_there_are_examples_for_it(objective, rows, loss):
    _, bench = a_bench(objective, rows=rows)
    assert bench.settings.held_out_loss == loss
    _, bench = a_bench(objective, rows=rows, held_out_loss="error")
    assert bench.settings.held_out_loss == "error"


def test_the_objective_needs_a_hundred_observations():
    settings = SearchSettings()
    for observations, loss in ((100.0, "error"), (99.0, "cross-entropy")):
        assert settings.for_data(observations, False).held_out_loss == loss


def test_limits_are_error_rates_unless_cross_entropy_is_asked_for():
    assert SearchSettings().for_data(5.0, constrained=True).held_out_loss == "error"
    asked = SearchSettings(held_out_loss="cross-entropy")
    assert asked.for_data(1e6, constrained=True) is asked


def test_defaults_follow_the_held_out_loss():
    errors, nats = (SearchSettings(held_out_loss=loss) for loss in ("error", "cross-entropy"))
    assert errors.sharpness_used > nats.sharpness_used
    assert errors.tolerance_used < nats.tolerance_used
    given = SearchSettings(held_out_loss="error", sharpness=7.0, tolerance=0.5)
    assert (given.sharpness_used, given.tolerance_used) == (7.0, 0.5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sharpness": 0.0}, "sharpness is 0.0"),
        ({"sharpness": float("nan")}, "sharpness is nan"),
        ({"tolerance": -1.0}, "tolerance is -1.0"),
        ({"held_out_loss": "hinge"}, "use error, cross-entropy or auto"),
        ({"shrinkage": -1.0}, "shrinkage is -1.0"),
        ({"shrinkage": float("inf")}, "shrinkage is inf"),
        ({"max_evaluations": 0}, "max_evaluations is 0"),
        ({"precision": "half"}, "use one of mixed, double"),
    ],
)
def test_settings_are_checked(settings, said):
    with pytest.raises(DataError, match=said):
        SearchSettings(**settings)


def with_few_rows_going_ahead(monkeypatch, **options):
    """Of cells of up to 1,900 examples 150 stand for all; class c is looked at whole."""
    monkeypatch.setattr(workbench, "_ROWS_OF_A_SCOUT", 150)
    return a_bench("balanced", rows=4000, noise=60, precision="double", **options)[1]


def test_rows_that_go_ahead_weigh_as_much_as_all_and_keep_their_folds(monkeypatch):
    bench = with_few_rows_going_ahead(monkeypatch)
    whole = bench.problem(SearchSpace.build(bench.start("cross-entropy"), ("ridge",)))
    some = bench._scout(whole.space)
    assert len(some.heads.target) == np.minimum(bench.counts.values, 150).sum()
    for f, weight in enumerate(some.heads.train_weight):
        assert float(weight.sum()) == pytest.approx(1.0)
        trained = bench.folds.train[f]
        for cell in range(6):
            share = weight[2 * some.heads.target + some.heads.group == cell].sum()
            of_all = (2 * bench.y + bench.g)[trained] == cell
            assert float(share) == pytest.approx(of_all.mean(), rel=0.15)
    np.testing.assert_allclose(some.held_out.frequencies, whole.held_out.frequencies, rtol=1e-12)


@pytest.mark.parametrize("parameters", [("ridge",), ("additive", "ridge")])
def test_a_search_that_some_rows_go_ahead_of_ends_where_it_would_have(monkeypatch, parameters):
    alone = a_bench("balanced", rows=4000, noise=60, precision="double", tolerance=1e-6)[1]
    assert alone._some is None
    led = with_few_rows_going_ahead(monkeypatch, tolerance=1e-6)
    found = [
        bench.train(SearchSpace.build(bench.start("logit-adjustment"), parameters), "AutoBalance")
        for bench in (alone, led)
    ]
    first, second = (head.result for head in found)
    assert second.statistics["scout_rows"] == len(led._some.y)
    assert second.statistics["scout_evaluations"] > 2
    assert second.value == pytest.approx(first.value, abs=1e-5)
    np.testing.assert_allclose(second.alpha, first.alpha, atol=0.05)
    np.testing.assert_allclose(found[1].model.coef, found[0].model.coef, atol=5e-3)


def test_no_rows_go_ahead_of_few_or_under_limits(monkeypatch):
    bench = with_few_rows_going_ahead(monkeypatch)
    space = SearchSpace.build(bench.start("cross-entropy"), ("ridge",))
    assert bench._scout(space) is not None
    monkeypatch.setattr(bench, "constraints", ("a limit",))
    assert bench._scout(space) is None
    monkeypatch.setattr(workbench, "_FEWER_FOR_A_SCOUT", 11)
    assert with_few_rows_going_ahead(monkeypatch)._scout(space) is None
