"""The kinds of rows of tables 3 and 5 against what they say they are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from autobalance.baselines.vector_scaling import vector_scaling
from autobalance.losses.presets import group_la
from autobalance.network_bench import NetworkBench
from autobalance.objectives import Objective
from autobalance.reproduce.fitted import DESIGNED, PEEKING, PUBLISHED, TUNED
from autobalance.reproduce.groups import methods as module
from autobalance.reproduce.groups.lab import GroupLab
from autobalance.reproduce.groups.measure import measured
from autobalance.reproduce.groups.methods import (
    BLEND,
    OBJECTIVE,
    WEIGHT_DECAY,
    Algorithm1,
    Exact,
    OnBench,
    PlainLoss,
    PostHocOnScored,
    TunedLoss,
    blend,
    scaled_cross_entropy,
    tuned_blend,
)
from autobalance.reproduce.groups.rows import METHODS

KAPPA = 20.0


def test_the_paper_trains_with_its_own_weight_decay_and_blend():
    assert WEIGHT_DECAY == 1e-4
    assert dict(Objective.parse(BLEND).terms) == {"error": 0.1, "equalized-odds": 0.9}
    assert Objective.parse(OBJECTIVE).terms == (("worst-group", 1.0),)


def test_every_row_has_a_name_and_a_kind():
    assert all(key == method.key for key, method in METHODS.items())
    assert len({method.name for method in METHODS.values()}) == len(METHODS)
    assert {method.kind for method in METHODS.values()} == {PUBLISHED, TUNED, DESIGNED, PEEKING}


def test_published_cross_entropy_is_scikit_learns(small_lab, by_hand, model_of):
    _, lab = small_lab
    fitted = PlainLoss("ce", "CE", "cross-entropy").fit(lab)
    model = LogisticRegression(C=2 / (WEIGHT_DECAY * 100), tol=1e-12, max_iter=100_000)
    expected = model.fit(by_hand.standard, by_hand.y).decision_function(by_hand.standard)
    np.testing.assert_allclose(by_hand.lead_of(model_of(fitted)), expected, rtol=1e-2, atol=1e-2)
    assert fitted.facts == {}
    assert fitted.seconds > 0


def test_published_group_la_is_a_direct_minimum(small_lab, by_hand, model_of):
    _, lab = small_lab
    fitted = PlainLoss("la", "Group-LA", "group-la").fit(lab)
    loss = by_hand.penalised(by_hand.group_la, WEIGHT_DECAY)
    _, least = by_hand.minimum(by_hand.group_la, WEIGHT_DECAY)
    assert loss(by_hand.theta_of(model_of(fitted))) <= least + 1e-6


def test_a_tuned_loss_has_the_best_ridge_and_strength_on_the_folds(small_lab):
    _, lab = small_lab
    fitted = TunedLoss("la", "Group-LA", "group-la", ("additive",)).fit(lab)
    bench = lab.bench(OBJECTIVE)
    result = bench.tune_preset("group-la", ("additive",))
    assert fitted.facts["ridge"] == result.design.ridge
    assert result.value <= bench.tune_preset("group-la").value + 1e-3
    plain = group_la(lab.counts).additive
    assert np.abs(np.array(fitted.facts["additive"]) - plain).max() > 1e-3
    weight = np.array(fitted.facts["weight"])
    np.testing.assert_allclose(weight[0], weight[1])


def smooth_range(values):
    return sum(np.log(np.mean(np.exp(sign * KAPPA * values))) / KAPPA for sign in (1, -1))


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_published_blend_has_the_papers_weights_and_decay(small_lab, by_hand, model_of, share):
    _, lab = small_lab
    fitted = OnBench("blend", "blend", blend(share)).fit(lab)
    chosen = fitted.facts["chosen"]
    assert chosen["error"] == pytest.approx(1 - share)
    assert chosen["equalized-odds"] == pytest.approx(share)
    assert chosen["ridge"] == pytest.approx(WEIGHT_DECAY)

    def loss(z):
        deo = sum(smooth_range(row) for row in by_hand.cell_risks(z))
        return (1 - share) * by_hand.cross_entropies(z).mean() + share * deo

    theta = by_hand.theta_of(model_of(fitted))
    slope = approx_fprime(theta, by_hand.penalised(loss, WEIGHT_DECAY), 1e-7)
    np.testing.assert_allclose(slope, 0, atol=2e-3)


def test_the_tuned_blend_is_no_worse_on_the_folds_than_its_start(small_lab):
    _, lab = small_lab
    bench = lab.bench(OBJECTIVE)
    tuned, fixed = tuned_blend(bench, 0), blend(0.5)(bench, 0)
    assert tuned.value <= fixed.value + 1e-4


def test_vector_scaling_begins_at_cross_entropy(small_lab):
    _, lab = small_lab
    bench = lab.bench(OBJECTIVE)
    found = scaled_cross_entropy(bench, 0)
    expected = vector_scaling(bench, bench.train_preset("cross-entropy", "any"))
    np.testing.assert_array_equal(found.held_out_logits, expected.held_out_logits)
    assert found.value <= bench.tune_preset("cross-entropy").value + 1e-6


def test_a_baseline_is_given_bench_and_seed(small_lab):
    data, _ = small_lab
    seen = []

    def train(bench, seed):
        seen.append((bench, seed))
        return blend(0.5)(bench, seed)

    lab = GroupLab(data.train, data.counts, 7)
    OnBench("any", "any", train).fit(lab)
    assert seen == [(lab.bench(OBJECTIVE), 7)]


def test_the_exact_search_starts_fresh_and_is_at_least_as_good_as_its_start(small_lab):
    _, lab = small_lab
    lab.bench(OBJECTIVE)
    fitted = Exact("ours", "ours", BLEND).fit(lab)
    facts = fitted.facts
    assert set(facts) == {"ridge", "status", "weight", "additive", "multiplicative"}
    assert np.array(facts["weight"]).shape == (2, 2)
    np.testing.assert_allclose((lab.counts.frequencies * facts["weight"]).sum(), 1, atol=1e-3)
    assert (np.array(facts["multiplicative"]) == 1).all()  # which is not searched
    assert lab.bench(OBJECTIVE)._tuned == {}  # nothing was borrowed, so all of it is timed


def test_a_ridge_that_is_not_searched_stays_where_it_is_tuned_from(small_lab):
    _, lab = small_lab
    fitted = Exact("ours", "ours", OBJECTIVE, ("weight", "additive"), 0.3).fit(lab)
    start = lab.fresh_bench(OBJECTIVE).best_start(0.3)
    assert fitted.facts["ridge"] == pytest.approx(start.ridge)


def test_algorithm_1_holds_out_half_and_names_what_it_searched(small_lab, monkeypatch):
    _, lab = small_lab
    method = METHODS["autobalance-algorithm-1"]
    assert (method.held_out, method.objective) == (0.5, BLEND)
    assert method.network.training.epochs == 500
    assert method.network.plan.warm_up == pytest.approx(0.3)
    benches = []
    train = NetworkBench.train

    def noted(self, *arguments, **options):
        benches.append(self)
        return train(self, *arguments, **options)

    monkeypatch.setattr(NetworkBench, "train", noted)
    training = replace(method.network.training, epochs=20)
    short = replace(method, network=replace(method.network, training=training))
    fitted = short.fit(lab)
    (bench,) = benches
    assert bench.folds.held_out_share == 0.5
    assert bench.objective.objective == Objective.parse(BLEND)
    assert np.array(fitted.facts["additive"]).shape == (2, 2)
    assert isinstance(short, Algorithm1)


@pytest.mark.parametrize("objective", ["group-balanced", "equalized-odds"])
def test_the_peeking_row_is_the_best_on_what_it_is_scored_on(small_lab, objective):
    data, lab = small_lab
    method = PostHocOnScored("peek", "peek", objective)
    assert method.kind == PEEKING
    fitted = method.fit_on_scored(lab, data.test)
    metric = {"group-balanced": "balanced", "equalized-odds": "deo"}[objective]

    def error(predict):
        return measured(data.test, data.counts, data.test.predictions(predict))[metric]

    model = lab.head(lab.design("cross-entropy", WEIGHT_DECAY))
    assert error(fitted.predict) <= error(model.predict)
    scale, bias = (np.array(fitted.facts[name]) for name in ("scale", "bias"))
    for ratio in (0.5, 1.0, 2.0):
        for shift in np.linspace(-3, 3, 13):

            def other(x, weight=np.array([1, ratio]), shift=shift):  # noqa: B008
                return (weight * model.logits(x) + np.array([0, shift])).argmax(1)

            assert error(fitted.predict) <= error(other) + 1e-9
    expected = data.test.predictions(lambda x: (scale * model.logits(x) + bias).argmax(1))
    np.testing.assert_array_equal(data.test.predictions(fitted.predict), expected)


def test_nothing_is_called_tuned_that_is_not_tuned_for_the_one_objective(small_lab, monkeypatch):
    """Rows with a ridge of their own are tuned for what the headline is designed for."""
    _, lab = small_lab
    asked = []
    monkeypatch.setattr(lab, "bench", lambda name: asked.append(name) or bench)
    bench = GroupLab(lab.train, lab.counts, 0, lab.folds).bench("worst-group")
    for method in (TunedLoss("a", "a", "cross-entropy"), OnBench("b", "b", blend(0.5))):
        method.fit(lab)
    assert asked == [module.OBJECTIVE] * 2
