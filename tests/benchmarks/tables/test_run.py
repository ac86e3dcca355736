"""One case with one seed, and the whole command on a table of its own."""

import json
import sys

import numpy as np
import pytest

import benchmarks.tables.__main__ as command
from autobalance.contest.contenders import OURS, TUNED_BIAS
from benchmarks.record import Parts
from benchmarks.tables import rivals
from benchmarks.tables.cases import make_task
from benchmarks.tables.run import run_task


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr(rivals, "STRENGTHS", (1.0,))


def test_every_method_predicts_the_same_held_out_examples(table, by_class):
    task = make_task(table, by_class, 1)
    part = run_task(task)
    methods = [row["method"] for row in part["rows"]]
    assert {OURS, TUNED_BIAS, "Logit adjustment", rivals.BALANCED, rivals.BOOSTED} <= set(methods)
    assert list(part["predicted"]) == methods
    assert [row["method"] for row in part["rows"] if row["headline"]] == [OURS]
    assert [row["method"] for row in part["rows"] if not row["ranked"]] == [rivals.BOOSTED]
    for row in part["rows"]:
        wrong = np.array(part["predicted"][row["method"]]) != task.test.y
        expected = 50 * sum(wrong[task.test.y == k].mean() for k in (0, 1))
        assert row["value"] == row["balanced"] == pytest.approx(expected)
        assert row["seconds"] > 0
    json.dumps(part, allow_nan=False)


@pytest.fixture
def arguments(monkeypatch, tmp_path, table, by_class):
    """The command line for two seeds of the small table."""
    (tmp_path / "tables").mkdir()
    table.frame.to_csv(tmp_path / "tables" / "toy.csv.gz", index=False)
    monkeypatch.setattr(command, "CASES", (by_class,))
    monkeypatch.setattr(command, "TABLES", ("toy",))
    record = tmp_path / "tables.json"
    words = ["--data-dir", str(tmp_path), "--json", str(record), "--seeds", "2", "--tables", "toy"]
    monkeypatch.setattr(sys, "argv", ["tables", *words])
    return record


def test_an_interrupted_run_goes_on(monkeypatch, arguments, capsys):
    real, ran = command.run_case, []

    def fails_at_the_second(data_dir, case, seed):
        if seed == 1 and not ran.count(1):
            ran.append(seed)
            raise KeyboardInterrupt
        ran.append(seed)
        return real(data_dir, case, seed)

    monkeypatch.setattr(command, "run_case", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        command.main()
    assert not arguments.exists()
    assert "toy-class-balanced-0" in Parts(arguments)
    command.main()
    assert ran == [0, 1, 1]
    record = json.loads(arguments.read_text())
    assert {row["seed"] for row in record["rows"]} == {0, 1}
    assert record["summary"][0]["seeds"] == 2
    assert record["goals"]
    assert record["ranks"]
    assert not Parts(arguments).folder.exists()
    assert "1 of 2 are done already" in capsys.readouterr().out


def test_an_unknown_table_is_refused(monkeypatch, arguments, capsys):
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], "nothing"])
    with pytest.raises(SystemExit):
        command.main()
    assert "no table 'nothing'; choose from toy" in capsys.readouterr().err
