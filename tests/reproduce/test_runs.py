"""Runs that are kept: what is finished is never done again, and what is damaged is never read."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.errors import ArtifactError, DataError
from autobalance.reproduce.runs import KeptRuns, Unit, by_method, finish, units_of

SETTINGS = {"epochs": 3, "data": "abc"}


class Work:
    """Does units and notes which; the row of a method is its letter and the seed."""

    def __init__(self, failing=None):
        self.done, self.failing = [], failing

    def __call__(self, unit):
        if unit == self.failing:
            raise DataError("the features are not finite; make them again")
        self.done.append(unit)
        return {name: {"error": unit.seed + 0.5, "told": f"{name} done"} for name in unit.methods}


@pytest.fixture
def kept(tmp_path):
    return KeptRuns(tmp_path / "runs", "birds", SETTINGS)


def test_the_rows_come_in_the_order_of_the_units(kept, watch):
    units = units_of([("a",), ("b",)], 2)
    assert units == [Unit(("a",), 0), Unit(("b",), 0), Unit(("a",), 1), Unit(("b",), 1)]
    rows = finish(units[::-1], kept, Work(), 1, watch)
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("b", 1),
        ("a", 1),
        ("b", 0),
        ("a", 0),
    ]
    assert rows[0]["error"] == 1.5
    assert rows[0]["created"].endswith("+00:00")
    assert watch.said[0] == "seed 1, b: b done"
    assert watch.stages[0] == ("Running", 0.0)
    assert watch.stages[-1] == ("Run 4 of 4", 1.0)


def test_a_second_time_does_only_what_is_missing(kept, watch):
    first = finish(units_of([("a",)], 2), kept, Work(), 1, watch)
    work = Work()
    rows = finish(units_of([("a",), ("b",)], 2), kept, work, 1, watch)
    assert work.done == [Unit(("b",), 0), Unit(("b",), 1)]
    assert "2 of 4 runs are finished already" in watch.said
    assert [row for row in rows if row["method"] == "a"] == first
    idle = Work()
    assert finish(units_of([("a",), ("b",)], 2), kept, idle, 1, watch) == rows
    assert idle.done == []
    assert watch.said[-1] == "4 of 4 runs are finished already"


@pytest.mark.parametrize("changed", [{"epochs": 4}, {"data": "abd"}, {"more": None}])
def test_runs_under_other_settings_do_not_count(kept, tmp_path, watch, changed):
    finish(units_of([("a",)], 1), kept, Work(), 1, watch)
    others = KeptRuns(tmp_path / "runs", "birds", SETTINGS | changed)
    assert not others.has("a", 0)
    work = Work()
    finish(units_of([("a",)], 1), others, work, 1, watch)
    assert work.done == [Unit(("a",), 0)]
    assert others.folder != kept.folder
    assert json.loads((others.folder / "settings.json").read_text()) == SETTINGS | changed


def test_the_order_of_settings_does_not_matter(kept, tmp_path):
    same = KeptRuns(tmp_path / "runs", "birds", dict(reversed(SETTINGS.items())))
    assert same.folder == kept.folder


def test_a_unit_gives_a_row_for_each_of_its_methods(kept, watch):
    units = [Unit(("a", "b"), 0)]
    rows = finish(units, kept, Work(), 1, watch)
    assert [row["method"] for row in rows] == ["a", "b"]
    assert watch.said == ["seed 0, a: a done; seed 0, b: b done"]
    (kept.folder / "b-seed0.json").unlink()
    work = Work()
    assert [row["method"] for row in finish(units, kept, work, 1, watch)] == ["a", "b"]
    assert work.done == units


def test_a_failing_unit_leaves_the_finished_ones(kept, watch):
    units = units_of([("a",), ("b",), ("c",)], 1)
    with pytest.raises(DataError, match="the features are not finite"):
        finish(units, kept, Work(failing=units[1]), 1, watch)
    assert [kept.has(name, 0) for name in "abc"] == [True, False, False]
    work = Work()
    assert len(finish(units, kept, work, 1, watch)) == 3
    assert work.done == units[1:]


@pytest.mark.slow
def test_processes_give_the_same(tmp_path, watch):
    def work(unit):  # here, so that it travels to the processes by value
        return {name: {"error": 2.0 * unit.seed, "told": name} for name in unit.methods}

    def failing(unit):
        raise ArtifactError("no space is left; delete something")

    units = units_of([("a",), ("b", "c")], 2)
    alone, beside = (KeptRuns(tmp_path / name, "birds", SETTINGS) for name in ("one", "two"))
    expected, found = (
        finish(units, kept, work, jobs, watch) for kept, jobs in ((alone, 1), (beside, 2))
    )
    assert [{**row, "created": ""} for row in found] == [{**row, "created": ""} for row in expected]
    with pytest.raises(ArtifactError, match=r"^no space is left; delete something$"):
        finish([*units, Unit(("d",), 0)], beside, failing, 2, watch)
    assert beside.has("a", 1)


DAMAGED = {
    "empty": b"",
    "cut off": b'{"method": "a", "see',
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"3",
    "a string": b'"method"',
    "nothing in it": b"{}",
    "of another method": b'{"method": "b", "seed": 0}',
    "of another seed": b'{"method": "a", "seed": 1}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named_and_not_read(kept, watch, content):
    finish(units_of([("a",)], 1), kept, Work(), 1, watch)
    path = kept.folder / "a-seed0.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as error:
        finish(units_of([("a",)], 1), kept, Work(), 1, watch)
    sentence = str(error.value)
    assert sentence.startswith(f"{path} is damaged (")
    assert sentence.endswith("; delete it to have it run again")
    assert "\n" not in sentence
    path.unlink()
    assert finish(units_of([("a",)], 1), kept, Work(), 1, watch)[0]["error"] == 0.5


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("method"), inner),
)


@given(content=st.binary() | PLAIN.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_file_holds_it_is_refused_in_one_sentence(tmp_path_factory, content):
    kept = KeptRuns(tmp_path_factory.mktemp("runs"), "birds", SETTINGS)
    kept.folder.mkdir()
    (kept.folder / "a-seed0.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a-seed0\.json is damaged"):
        kept.read("a", 0)


def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path, watch):
    (tmp_path / "runs").write_text("mine")
    kept = KeptRuns(tmp_path / "runs", "birds", SETTINGS)
    message = re.escape(f"cannot write {kept.folder} (Not a directory); choose another folder")
    with pytest.raises(ArtifactError, match=message):
        finish(units_of([("a",)], 1), kept, Work(), 1, watch)
    assert (tmp_path / "runs").read_text() == "mine"


def test_a_row_that_json_cannot_hold_is_not_kept(kept):
    with pytest.raises(ValueError, match="JSON compliant"):
        kept.write("a", 0, {"error": float("nan")})
    assert not kept.has("a", 0)


def test_rows_are_grouped_by_method_and_seed():
    rows = [{"method": method, "seed": seed} for seed in (1, 0) for method in "ba"]
    grouped = by_method(rows)
    assert list(grouped) == ["b", "a"]
    for method, runs in grouped.items():
        assert runs == {seed: {"method": method, "seed": seed} for seed in (0, 1)}
