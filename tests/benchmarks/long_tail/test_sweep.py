"""Works are run once, whatever interrupts them, and rows of an earlier record stay."""

import argparse
import json

import pytest

import benchmarks.long_tail.sweep
from benchmarks.long_tail.sweep import Sweep, parser, settings_of

NAMES = (("a",), ("b", "c"))
ran = []


def run(lab, work):
    """Rows of a work, which is noted."""
    ran.append((work, lab.seed))
    return [{"method": name, "balanced": 10.0 * work + lab.seed} for name in NAMES[work]]


def fail_at_b(lab, work):
    """The second work breaks off."""
    if work == 1:
        raise KeyboardInterrupt
    return run(lab, work)


class EmptyLab:
    """A lab that nothing is trained in."""

    def __init__(self, case, data, recipe, seed):
        self.seed = seed


@pytest.fixture(autouse=True)
def _nothing_is_read(monkeypatch):
    monkeypatch.setattr(benchmarks.long_tail.sweep, "read_case", lambda *_: None)
    monkeypatch.setattr(benchmarks.long_tail.sweep, "Lab", EmptyLab)
    benchmarks.long_tail.sweep._data.cache_clear()
    ran.clear()


def sweep_of(record, *more, run=run):
    options = ["--dataset", "cifar10-lt", "--data-dir", ".", "--json", str(record), *more]
    arguments: argparse.Namespace = parser("").parse_args(options)
    settings = settings_of(arguments, development=False)
    return settings, Sweep(arguments, settings, "method", NAMES, run)


def test_rows_are_ordered_by_name_and_seed(tmp_path):
    _, sweep = sweep_of(tmp_path / "r.json", "--seeds", "2")
    rows = [(row["method"], row["seed"], row["balanced"]) for row in sweep.rows()]
    assert rows == [
        ("a", 0, 0),
        ("a", 1, 1),
        ("b", 0, 10),
        ("b", 1, 11),
        ("c", 0, 10),
        ("c", 1, 11),
    ]
    assert ran == [(0, 0), (1, 0), (0, 1), (1, 1)]  # seed by seed
    sweep.remove_parts()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_sweep_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sweep_of(tmp_path / "r.json", "--seeds", "1", run=fail_at_b)[1].rows()
    assert ran == [(0, 0)]
    assert len(sweep_of(tmp_path / "r.json", "--seeds", "1")[1].rows()) == 3
    assert ran == [(0, 0), (1, 0)]


def test_rows_of_a_record_with_the_same_settings_stay(tmp_path):
    record = tmp_path / "r.json"
    settings, _ = sweep_of(record)
    write(record, settings, {"method": "a", "seed": 0, "balanced": 1.0})
    assert sweep_of(record, "--seeds", "1")[1].rows()[0]["balanced"] == 1.0
    assert ran == [(1, 0)]
    write(record, settings | {"epochs": 7}, {"method": "a", "seed": 0, "balanced": 1.0})
    assert sweep_of(record, "--seeds", "1")[1].rows()[0]["balanced"] == 0.0


def test_only_what_is_named_is_run(tmp_path):
    rows = sweep_of(tmp_path / "r.json", "--seeds", "1", "--only", "x;c")[1].rows()
    assert [row["method"] for row in rows] == ["b", "c"]


def write(record, settings, row):
    """An earlier record of one row."""
    record.write_text(json.dumps({"settings": settings, "rows": [row]}))
