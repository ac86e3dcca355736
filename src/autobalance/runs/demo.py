"""The demonstration: scikit-learn's digits made long-tailed, as a table like a user's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from autobalance.data.longtail import digits_long_tailed
from autobalance.data.tables import Table
from autobalance.runs.columns import Columns
from autobalance.runs.request import FitRequest
from autobalance.runs.rows import Rows

_COLUMNS = Columns(target="digit", split="split", features="pixels")
DEMO_REQUEST = FitRequest(_COLUMNS, objective="balanced")


def demo_rows() -> Rows:
    """Handwritten digits, nines rarer than zeros in training and as frequent in the test rows."""
    digits = digits_long_tailed()
    frame = pd.DataFrame(
        {
            "digit": np.concatenate([digits.train_target, digits.test_target]),
            "split": np.repeat(
                ["train", "test"], [len(digits.train_target), len(digits.test_target)]
            ),
        }
    )
    pixels = np.concatenate([digits.train_features, digits.test_features])
    return _COLUMNS.rows(Table("long-tailed digits (scikit-learn)", frame, {"pixels": pixels}))
