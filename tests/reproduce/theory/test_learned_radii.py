"""Learned radii make the shift that is asked for, and every claim can fail."""

import json
from dataclasses import replace

import numpy as np
import pytest

from autobalance.reproduce.theory import learned_radii as module
from autobalance.reproduce.theory.learned_radii import checks, learn, make_world, picture, table
from autobalance.reproduce.theory.margins import Boundary


@pytest.fixture(scope="module")
def found():
    return [learn(0, 2, 0.3, multiplier, copies=64) for multiplier in (1.0, 1000.0)]


def test_held_out_points_ask_for_the_shift():
    world = make_world(3, 2, 0.2)
    minority, majority = np.split(world.held_out, 2)
    centre = (minority + majority).mean(axis=0) / 2
    np.testing.assert_allclose(np.sort(minority, 0), np.sort(2 * centre - majority, 0), atol=1e-12)
    asked = Boundary(world.ordinary.normal, -float(world.ordinary.normal @ centre))
    assert world.shift(asked) == pytest.approx(0.2)
    assert world.shift(world.ordinary) == pytest.approx(0)
    # towards the majority: the minority gains what the majority loses
    distances = asked.distances(*world.data) / world.margin
    assert distances[world.data.labels > 0].min() == pytest.approx(1.2)
    assert distances[world.data.labels < 0].min() == pytest.approx(0.8)


def test_the_radii_move_the_boundary_as_asked(found):
    weak, strong = found
    for each in found:
        assert each.by_head == pytest.approx(0.3, abs=module.REACHED)
        assert each.world.shift(each.machine) == pytest.approx(each.by_radii, abs=1e-4)
    assert abs(strong.by_radii - 0.3) < abs(weak.by_radii - 0.3)
    assert abs(strong.by_radii - 0.3) <= module.SHIFTED
    assert strong.ridge == pytest.approx(1e-12)
    json.dumps([each.row for each in found], allow_nan=False)


def test_table_and_picture(found):
    shown = table(found)
    assert len(shown.lines) == 2
    assert all(len(line.cells) == len(shown.columns) for line in shown.lines)
    assert len(picture(found).draw(760).axes) == 1


def moved(learned, by, what):
    """The same with a boundary moved by so many margins towards the majority."""
    boundary = getattr(learned, what)
    length = np.linalg.norm(boundary.normal)
    offset = boundary.offset + by * learned.world.margin * length
    return replace(learned, **{what: Boundary(boundary.normal, float(offset))})


def test_each_claim_can_fail(found):
    weak, strong = found

    def verdicts(*learned):
        return [check.passed for check in checks(learned)]

    assert verdicts(weak, strong)[:2] == [True, True]
    assert not verdicts(moved(weak, 0.02, "head"), strong)[0]
    assert not verdicts(weak, replace(strong, radii=(1.2, 0.3)))[1]
    assert not verdicts(replace(weak, radii=strong.radii), replace(strong, radii=weak.radii))[1]
    assert not verdicts(weak, moved(strong, 0.2, "head"))[2]
    assert not verdicts(weak, moved(strong, 0.2, "before"))[3]
