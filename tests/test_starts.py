"""The closed forms that a search may start from."""

import pytest

from autobalance.objectives import Objective
from autobalance.starts import default_starts


@pytest.mark.parametrize(
    ("objective", "starts"),
    [
        ("error", ("cross-entropy",)),
        ("balanced", ("logit-adjustment", "weighted")),
        ("error+worst-class", ("logit-adjustment", "weighted")),
        ("worst-group", ("group-la", "group-balanced")),
        ("cost", ("cost-adjustment", "cost-weighted")),
        ("balanced+equalized-odds", ("group-la", "group-balanced")),
    ],
)
def test_starts_are_consistent_with_the_objective(objective, starts):
    assert default_starts(Objective.parse(objective)) == starts
