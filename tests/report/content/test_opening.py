import pytest

from autobalance.report.content.opening import meanings, opening
from autobalance.report.roles import Roles


def opened(run):
    metrics = run[0]
    return metrics, opening(metrics, Roles.of(metrics))


@pytest.mark.parametrize(
    ("kept", "labels", "third"),
    [
        (
            "AutoBalance",
            ["Cross-entropy, before", "AutoBalance, kept", "Best of the rest: Tuned post-hoc bias"],
            "Tuned post-hoc bias",
        ),
        (
            "Logit adjustment",
            ["Cross-entropy, before", "Logit adjustment, kept", "AutoBalance’s loss, not kept"],
            "AutoBalance",
        ),
        (
            "Cross-entropy",
            [
                "Cross-entropy, kept",
                "AutoBalance’s loss, not kept",
                "Best of the rest: Tuned post-hoc bias",
            ],
            "Tuned post-hoc bias",
        ),
    ],
)
def test_who_stands_beside_whom(make_run, kept, labels, third):
    metrics, content = opened(make_run(["no", "yes"], ["Female", "Male"], kept=kept))
    assert [score["label"] for score in content["scores"]] == labels
    assert [score["kept"] for score in content["scores"]] == [
        label.endswith(", kept") for label in labels
    ]
    shown = [score["method"]["value"] for score in content["scores"]]
    values = {method["name"]: method["value"] for method in metrics["methods"]}
    assert shown[0] == values["Cross-entropy"]
    assert shown[2] == values[third]
    assert [score["share"] for score in content["scores"]] == [v / max(shown) for v in shown]
    assert ("shown beside it" in content["kept"]) == (kept != "AutoBalance")


@pytest.mark.parametrize(
    ("basis", "words"),
    [
        ("test split", "5,794 examples of the test split, which played no part in any choice"),
        ("outer folds", "5,100 examples, each of them left out once"),
        ("untouched part", "5,100 examples of a part that was left untouched"),
        ("held-out folds", "the folds that also chose the losses"),
    ],
)
def test_it_says_what_the_figures_were_measured_on(make_run, basis, words):
    _, content = opened(make_run(["no", "yes"], basis=basis))
    assert words in content["measured_on"]
    assert content["optimistic"] == (basis == "held-out folds")


def test_errors_of_zero_have_bars_of_no_length(make_run):
    run = make_run(["no", "yes"])
    for method in run[0]["methods"]:
        method["value"] = 0.0
    _, content = opened(run)
    assert [score["share"] for score in content["scores"]] == [0, 0, 0]


def test_a_run_with_two_methods_has_two_figures(make_run):
    run = make_run(["no", "yes"])
    run[0]["methods"] = run[0]["methods"][:2]
    _, content = opened(run)
    assert len(content["scores"]) == 2


def test_every_term_of_an_objective_is_explained():
    names = [name for name, _ in meanings("0.1*error+0.9*equalized-odds")]
    assert names == ["error", "equalized-odds gap"]
