import numpy as np
import pytest

from autobalance.contest.contenders import OURS, TUNED_BIAS
from autobalance.contest.recommend import Listener, recommend
from autobalance.errors import DataError
from autobalance.search.refit import refit


@pytest.fixture(scope="module")
def outcome(data, procedure):
    return recommend(data, procedure, 3)


def test_the_recommended_head_is_kept_and_trained_on_everything(data, procedure, outcome):
    assert outcome.kept is outcome.heads[outcome.verdict.recommended]
    theta = refit(
        outcome.bench.features,
        data.y,
        data.g,
        data.weight,
        outcome.kept.design,
        tolerance=1e-8,
    )
    coef, intercept = outcome.bench.features.to_original(theta)
    logits = data.features @ coef.numpy().T + intercept.numpy()
    ours = outcome.kept.model.logits(data.features)
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True), ours - ours.mean(1, keepdims=True), atol=2e-3
    )


def test_only_what_is_needed_is_trained_on_everything(data, procedure, outcome):
    few = recommend(data, procedure, 3, everything=False)
    assert few.verdict == outcome.verdict
    assert set(few.heads) == {OURS, outcome.verdict.recommended}
    np.testing.assert_array_equal(few.kept.model.coef, outcome.kept.model.coef)


def test_a_tuned_bias_has_a_design_that_trains_the_same_model(data, outcome):
    head = outcome.heads[TUNED_BIAS]
    assert (head.design.additive != 0).any()
    theta = refit(outcome.bench.features, data.y, data.g, data.weight, head.design, tolerance=1e-8)
    coef, intercept = outcome.bench.features.to_original(theta)
    logits = data.features @ coef.numpy().T + intercept.numpy()
    biased = head.model.logits(data.features)
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True),
        biased - biased.mean(1, keepdims=True),
        atol=2e-3,
    )


def test_without_a_verdict_the_designed_loss_is_kept(data, procedure):
    outcome = recommend(data, procedure, None, everything=False)
    assert outcome.verdict is None
    assert outcome.kept.name == OURS
    assert outcome.note == "no verdict was asked for"
    with pytest.raises(DataError, match="nothing was left out"):
        outcome.left_out_evaluator(0)


def test_a_class_too_rare_to_be_left_out_means_no_verdict_unless_one_was_demanded(
    make_data, procedure
):
    rare = make_data((40, 2))
    outcome = recommend(rare, procedure, "auto", everything=False)
    assert outcome.verdict is None
    assert outcome.kept.name == OURS
    assert "class 'b' has too few examples" in outcome.note
    with pytest.raises(DataError, match="too few examples"):
        recommend(rare, procedure, 3)


def test_the_passes_are_told(data, procedure):
    passes, passed = [], []
    recommend(
        data,
        procedure,
        0.3,
        everything=False,
        listener=Listener(passes=passes.append, passed=passed.append),
    )
    assert (passes, passed) == ([2], [1])
