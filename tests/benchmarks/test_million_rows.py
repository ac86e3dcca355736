"""The file of the benchmark, and the memory that it sees."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import benchmarks.million_rows as bench
from benchmarks.page.heads import million_rows

MB = 10**6


def test_a_larger_file_begins_with_the_rows_of_a_smaller_one(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_ROW_GROUP", 100)
    frames = {}
    for rows in (200, 350):
        bench.write_table(tmp_path / "t.parquet", rows, seed=3)
        assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == -(-rows // 100)
        frames[rows] = pd.read_parquet(tmp_path / "t.parquet")
        assert len(frames[rows]) == rows
    pd.testing.assert_frame_equal(frames[350][:200], frames[200])


def test_the_table_is_what_is_said_of_it():
    frame = bench.row_group(20_000, 0, 0).to_pandas()
    features = frame.drop(columns=["label", "region", "split"])
    assert features.shape[1] == 200
    assert (features.dtypes == np.float32).sum() == 150
    assert (features.dtypes == np.int64).sum() == 40
    assert (features.isna().any()).sum() == 30
    assert frame["label"].eq("yes").mean() == pytest.approx(0.02, abs=0.005)
    assert frame["split"].value_counts(normalize=True)["train"] == pytest.approx(0.9, abs=0.01)
    assert 3 <= frame["text_0"].nunique() <= 9


def test_the_memory_of_children_counts():
    child = f"import time; held = b'x' * {60 * MB}; time.sleep(0.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    took = bench.measure_command([sys.executable, "-c", code])
    assert 60 * MB < took.peak < 200 * MB
    assert took.seconds > 0.5 > took.cpu > 0


def test_a_short_peak_is_not_missed(monkeypatch):
    monkeypatch.setattr(bench, "_INTERVAL", 0.3)
    code = f"import time; held = b'x' * {80 * MB}; del held; time.sleep(0.5)"
    took = bench.measure_command([sys.executable, "-c", code])
    assert took.peak > 80 * MB


def test_a_command_that_fails_ends_the_benchmark():
    with pytest.raises(SystemExit, match="failed"):
        bench.measure_command([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_process_that_has_ended_holds_nothing():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert bench.resident(ended.pid) == 0
    assert bench.resident(os.getpid()) > MB


def rows():
    return [
        {
            "command": command,
            "rows": rows,
            "features": 235,
            "seconds": rows / 2000,
            "cpu": rows / 1000,
            "peak": 500 * MB + copies * 4 * 235 * rows,
            "data": 4 * 235 * rows,
            "load": 0.1,
        }
        for rows in (10**5, 10**6)
        for command, copies in ((bench.FIT, 3), (bench.PREDICT, 2), (bench.EVALUATE, 2))
    ]


def test_copies_of_the_data_are_the_slope_of_the_memory():
    summary = bench.summarise(rows())
    assert summary["copies"] == pytest.approx({bench.FIT: 3, bench.PREDICT: 2, bench.EVALUATE: 2})
    assert summary["minutes"] == pytest.approx(500 / 60)
    assert summary["met"]
    assert bench.summarise(rows()[:3])["copies"][bench.FIT] is None


def test_the_section_says_what_was_measured():
    text = million_rows({"rows": rows(), "summary": bench.summarise(rows())})
    assert "| fit | 1,000,000 | 500 | 1000 | 3.32 | 0.94 | 0.1 |" in text
    assert "fit 3.0, predict 2.0, evaluate 2.0" in text
    assert "8 GB: met" in text
