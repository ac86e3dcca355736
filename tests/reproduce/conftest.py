"""A small file of Waterbirds features, an outcome, and a watch that remembers."""

from functools import partial

import numpy as np
import pytest

from autobalance.baselines import group_dro as group_dro_module
from autobalance.baselines import group_vs_dro as group_vs_dro_module
from autobalance.baselines.direct_search import Strength
from autobalance.report.figures.canvas import add_axes, new_figure
from autobalance.reproduce.groups import fronts as fronts_module
from autobalance.reproduce.groups import lab as lab_module
from autobalance.reproduce.groups import methods as methods_module
from autobalance.reproduce.groups.data import read_features
from autobalance.reproduce.groups.lab import GroupLab
from autobalance.reproduce.outcome import Check, Line, Outcome, Picture, Table
from autobalance.reproduce.request import Request
from autobalance.runs.watch import Watch

PARTS = {"train": 100, "validation": 60, "test": 60}
SHARES = {(0, 0): 0.5, (0, 1): 0.1, (1, 0): 0.1, (1, 1): 0.3}
MARK = 12.375
"""In one of the scored features and nowhere else."""


class Remembering(Watch):
    """Keeps everything that it is told."""

    def __init__(self):
        self.said, self.stages = [], []

    def say(self, sentence):
        self.said.append(sentence)

    def stage(self, name, share=None):
        self.stages.append((name, share))


@pytest.fixture
def watch():
    return Remembering()


def waterbirds_arrays(seed=0, shuffled=False):
    """Birds of both kinds in both places in every part; ``shuffled`` mixes the scored labels."""
    rng = np.random.default_rng(seed)
    columns = [
        (part, *cell)
        for part, rows in PARTS.items()
        for cell, share in SHARES.items()
        for _ in range(round(share * rows))
    ]
    split, y, g = (np.array(column) for column in zip(*columns, strict=True))
    x = rng.normal(size=(len(y), 6))
    x[:, 0] += 1.5 * y
    x[:, 1] += 2.0 * g
    scored = np.flatnonzero(split == "test")
    x[scored[0], -1] = MARK
    if shuffled:
        mixed = rng.permutation(scored)
        y[scored], g[scored] = y[mixed], g[mixed]
    return {"features": x.astype(np.float32), "y": y, "place": g, "split": split}


@pytest.fixture(name="waterbirds_arrays", scope="session")
def _waterbirds_arrays():
    return waterbirds_arrays


def save_waterbirds(data_dir, backbone="tiny", *, seed=0, shuffled=False, without=(), **changed):
    """Make a folder of data: the arrays as they are but for those that are named."""
    arrays = waterbirds_arrays(seed, shuffled) | changed
    place = data_dir / "waterbirds"
    place.mkdir(parents=True, exist_ok=True)
    kept = {name: array for name, array in arrays.items() if name not in without}
    np.savez(place / f"features_{backbone}.npz", **kept)
    return data_dir


@pytest.fixture(name="save_waterbirds", scope="session")
def _save_waterbirds():
    return save_waterbirds


@pytest.fixture
def write_waterbirds(tmp_path):
    """The same by a name for the folder."""
    return lambda folder="data", *names, **options: save_waterbirds(
        tmp_path / folder, *names, **options
    )


@pytest.fixture(scope="session")
def with_few_folds():
    """Sets three folds, drawn once: small data need no more."""

    def set_folds(patch):
        patch.setattr(lab_module, "FOLDS", 3)
        patch.setattr(lab_module, "REPEATS", 1)

    return set_folds


@pytest.fixture
def few_folds(monkeypatch, with_few_folds):
    with_few_folds(monkeypatch)


@pytest.fixture
def coarse(monkeypatch):
    """Searches over few strengths, each moved a little: how good they are matters elsewhere."""
    fixed = {
        name: Strength.fixed(each.start) for name, each in group_vs_dro_module.STRENGTHS.items()
    }
    coarse = fixed | {"ridge": Strength(0.1, 4.0, 0.05, 0.2)}
    few = {name: coarse[name] for name in group_dro_module.STRENGTHS}
    monkeypatch.setattr(group_vs_dro_module, "STRENGTHS", coarse)
    monkeypatch.setattr(group_dro_module, "STRENGTHS", few)
    blend = {"ridge": coarse["ridge"], "ratio": Strength(1.0, 4.0, 0.5, 2.0)}
    monkeypatch.setattr(methods_module, "BLEND_STRENGTHS", blend)
    monkeypatch.setattr(fronts_module, "STRENGTHS", blend)


@pytest.fixture
def small_lab(write_waterbirds, few_folds):
    """Features, and a lab of their training part."""
    data = read_features(write_waterbirds())
    return data, GroupLab(data.train, data.counts, 0)


@pytest.fixture
def request_for(tmp_path):
    """A request for data in a folder, with runs beside it."""

    def make(data_dir, **options):
        return Request(tmp_path / "out", data_dir=data_dir, **options)

    return make


@pytest.fixture
def outcome():
    """Everything that an outcome can have, with signs that mean something in Markdown and HTML."""
    return Outcome(
        "table9_birds",
        "Table 9: fairness <of birds>",
        {"data": "120 birds & bees", "Seeds": "2"},
        ("fixed features <tiny>", "half the birds"),
        (
            Table(
                "Errors | in percent",
                ("Loss", "Error, %", "paper"),
                (
                    Line(("P(y|x) <plain>", "12.50 ± 0.25", "")),
                    Line(("Ours", "3.00", "4.25"), headline=True),
                    Line(("Ours, |w| = 1", "2.00", ""), headline=True),
                ),
                ("± is the standard error & nothing else.",),
            ),
        ),
        (Picture("front", "Lower is <better>.", "Two lines.", partial(_drawn, "error <front>")),),
        (Check("error below 5%", True, "3.00"), Check("gap < 1", False, "1.30")),
        ({"method": "ours", "seed": 0, "error": 3.0}, {"method": "plain", "seed": 1, "error": 12}),
        {"summary": [{"method": "ours", "error": 3.0}]},
    )


def _drawn(title, width):
    figure = new_figure(width, 100)
    axes = add_axes(figure, 40, 20, width - 60, 60)
    axes.plot([0, 1], [1, 0])
    axes.set_title(title)
    return figure


@pytest.fixture
def mark():
    return MARK
