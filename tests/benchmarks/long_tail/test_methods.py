"""The rows of the records: their names and kinds, and what is kept of every kind of them."""

import numpy as np
import pytest
import torch

from autobalance.posthoc import tune_bias
from autobalance.reproduce.images.methods import ClosedForm, TunedForm
from benchmarks.long_tail.methods import (
    DESIGNED,
    FIXED,
    GRID,
    HEADLINE,
    METHODS,
    POST_HOC,
    Method,
    designed,
    plan,
)

COMMON = ["method", "kind", "balanced", "class_errors", "seconds"]
CLOSED = ClosedForm("LA", "LA", FIXED, loss=lambda lab: lab.preset("logit-adjustment"))
VS = TunedForm("VS", "VS", FIXED, preset="vs", start={"tau": 1.0}, grid={"gamma": (0.0, 0.1)})


def named(name):
    return next(method for method in METHODS if name in method.names)


def test_the_rows_of_the_records():
    kinds = {name: method.method.kinds[name] for method in METHODS for name in method.names}
    ours = ("emphasis from LA", "l & Δ from LA", "w, l & Δ from LA", "τ", "l", "Δ", "l & Δ")
    assert kinds == {
        "cross-entropy": FIXED,
        "post-hoc bias, tuned": POST_HOC,
        "balanced cross-entropy": FIXED,
        "logit adjustment": FIXED,
        "CDT, tuned": FIXED,
        "VS, tuned": FIXED,
        "LDAM-DRW": FIXED,
        "emphasis by grid": GRID,
        HEADLINE: DESIGNED,
        **{f"AutoBalance, {what}": DESIGNED for what in ours},
    }


def test_the_headline_searches_as_the_library_does_by_default():
    how = named(HEADLINE).method
    assert (how.parameters, how.start, how.dictionary) == (
        ("emphasis",),
        "logit-adjustment",
        "auto",
    )
    assert how.course.plan.for_steps(1000, ("emphasis",)).warm_up == 800
    assert how.course.upper is None
    assert not how.course.uniform


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        (Method(CLOSED), ["trainings"]),
        (named("LDAM-DRW"), ["trainings"]),
        (Method(VS), ["trainings", "choice", "tried"]),
        (Method(designed("ours", "additive", plan=plan(moves=2))), ["design"]),
    ],
    ids=lambda value: value.names[0] if isinstance(value, Method) else "",
)
def test_a_row_and_what_is_kept_of_it(lab, method, facts):
    (row,) = method.run(lab)
    assert list(row) == [*COMMON, *facts]
    assert (row["method"],) == method.names
    assert row["kind"] == method.method.kind
    assert len(row["class_errors"]) == 3
    assert row["balanced"] == pytest.approx(np.mean(row["class_errors"]), abs=0.01)
    assert row["seconds"] == round(row["seconds"], 1)


def test_cross_entropy_and_a_tuned_bias_share_their_trainings(lab):
    method = named("cross-entropy")
    plain, corrected = method.run(lab)
    assert method.names == (plain["method"], corrected["method"])
    assert list(plain) == [*COMMON, "trainings"]
    assert list(corrected) == [*COMMON, "trainings", "choice"]
    assert (plain["trainings"], corrected["trainings"]) == (1, 2)
    design = lab.preset("cross-entropy")
    unseen = lab.held_out_logits(lab.train(design, lab.parts[0]))
    bias = tune_bias(lab.held_out_risk(), unseen)
    assert corrected["choice"] == {"bias": bias.tolist()}
    logits = lab.network(lab.train(design)).logits(lab.scored)
    again = lab.score(lambda _: (logits + torch.from_numpy(bias)).argmax(1).numpy())
    assert corrected["class_errors"] == again["class_errors"]
