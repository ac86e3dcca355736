import pytest

from autobalance.runs.measure import HELD_OUT_FOLDS, TEST_SPLIT
from autobalance.runs.verdict import verdict


def methods(baseline=(0.10, 0.20), rival=(0.01, 0.03), kind="closed form"):
    """Our error is 10%; the others' differences from it have the given intervals."""

    def entry(name, kind, interval):
        value = sum(interval) / 2
        difference = {"value": value, "interval": list(interval)}
        return {"name": name, "kind": kind, "value": 0.1 + value, "difference": difference}

    return [
        {"name": "AutoBalance", "kind": "designed", "value": 0.1, "difference": None},
        entry("Cross-entropy", "closed form", baseline),
        entry("VS", "closed form", (0.5, 0.6)),
        entry("Group-LA", kind, rival),
    ]


def test_a_clear_gain_over_everything():
    text = verdict("worst-group", TEST_SPLIT, methods(), 5794)
    assert text == (
        "Worst-group error 25.0% → 10.0% on 5,794 test examples. "
        "The change from cross-entropy to the designed loss is −15.0 points "
        "(95% interval −20.0 to −10.0). "
        "The best closed-form loss, Group-LA, gives 12.0%, which is worse (difference +2.0 points, "
        "95% interval +1.0 to +3.0): the designed loss is worth having."
    )


def test_a_closed_form_within_the_interval_is_recommended():
    text = verdict("balanced", TEST_SPLIT, methods(rival=(-0.01, 0.03)), 100)
    assert "the two cannot be told apart" in text
    assert text.endswith("and the closed form is the simpler choice.")


def test_a_post_hoc_rival_is_not_called_a_closed_form():
    text = verdict("balanced", TEST_SPLIT, methods(rival=(-0.01, 0.03), kind="post-hoc"), 100)
    assert "The best simpler method, Group-LA" in text
    assert "closed" not in text


def test_a_better_closed_form_is_recommended():
    text = verdict("balanced", TEST_SPLIT, methods(rival=(-0.05, -0.01)), 100)
    assert text.endswith("interval −5.0 to −1.0): use the closed form.")


@pytest.mark.parametrize(
    ("interval", "words"),
    [((-0.02, 0.04), "no clear change"), ((-0.04, -0.02), "cross-entropy serves")],
)
def test_no_gain_over_cross_entropy_is_said(interval, words):
    assert words in verdict("balanced", TEST_SPLIT, methods(baseline=interval), 100)


def test_folds_give_no_verdict():
    text = verdict("0.1*error+0.9*balanced", HELD_OUT_FOLDS, methods(), 100)
    assert text.startswith("0.1 × error + 0.9 × balanced error 25.0% → 10.0% on the held-out folds")
    assert "optimistic" in text
    assert "no verdict" in text
