"""The demonstration: scikit-learn's digits made long-tailed, as a table like a user's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from autobalance.data.longtail import digits_long_tailed
from autobalance.data.tables import Table
from autobalance.runs.columns import Columns
from autobalance.runs.fit import FitRequest

DEMO_REQUEST = FitRequest(
    Columns(target="digit", split="split", features="pixels"), objective="balanced"
)


def demo_table() -> Table:
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
    return Table("long-tailed digits (scikit-learn)", frame, {"pixels": pixels})
