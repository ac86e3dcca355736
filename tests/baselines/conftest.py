"""A small workbench in double precision, and its data on the prepared axes."""

import numpy as np
import pytest

from autobalance.baselines.direct_search import Strength
from autobalance.counts import Counts
from autobalance.objectives import Objective
from autobalance.search.folds import make_folds
from autobalance.search.settings import SearchSettings
from autobalance.workbench import Workbench


def make_bench(
    objective="worst-group",
    classes=2,
    groups=2,
    rows=240,
    width=5,
    even=False,
    sample_weight=None,
    precision="double",
    **options,
):
    """Classes and groups that overlap; class 0 is large in group 0, the others in the last one."""
    rng = np.random.default_rng(0)
    share = np.geomspace(1, 0.4, classes)
    y = rng.choice(classes, rows, p=share / share.sum())
    g = (rng.random(rows) < np.where(y == 0, 0.15, 0.8)).astype(int) * (groups - 1)
    cells = np.arange(rows if even else 10 * classes * groups) % (classes * groups)
    y[: len(cells)], g[: len(cells)] = cells // groups, cells % groups
    x = rng.normal(size=(rows, width)) * np.geomspace(0.5, 2, width)
    x = 2.0 + x + 1.2 * np.eye(classes, width)[y] + 0.9 * np.eye(groups, width, classes)[g]
    weight = np.ones(rows) if sample_weight is None else sample_weight
    names = tuple("abcdef"[:classes])
    counts = Counts.from_codes(
        y, g if groups > 1 else None, names, tuple(range(groups)) if groups > 1 else None, weight
    )
    g = g * (groups > 1)
    folds = make_folds(3, x, y, y, y * groups + g, counts, weight, 0)
    bound = Objective.parse(objective).bind(counts)
    bench = Workbench(
        x, y, g, weight, counts, folds, bound, SearchSettings(precision=precision), **options
    )
    return x, bench


@pytest.fixture(name="make_bench")
def _make_bench():
    return make_bench


def at(**values):
    """Strengths that are not tuned but stay at these values."""
    return {name: Strength(value, 2.0, value, value) for name, value in values.items()}


@pytest.fixture(name="at")
def _at():
    return at


def standard_parts(x, head):
    """Features of variance 1, and the head's coefficients and intercepts on them."""
    mean, scale = x.mean(0), x.std(0)
    coef = head.model.coef * scale
    return (x - mean) / scale, coef, head.model.intercept + head.model.coef @ mean


@pytest.fixture(name="standard_parts")
def _standard_parts():
    return standard_parts


def cell_risks(bench, logits):
    """Mean cross-entropy of each cell over all examples, by definition."""
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), bench.y]
    K, G = bench.counts.values.shape
    return np.array(
        [[losses[(bench.y == k) & (bench.g == j)].mean() for j in range(G)] for k in range(K)]
    )


@pytest.fixture(name="cell_risks")
def _cell_risks():
    return cell_risks
