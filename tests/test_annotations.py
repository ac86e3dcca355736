"""Shapes in annotations are checked while the tests run; without this, that could stop unseen."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from autobalance.counts import Counts


def test_a_wrong_shape_is_caught_by_the_annotation() -> None:
    two_dimensional = np.zeros((2, 1), dtype=int)
    with pytest.raises(TypeCheckError, match="parameter 'y'"):
        Counts.from_codes(two_dimensional, None, ("a",))
