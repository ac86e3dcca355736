import numpy as np
import pytest

from autobalance.design import LossDesign
from autobalance.errors import DesignError
from autobalance.report.content.loss import losses, method_design, parameter_spans
from autobalance.report.roles import Roles


def shown(run):
    metrics, design, _ = run
    return losses(design, Roles.of(metrics))


def test_parameters_come_from_the_kept_design_most_frequent_first(make_run):
    run = make_run(["no", "yes"], ["Female", "Male"])
    design, content = run[1], shown(run)
    assert content["columns"] == [("w", "after"), ("l", "after")]
    assert content["neutral"] == ["δ"]
    assert [name for name, _, _ in content["rows"]] == [
        "no · Male",
        "no · Female",
        "yes · Male",
        "yes · Female",
    ]
    examples = [size for _, size, _ in content["rows"]]
    assert examples == sorted(examples, reverse=True)
    np.testing.assert_array_equal(
        [values for _, _, values in content["rows"]],
        [[design.weight[k, j], design.additive[k, j]] for k, j in ((0, 1), (0, 0), (1, 1), (1, 0))],
    )


def test_the_designed_loss_stands_beside_another_that_was_kept(make_run):
    run = make_run(["a", "b", "c"], kept="Logit adjustment")
    metrics, design, _ = run
    content = shown(run)
    ours = metrics["methods"][0]["design"]
    assert content["columns"] == [("w", "after"), ("w", "beside"), ("l", "after"), ("l", "beside")]
    _, _, rarest = content["rows"][-1]
    assert rarest == [
        design.weight[2, 0],
        ours["weight"][2][0],
        design.additive[2, 0],
        ours["additive"][2][0],
    ]
    assert [name for name, _ in content["ridges"]] == ["Logit adjustment", "AutoBalance"]


def test_where_cross_entropy_was_kept_the_designed_loss_is_shown(make_run):
    run = make_run(["a", "b"], kept="Cross-entropy")
    content = shown(run)
    assert not content["plain"]
    ours = run[0]["methods"][0]["design"]
    assert content["rows"][0][2] == [ours["weight"][0][0], ours["additive"][0][0]]
    assert [name for name, _ in content["ridges"]] == ["AutoBalance"]


def test_a_loss_without_any_effect_has_no_figure(make_run):
    metrics, design, history = make_run(["a", "b"])
    ones, zeros = np.ones((2, 1)), np.zeros((2, 1))
    content = shown((metrics, LossDesign(design.counts, ones, zeros, ones), history))
    assert content["plain"]
    assert content["figure"] is None
    assert content["columns"] == []


@pytest.mark.parametrize(
    "weight", [[[1.0]], [[1.0], [-1.0]], [[1.0], ["x"]], [[1.0], [float("inf")]]]
)
@pytest.mark.usefixtures("plain_calls")
def test_a_design_that_does_not_fit_is_refused(make_run, weight):
    metrics, design, _ = make_run(["a", "b"])
    method = metrics["methods"][0]
    method["design"]["weight"] = weight
    with pytest.raises((DesignError, ValueError)):
        method_design(method, design.counts)


def test_spans_lead_from_the_most_frequent_to_the_rarest(make_run):
    _, design, _ = make_run(["a", "b", "c"])
    spans = dict(parameter_spans(design))
    assert spans["w"] == (design.weight[0, 0], design.weight[2, 0])
    assert spans["l"] == (design.additive[0, 0], design.additive[2, 0])
    assert spans["δ"] is None
