import pytest

from autobalance.report.content.contest import evidence, measured
from autobalance.report.roles import Roles


def contents(run):
    metrics = run[0]
    roles = Roles.of(metrics)
    return metrics, evidence(metrics, roles), measured(metrics, roles)


def test_the_evidence_ranks_every_method_and_tells_ties_in_words(make_run):
    metrics, shown, _ = contents(make_run(["no", "yes"], kept="Logit adjustment"))
    values = [method["value"] for method in shown["methods"]]
    assert values == sorted(values)
    assert len(values) == len(metrics["verdict"]["methods"])
    words = {method["name"]: method["reading"] for method in shown["methods"]}
    assert words[metrics["verdict"]["best"]] == "the lowest error"
    assert words["Logit adjustment"] == "cannot be told apart"
    assert words["Cross-entropy"] == "worse"
    assert not shown["overruled"]
    assert "Logit adjustment (kept)" in shown["figure"]
    assert "Cross-entropy +" in shown["figure"]


@pytest.mark.parametrize(
    ("judged", "words"),
    [
        ("outer folds", ["5 times", "5,100 examples is judged by a run that never saw it"]),
        (
            "untouched part",
            ["less one part, and predicted that part", "5,100 examples that it never saw"],
        ),
    ],
)
def test_it_says_how_the_methods_were_judged(make_run, judged, words):
    _, shown, _ = contents(make_run(["no", "yes"], judged=judged))
    for said in words:
        assert said in shown["how"]


def test_a_method_kept_against_the_recommendation_is_noticed(make_run):
    run = make_run(["no", "yes"])
    run[0]["verdict"]["recommended"] = "VS"
    _, shown, _ = contents(run)
    assert shown["overruled"]
    assert (shown["recommended"], shown["kept"]) == ("VS", "AutoBalance")


@pytest.mark.parametrize(
    ("judged", "basis", "both"),
    [
        ("outer folds", "test split", (True, True)),
        ("outer folds", "outer folds", (True, False)),
        ("untouched part", "untouched part", (True, False)),
        (None, "test split", (False, True)),
        (None, "held-out folds", (False, True)),
    ],
)
def test_nothing_is_shown_twice_and_something_always(make_run, judged, basis, both):
    _, shown, other = contents(make_run(["no", "yes"], judged=judged, basis=basis))
    assert (shown is not None, other is not None) == both
    if other is not None:
        assert other["confirms"] == (judged is not None)


def test_differences_to_the_designed_loss_are_put_in_words(make_run):
    run = make_run(["no", "yes"], judged=None)
    for method, low in zip(run[0]["methods"][1:4], (0.01, -0.02, -0.2), strict=True):
        method["difference"] = {"value": low + 0.05, "interval": [low, low + 0.1]}
    _, _, shown = contents(run)
    words = {method["name"]: method["reading"] for method in shown["methods"]}
    assert words["AutoBalance"] == ""
    assert words["Cross-entropy"] == "worse"
    assert words["Tuned post-hoc bias"] == "no clear difference"
    assert words["Inverse-frequency weights"] == "better"
