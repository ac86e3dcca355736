"""What is found on one data set, and what wrong radii would give."""

import json

import numpy as np
import pytest

from autobalance.reproduce.theory import directions
from autobalance.reproduce.theory.directions import ADJUSTMENTS, BOUNDS, find, radii
from autobalance.reproduce.theory.margins import cost_sensitive_svm
from autobalance.reproduce.theory.separable import separable_points

DATA = separable_points(0, 5, 6, 20)
MULTIPLICATIVE = (0.2, 0.8)


@pytest.fixture(scope="module", autouse=True)
def _few_nodes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "NODES", 64)
        yield


def test_all_directions_meet():
    finding = find(DATA, MULTIPLICATIVE, seed=0)
    ends = [finding.balls, *(path[-1] for path in finding.trained), finding.augmented[-1]]
    assert min(ends) > 0.9999
    assert finding.pair > 0.9999
    assert finding.two_logits[-1] > 0.9999
    assert finding.optimal > 0.999999
    assert finding.ordinary < 0.99
    row = finding.row
    json.dumps(row, allow_nan=False)
    assert len(row["trained"]) == len(ADJUSTMENTS)
    assert len(row["augmented"]) == len(BOUNDS)


def test_adjustments_matter_at_small_norms_only():
    trained = np.array(find(DATA, MULTIPLICATIVE, seed=0).trained)
    spread = np.ptp(trained, axis=0)
    assert spread[0] > 0.01
    assert spread[-1] < 1e-6


def test_radii_are_those_of_appendix_e():
    margins = 1 / DATA.by_class(MULTIPLICATIVE)
    norm = float(np.linalg.norm(cost_sensitive_svm(*DATA, margins).normal))
    assert radii(MULTIPLICATIVE, norm) == pytest.approx((4 / norm, 0.25 / norm))
    half = (0.1, 0.4)
    differences = [np.subtract(*radii(MULTIPLICATIVE, norm))]
    differences.append(np.subtract(*radii(half, 2 * norm)))
    assert differences[0] == pytest.approx(differences[1])


def test_wrong_radii_are_told_apart(monkeypatch):
    def of_another_norm(multiplicative, norm):
        return radii(multiplicative, 2 * norm)

    monkeypatch.setattr(directions, "radii", of_another_norm)
    finding = find(DATA, MULTIPLICATIVE, seed=0)
    assert finding.balls < 0.9999
    assert finding.augmented[-1] < 0.9999
