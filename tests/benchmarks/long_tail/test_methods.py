"""Every kind of row, on a few small images."""

import numpy as np
import pytest
import torch

from autobalance.posthoc import tune_bias
from benchmarks.long_tail.methods import (
    BIAS,
    CROSS_ENTROPY,
    METHODS,
    ClosedForm,
    CrossEntropyAndBias,
    DeferredMargins,
    Designed,
    TunedForm,
    plan,
)

VS = TunedForm("VS", "vs", {"tau": 1.0}, {"gamma": (0.0, 0.1), "tau": (1.0, 0.5)})


def test_names_are_distinct():
    names = [name for method in METHODS for name in method.names]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "method",
    [ClosedForm("LA", "logit-adjustment"), CrossEntropyAndBias(), VS, DeferredMargins()],
    ids=lambda method: method.names[0],
)
def test_rows_are_those_that_are_named(lab, method):
    rows = method.run(lab)
    assert tuple(row["method"] for row in rows) == method.names
    for row in rows:
        assert len(row["class_errors"]) == 3
        assert row["balanced"] == pytest.approx(np.mean(row["class_errors"]), abs=0.01)


def test_the_bias_is_that_of_the_network_that_has_not_seen_the_held_out_examples(lab):
    plain, corrected = CrossEntropyAndBias().run(lab)
    assert (plain["method"], corrected["method"]) == (CROSS_ENTROPY, BIAS)
    design = lab.preset("cross-entropy")
    unseen = lab.held_out_logits(lab.train(design, lab.parts[0]))
    bias = torch.from_numpy(tune_bias(lab.held_out_risk(), unseen))
    again = lab.score(lab.test_logits(lab.train(design)) + bias)
    assert corrected["balanced"] == again["balanced"]


def test_strengths_are_tuned_in_turn_by_the_held_out_risk(lab):
    (row,) = VS.run(lab)
    tried = {(each["tau"], each["gamma"]): each["held_out"] for each in row["tried"]}
    gamma = min((0.0, 0.1), key=lambda value: tried[1.0, value])
    assert set(tried) == {(1.0, 0.0), (1.0, 0.1), (0.5, gamma)}
    tau = min((1.0, 0.5), key=lambda value: tried[value, gamma])
    assert row["choice"] == {"tau": tau, "gamma": gamma}
    assert row["trainings"] == 4


def test_a_design_is_searched_and_trained_with(lab):
    method = Designed("ours", ("weight", "additive"), plan=plan(moves=2))
    (row,) = method.run(lab)
    start = lab.preset("logit-adjustment")
    assert not np.allclose(row["design"]["additive"], start.additive[:, 0], atol=1e-3)
    assert row["design"]["multiplicative"] == [1.0, 1.0, 1.0]
    search = method.search(lab)
    assert search.history[-1].refused == ""
    assert method.retrain(lab, search.design(), 0.0)["class_errors"] == row["class_errors"]
