"""The run passes, and every claim can fail."""

import json
from dataclasses import replace

import pytest

from autobalance.reproduce.theory import directions, learned_radii, lemma2
from autobalance.reproduce.theory.directions import find
from autobalance.reproduce.theory.lemma2 import REPRODUCTION, checks
from autobalance.reproduce.theory.separable import separable_points


@pytest.fixture(scope="module")
def findings():
    return [find(separable_points(0, 3, 6, 12), (0.5, 1.0), seed=0)]


def test_everything_passes(once, monkeypatch):
    monkeypatch.setattr(directions, "NODES", 64)
    monkeypatch.setattr(lemma2, "_DIMENSIONS", (3,))
    monkeypatch.setattr(learned_radii, "COPIES", 256)
    monkeypatch.setattr(learned_radii, "MULTIPLIERS", (1.0, 1000.0))
    monkeypatch.setattr(learned_radii, "SHIFTS", (0.3,))
    outcome = once(REPRODUCTION)
    assert [check.passed for check in outcome.checks] == [True] * 10
    assert len(outcome.rows) == 6
    json.dumps(outcome.rows, allow_nan=False)
    for table in outcome.tables:
        assert all(len(line.cells) == len(table.columns) for line in table.lines)
    picture, _ = outcome.pictures
    for width in (760, 340):
        (axes,) = picture.draw(width).axes
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert len(axes.lines) == 5


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (0, {"balls": 0.9998}),
        (1, {"trained": ((1.0, 0.9998), (1.0, 1.0), (1.0, 1.0))}),
        (2, {"augmented": (1.0, 0.9998)}),
        (3, {"pair": 0.9998}),
        (4, {"two_logits": (1.0, 0.9998)}),
        (5, {"optimal": 0.9999}),
    ],
)
def test_each_claim_can_fail(findings, number, change):
    verdicts = [check.passed for check in checks([replace(findings[0], **change)])]
    assert verdicts == [place != number for place in range(6)]
