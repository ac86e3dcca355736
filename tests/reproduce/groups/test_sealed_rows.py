"""Every row but those that say so is fitted without a look at the scored part."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import torch

from autobalance.reproduce.fitted import PEEKING
from autobalance.reproduce.groups import work
from autobalance.reproduce.groups.data import read_features
from autobalance.reproduce.groups.fronts import FRONTS, LAMBDAS, methods_of
from autobalance.reproduce.groups.lab import GroupLab
from autobalance.reproduce.groups.methods import PostHocOnScored
from autobalance.reproduce.groups.rows import ALGORITHM1, METHODS
from autobalance.reproduce.runs import Unit
from autobalance.reproduce.sealed import Sealed


def reachable(root):
    """All objects that an object leads to."""
    found, left = {}, [root]
    while left:
        each = left.pop()
        if id(each) in found or isinstance(each, (type, ModuleType, str, bytes)):
            continue
        found[id(each)] = each
        if isinstance(each, Mapping):
            left += [*each, *each.values()]
        elif isinstance(each, (list, tuple, set, frozenset)):
            left += each
        left += getattr(each, "__dict__", {}).values()
        left += [cell.cell_contents for cell in getattr(each, "__closure__", None) or ()]
        left.append(getattr(each, "__self__", None))
        if isinstance(each, partial):
            left += [each.func, each.args, each.keywords]
    return list(found.values())


def holds(root, number):
    arrays = [each for each in reachable(root) if isinstance(each, (np.ndarray, torch.Tensor))]
    return any(each.dtype != object and bool((each == number).any()) for each in arrays)


@pytest.fixture
def quick(monkeypatch, few_folds, coarse):
    """Rows that take no time: fewer folds, strengths and epochs."""
    algorithm1 = METHODS[ALGORITHM1]
    training = replace(algorithm1.network.training, epochs=20)
    network = replace(algorithm1.network, training=training)
    monkeypatch.setitem(work._BY_KEY, ALGORITHM1, replace(algorithm1, network=network))


HONEST = [key for key, method in METHODS.items() if method.kind != PEEKING]
OTHERS = [key for key in METHODS if key not in HONEST]
OF_FRONTS = [methods_of(front)[LAMBDAS[-1]].key for front in FRONTS]


class Lab:
    """Has something in an attribute."""

    def __init__(self, kept):
        self.kept = kept

    def fit(self):
        """Nothing."""


def with_default(kept):
    return lambda: kept


def test_the_walk_finds_what_is_hidden():
    sealed = Sealed(np.zeros((1, 1)), np.array([0]), None, (1, 1))
    for hidden in (
        {"a": (1, [sealed])},
        Lab({"a": Lab(sealed)}),
        with_default(Lab(sealed)),
        partial(print, Lab(sealed)),
        partial(print, end=sealed),
        Lab(sealed).fit,
    ):
        assert any(each is sealed for each in reachable([hidden]))
    assert not any(each is sealed for each in reachable([Lab(1), with_default({"a": 2}), Lab]))
    arrays = {"a": (torch.zeros(2), np.array([1, 7]))}
    assert holds(arrays, 7)
    assert not holds(arrays, 8)


def test_which_rows_peek_is_what_their_kind_says():
    assert all(isinstance(METHODS[key], PostHocOnScored) for key in OTHERS)
    assert len(OTHERS) == 2
    for key in HONEST + OF_FRONTS:
        assert list(inspect.signature(work._BY_KEY[key].fit).parameters) == ["lab"]


@pytest.fixture
def both(write_waterbirds):
    """The same data but for the scored labels, which are mixed in the second."""
    return write_waterbirds("as they are"), write_waterbirds("mixed", shuffled=True)


def digits(codes):
    return "".join(map(str, codes.tolist()))


@pytest.mark.parametrize("key", HONEST + OF_FRONTS)
def test_a_row_depends_on_nothing_of_the_scored_part(key, both, quick, mark):
    data = read_features(both[0])
    lab = GroupLab(data.train, data.counts, 0)
    assert holds(data, mark)
    fitted = work._BY_KEY[key].fit(lab)
    assert not any(isinstance(each, Sealed) for each in reachable(lab))
    assert not holds(lab, mark)
    row = work.Heads(both[1])(Unit((key,), 0))[key]
    assert row["predictions"] == digits(data.test.predictions(fitted.predict))
    as_they_are = data.test.errors(data.test.predictions(fitted.predict))
    assert row["cell_errors"] != (100 * as_they_are).round(3).tolist()  # other labels, to be sure


@pytest.mark.parametrize("key", OTHERS)
def test_a_peeking_row_changes_with_the_scored_labels(key, both, quick):
    rows = [work.Heads(data_dir)(Unit((key,), 0))[key] for data_dir in both]
    assert rows[0]["bias"] != rows[1]["bias"]
    assert rows[0]["predictions"] != rows[1]["predictions"]
