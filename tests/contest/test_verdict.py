import numpy as np
import pytest

from autobalance.contest.outer import Contender, OuterPredictions
from autobalance.contest.verdict import judge
from autobalance.counts import Counts
from autobalance.evaluation import Evaluator
from autobalance.objectives import Objective

N = 2000
Y = np.arange(N) % 2


@pytest.fixture
def evaluator():
    counts = Counts.from_codes(Y, None, ("a", "b"), None)
    return Evaluator(Y, None, counts, Objective.parse("balanced").bind(counts))


def wrong_on(*ranges):
    """Codes that are wrong on the first examples of the given ranges."""
    codes = Y.copy()
    for start, stop in ranges:
        codes[start:stop] = 1 - codes[start:stop]
    return codes


def predictions(ours, **others):
    contenders = {"AutoBalance": Contender(ours, "designed", 6)}
    for name, (codes, fitted) in others.items():
        contenders[name] = Contender(codes, "closed form", fitted)
    return OuterPredictions(np.arange(N), contenders, 5)


def test_a_gain_is_claimed_only_over_every_simpler_contender(evaluator):
    ours = wrong_on((0, 200))
    clear = judge(
        evaluator,
        predictions(ours, simple=(wrong_on((0, 400)), 0), tuned=(wrong_on((0, 280)), 1)),
    )
    assert (clear.recommended, clear.best, clear.gain) == ("AutoBalance", "AutoBalance", True)
    # one contender that differs on a handful of examples is enough to withhold the claim
    near = judge(
        evaluator,
        predictions(ours, simple=(wrong_on((0, 400)), 0), tuned=(wrong_on((0, 203)), 1)),
    )
    assert (near.recommended, near.best, near.gain) == ("tuned", "AutoBalance", False)
    assert near["simple"].distinguishable
    assert not near["tuned"].distinguishable


def test_cross_entropy_is_enough_if_it_cannot_be_told_from_the_best(evaluator):
    contenders = {
        "Cross-entropy": (wrong_on((0, 190), (300, 313)), 0),
        "tuned": (wrong_on((0, 195)), 2),
    }
    verdict = judge(evaluator, predictions(wrong_on((0, 200)), **contenders))
    assert (verdict.recommended, verdict.best) == ("Cross-entropy", "tuned")
    contenders["Cross-entropy"] = (wrong_on((0, 400)), 0)
    verdict = judge(evaluator, predictions(wrong_on((0, 200)), **contenders))
    assert verdict.recommended == "tuned"


def test_among_closed_forms_the_lowest_error_decides(evaluator):
    verdict = judge(
        evaluator,
        predictions(wrong_on((0, 198)), none=(wrong_on((0, 204)), 0), two=(wrong_on((0, 200)), 2)),
    )
    assert (verdict.recommended, verdict.best) == ("two", "AutoBalance")


def test_of_equals_the_simplest_is_best(evaluator):
    codes = wrong_on((0, 200))
    verdict = judge(evaluator, predictions(codes, one=(codes, 1)))
    assert (verdict.recommended, verdict.best) == ("one", "one")


def test_a_closed_form_that_is_best_is_not_replaced_by_a_simpler_worse_one(evaluator):
    verdict = judge(
        evaluator,
        predictions(
            wrong_on((0, 300)), simple=(wrong_on((0, 500)), 0), tuned=(wrong_on((0, 150)), 2)
        ),
    )
    assert (verdict.recommended, verdict.best, verdict.gain) == ("tuned", "tuned", False)


def test_differences_are_paired_and_agree_with_the_errors(evaluator):
    verdict = judge(
        evaluator, predictions(wrong_on((0, 200)), other=(wrong_on((0, 180), (400, 450)), 1))
    )
    ours, other = verdict["AutoBalance"], verdict["other"]
    assert ours.error.value == pytest.approx(0.1)
    assert other.error.value == pytest.approx(0.115)
    assert ours.minus_ours is None
    assert other.minus_ours.value == pytest.approx(0.015)
    # the standard error of a difference of paired errors: 50 gained and 20 lost of 2000
    se = np.sqrt((70 / N - (30 / N) ** 2) / N)
    half = (other.minus_ours.high - other.minus_ours.low) / 2
    assert half == pytest.approx(1.96 * se, rel=0.1)


def test_json_holds_the_evidence(evaluator):
    entry = judge(evaluator, predictions(wrong_on((0, 200)), other=(wrong_on((0, 400)), 1)))
    document = entry.to_json()
    assert (document["basis"], document["folds"], document["examples"]) == ("outer folds", 5, N)
    assert document["gain"] is True
    ours, other = document["methods"]
    assert ours["to_best"] is None
    assert ours["difference"] is None
    assert other["to_best"] == other["difference"]
    assert other["distinguishable"] is True
