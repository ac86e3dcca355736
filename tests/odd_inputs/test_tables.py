"""Tables of every kind of damage, read and encoded as ``autobalance fit`` does it."""

import warnings

import numpy as np
import pytest

from autobalance.data.tables import read_table
from autobalance.errors import AutoBalanceError
from autobalance.runs.columns import Columns
from autobalance.runs.examples import prepare
from tests.odd_inputs.kit import USED, refusal
from tests.odd_inputs.tables import odd_file


def roles(rng, features):
    """Roles that mostly fit."""
    groups = rng.choice(((), ("place",)))
    split = rng.choice((None, "part"))
    drop = ()
    if rng.random() < 0.2:
        groups = rng.choice((("place", "part"), ("y",), ("a",), ("nothing",), ("place", "place")))
        split = rng.choice((None, "a", "y", "nothing"))
        drop = rng.choice(((), ("a",), ("place",), ("y",), ("",)))
    return Columns("y", groups, split, drop, bool(groups) and rng.random() < 0.1, features)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_tables(tried, tmp_path):
    def case(rng):
        path = odd_file(rng, tmp_path)
        archive = path.suffix == ".npz"
        features = "x" if archive != (rng.random() < 0.03) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # which the command line shows
            try:
                columns = roles(rng, features)
                rows = columns.read_to_fit(path)
                dropped = rng.choice((*((),) * 9, ("no",), ("missing",), ("1",)))
                prepared = prepare(rows, columns, dropped)
                again = read_table(path, features=features)  # as predict does it
                assert len(prepared.reader.transform(again)) == len(again)
            except AutoBalanceError as error:
                return refusal(error)
        for examples in (prepared.train, prepared.test):
            if examples is not None:
                assert examples.features.ndim == 2
                assert len(examples.features) == len(examples.y) == len(examples.g)
                assert examples.features.shape[1:] == prepared.reader.shape
                assert np.isfinite(examples.features).all()
        assert prepared.counts.values.sum() == len(prepared.train) <= len(rows)
        return USED

    tried("tables", case)
