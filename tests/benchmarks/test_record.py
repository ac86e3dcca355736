"""What a benchmark keeps beside its record while it runs."""

import pytest

import benchmarks.record
from benchmarks.record import Parts


def test_parts_are_kept_until_they_are_removed(tmp_path):
    parts = Parts(tmp_path / "tables.json")
    assert "a-0" not in parts
    parts.write("a-0", {"rows": [1, 2]})
    assert "a-0" in parts
    assert Parts(tmp_path / "tables.json").read("a-0") == {"rows": [1, 2]}
    assert "a-0" not in Parts(tmp_path / "other.json")
    parts.remove()
    parts.remove()
    assert list(tmp_path.iterdir()) == []


def test_parts_of_other_code_do_not_count(tmp_path, monkeypatch):
    Parts(tmp_path / "tables.json").write("a-0", 1)
    monkeypatch.setattr(benchmarks.record, "__file__", str(tmp_path / "record.py"))
    changed = Parts(tmp_path / "tables.json")
    assert "a-0" not in changed
    changed.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_json_cannot_hold_leaves_no_part(tmp_path):
    parts = Parts(tmp_path / "tables.json")
    with pytest.raises(ValueError, match="JSON"):
        parts.write("a-0", float("nan"))
    assert "a-0" not in parts
