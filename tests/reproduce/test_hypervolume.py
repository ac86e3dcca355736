"""The hypervolume against counting unit squares, and what cannot change it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.reproduce.hypervolume import front, hypervolume

SIDE = 8
POINTS = st.lists(st.tuples(st.integers(-1, SIDE + 2), st.integers(-1, SIDE + 2)), max_size=8).map(
    lambda points: [(float(across), float(up)) for across, up in points]
)
REFERENCE = (float(SIDE), float(SIDE))


def by_counting(points):
    """Unit squares, from -1 to the reference, whose lower left corner some point dominates."""
    places = range(-1, SIDE)
    return sum(
        any(across <= column and up <= line for across, up in points)
        for column in places
        for line in places
    )


@given(POINTS)
def test_it_is_the_number_of_dominated_squares(points):
    assert hypervolume(points, REFERENCE) == by_counting(points)


@given(POINTS, st.randoms())
def test_the_order_does_not_matter(points, random):
    mixed = list(points)
    random.shuffle(mixed)
    assert hypervolume(mixed, REFERENCE) == hypervolume(points, REFERENCE)
    assert front(mixed) == front(points)


@given(POINTS.filter(bool), st.floats(0, 5), st.floats(0, 5))
def test_a_dominated_point_changes_nothing(points, right, up):
    worse = (points[0][0] + right, points[0][1] + up)
    assert hypervolume([*points, worse], REFERENCE) == hypervolume(points, REFERENCE)


@given(POINTS)
def test_the_front_is_what_no_other_point_beats(points):
    kept = front(points)
    beaten = {p for p in points for q in points if q != p and q[0] <= p[0] and q[1] <= p[1]}
    assert set(kept) == set(points) - beaten
    assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([], 0.0),
        ([(10.0, 20.0)], 10.0 * 30.0),
        ([(10.0, 20.0), (10.0, 20.0)], 10.0 * 30.0),
        ([(10.0, 20.0), (15.0, 5.0)], 10.0 * 30.0 + 5.0 * 15.0),
        ([(20.0, 5.0)], 0.0),  # as bad as the reference in one
        ([(25.0, 0.0), (0.0, 60.0)], 0.0),
        ([(0.0, 0.0)], 20.0 * 50.0),
    ],
)
def test_by_hand(points, area):
    assert hypervolume(points, (20.0, 50.0)) == pytest.approx(area)
