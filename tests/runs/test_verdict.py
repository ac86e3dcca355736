from dataclasses import replace

import pytest

from autobalance.bootstrap import Estimate
from autobalance.contest.verdict import Standing, Verdict
from autobalance.runs.verdict import verdict_entry

ERRORS = {"AutoBalance": 0.141, "Cross-entropy": 0.319, "Logit adjustment": 0.184}


def estimate(value, half=0.009):
    return Estimate(value, value - half, value + half)


def minus(errors, other, name):
    return None if name == other else estimate(errors[name] - errors[other])


def reached(recommended, errors=ERRORS, parts=5):
    best = min(errors, key=errors.__getitem__)
    standings = tuple(
        Standing(
            name,
            "designed" if name == "AutoBalance" else "closed form",
            number,
            estimate(errors[name]),
            minus(errors, "AutoBalance", name),
            minus(errors, best, name),
        )
        for number, name in enumerate(errors)
    )
    return Verdict(recommended, best, standings, parts, 4795, 56)


def entry(verdict, basis="test split", errors=ERRORS, note="", kept_start=None):
    """The entry for a contest in which the methods have the same errors wherever measured."""
    methods = [
        {
            "name": name,
            "value": errors[name],
            "interval": estimate(errors[name]).interval,
            "difference": None if gap is None else {"value": gap.value, "interval": gap.interval},
        }
        for name in errors
        for gap in [minus(errors, "AutoBalance", name)]
    ]
    return verdict_entry(verdict, note, "worst-group", basis, methods, 5794, kept_start)


def test_a_gain():
    said = entry(reached("AutoBalance"))
    assert said["headline"] == (
        "Worst-group error 31.9% → 14.1% (±0.9) with the designed loss; "
        "Logit adjustment alone would give 18.4%."
    )
    assert said["text"] == (
        "Judged on 5 outer folds, 4,795 examples that no contender had seen (56 of the rarest "
        "class and group), the designed loss has the lowest error (14.1%); the best simpler one, "
        "Logit adjustment, is worse by +4.3 points (95% interval +3.4 to +5.2): the designed "
        "loss is worth having, and is kept. "
        "On the 5,794 test examples, which chose nothing, Logit adjustment minus the designed loss "
        "is +4.3 points (95% interval +3.4 to +5.2): the designed loss is better."
    )
    assert said["gain"] is True
    assert said["recommended"] == "AutoBalance"


def test_a_closed_form_that_does_as_well():
    errors = ERRORS | {"Logit adjustment": 0.145}
    said = entry(reached("Logit adjustment", errors), errors=errors)
    assert said["headline"] == (
        "Worst-group error 31.9% → 14.5% (±0.9) with Logit adjustment; "
        "the designed loss would give 14.1%."
    )
    assert (
        "Logit adjustment is +0.4 points (95% interval −0.5 to +1.3) from it: the two cannot be "
        "told apart, and the simpler one is kept."
    ) in said["text"]
    assert said["text"].endswith("(95% interval −0.5 to +1.3): the two cannot be told apart.")
    assert said["gain"] is False


def test_a_closed_form_that_is_best():
    errors = ERRORS | {"Logit adjustment": 0.101}
    said = entry(reached("Logit adjustment", errors), "outer folds", errors)
    assert said["text"].endswith(
        "Logit adjustment has the lowest error (10.1%) and is kept: cross-entropy, the only "
        "simpler one, is worse by +21.8 points (95% interval +20.9 to +22.7)."
    )
    assert "test" not in said["text"]


def test_nothing_beats_cross_entropy():
    errors = dict.fromkeys(ERRORS, 0.2)
    said = entry(reached("Cross-entropy", errors), "untouched part", errors)
    assert said["headline"] == (
        "Worst-group error 20.0% (±0.9) with plain cross-entropy: no loss that was tried is better "
        "beyond chance on 4,795 examples."
    )


def test_cross_entropy_is_best():
    errors = ERRORS | {"Cross-entropy": 0.1}
    said = entry(reached("Cross-entropy", errors), "untouched part", errors)
    assert said["headline"].endswith("nothing that was tried has a lower error.")
    assert (
        "cross-entropy has the lowest error (10.0%) and is kept: nothing is simpler."
        in (said["text"])
    )


@pytest.mark.parametrize(
    ("objective", "rarest", "words"),
    [
        ("balanced", 56, "had seen (56 of the rarest class), "),
        ("equalized-odds", 56, "had seen (56 of the rarest class and group), "),
        ("error", 4795, "had seen, "),
    ],
)
def test_how_many_there_are_of_the_rarest_is_said(objective, rarest, words):
    verdict = replace(reached("AutoBalance"), rarest=rarest)
    methods = [
        {"name": name, "value": value, "interval": estimate(value).interval, "difference": None}
        for name, value in ERRORS.items()
    ]
    assert words in verdict_entry(verdict, "", objective, "outer folds", methods, 1)["text"]


def test_an_untouched_part_is_called_so():
    assert "Judged on an untouched part, 4,795" in entry(reached("AutoBalance", parts=1))["text"]


def test_test_rows_may_contradict():
    """The folds found no difference; the test rows say that the designed loss is worse."""
    errors = ERRORS | {"Logit adjustment": 0.11}
    said = entry(reached("Logit adjustment"), errors=errors)
    assert said["text"].endswith("the designed loss is worse.")


@pytest.mark.parametrize(
    ("basis", "words"),
    [
        ("held-out folds", "The figures come from the folds that chose the loss and flatter it."),
        ("test split", "which chose nothing, cross-entropy minus the designed loss is +17.8"),
    ],
)
def test_without_a_verdict_the_reason_is_given(basis, words):
    said = entry(None, basis, note="no verdict was asked for")
    assert said["basis"] is None
    assert said["text"].startswith("There is no verdict (no verdict was asked for), so the")
    assert words in said["text"]


def test_a_kept_start_is_said():
    said = entry(reached("AutoBalance"), kept_start="group-la")
    assert "is the one that the search started from (group-la)" in said["text"]
