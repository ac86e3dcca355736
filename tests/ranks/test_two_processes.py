"""Two processes against one: the same values of the loss, the same design, and no hang."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

JOB = Path(__file__).with_name("job.py")
FILES = {"design.json", "metrics.json", "history.csv", "report.html", "model.json"}

pytestmark = pytest.mark.slow


def torchrun(*command, limit=240):
    """Start two processes, on one thread each, as ``torchrun`` does."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        + [str(word) for word in command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@pytest.fixture(scope="module")
def job():
    spec = importlib.util.spec_from_file_location("job", JOB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes found, by name."""
    out = tmp_path_factory.mktemp("two")
    outcome = torchrun(JOB, "several", out)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return lambda name: results_in(out, name)


def results_in(folder, name):
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in range(2)]


def close(found, expected, tolerance):
    """Compare nested values: numbers closely, the rest exactly."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            close(found[key], expected[key], tolerance)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other, tolerance)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=tolerance)
    else:
        assert found == expected


def test_two_processes_find_the_exact_search_s_alpha_and_design(job, two, monkeypatch):
    monkeypatch.setattr(job.feature_chunks, "_CHUNK_BYTES", job.feature_chunks._CHUNK_BYTES)
    alone = job.exact()
    assert np.abs(alone["alpha"]).max() > 0.05  # it has moved
    for rank in two("exact"):
        close(rank, alone, 1e-5)


def test_two_processes_find_alpha_and_design_where_some_rows_go_ahead(job, two, monkeypatch):
    for module, name in (
        (job.feature_chunks, "_CHUNK_BYTES"),
        (job.linear_bench, "_ROWS_OF_A_SCOUT"),
        (job.linear_heads, "_ROWS_OF_A_CELL"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    alone = job.many_rows()
    assert 0 < alone["went_ahead"] < 300
    for rank in two("many_rows"):
        close(rank, alone, 1e-5)


def test_two_processes_find_the_online_search_s_alpha_and_design_in_a_loop_of_one_s_own(job, two):
    alone = job.own_loop()
    assert np.abs(alone["alpha"]).max() > 0.3
    first, second = two("own_loop")
    assert first["alpha"] == second["alpha"]
    for rank in (first, second):
        close(rank["alpha"], alone["alpha"], 1e-5)
        close(rank["design"], alone["design"], 1e-5)
    shared = np.mean([first["losses"], second["losses"]], axis=0)
    assert shared == pytest.approx(alone["losses"], abs=1e-5)


def test_two_processes_search_and_retrain_as_one_does(job, two):
    alone = job.pipeline()
    assert np.abs(alone["alpha"]).max() > 0.05
    first, second = two("pipeline")
    assert first == second
    close(first, alone, 1e-5)


def test_two_processes_refuse_a_move_together(two):
    first, second = two("refused")
    assert first == second
    assert [bool(why) for why in first["refused"]] == [False, True, False]


def test_kill_9_of_one_of_two_processes_leaves_a_checkpoint_that_resumes(job, two, tmp_path):
    killed = torchrun(JOB, "killed", tmp_path)
    assert killed.returncode != 0
    assert "Signal 9" in killed.stderr
    assert not list(tmp_path.glob("killed-*.json"))
    kept = sorted(path.name for path in (tmp_path / "checkpoints/retraining").iterdir())
    assert kept == ["checkpoint-000002.checkpoint", "checkpoint-000003.checkpoint"]
    resumed = torchrun(JOB, "resumed", tmp_path)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    for rank in results_in(tmp_path, "resumed"):
        assert rank == two("pipeline")[0]  # bit for bit


def test_one_process_goes_on_where_two_processes_were_killed(job, two, tmp_path):
    assert torchrun(JOB, "killed", tmp_path).returncode != 0
    close(job.resumed(tmp_path), two("pipeline")[0], 1e-5)


def test_two_processes_fit_from_the_command_line_as_one_does(job, tmp_path):
    x, target, group = job.data(300)
    lines = [
        ",".join([*map(str, row), f"c{y}", f"g{g}"])
        for row, y, g in zip(x, target, group, strict=True)
    ]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["a,b,c,d,e,f,y,g", *lines]) + "\n")
    asked = ["fit", table, "--target", "y", "--group", "g", "--objective", "worst-group"]
    asked += ["--cv", "3", "--verdict", "3"]
    two = torchrun("-m", "autobalance", *asked, "--out", tmp_path / "two")
    assert two.returncode == 0, two.stderr[-3000:]
    assert two.stdout.count("report.html") == 1  # only the first speaks
    alone = subprocess.run(
        [sys.executable, "-m", "autobalance", *map(str, asked), "--out", str(tmp_path / "one")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert two.stdout.replace(str(tmp_path / "two"), str(tmp_path / "one")) == alone.stdout
    assert {path.name for path in (tmp_path / "two").iterdir()} >= FILES
    designs = [json.loads((tmp_path / name / "design.json").read_text()) for name in ("one", "two")]
    close(*designs, 1e-5)


def test_the_other_commands_refuse_several_processes(tmp_path):
    outcome = subprocess.run(
        [sys.executable, "-m", "autobalance", "report", str(tmp_path)],
        env=os.environ | {"WORLD_SIZE": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 2
    assert "torchrun" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_model_that_is_not_wrapped_is_warned_of(job, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda *_: 2)
    design = job.preset("logit-adjustment", job.Counts(np.ones((3, 1)), (0, 1, 2)))
    loss = job.ParametricCrossEntropy.from_design(design)
    with pytest.warns(UserWarning, match="DistributedDataParallel"):
        job.OnlineSearch(job.a_network(), loss, "balanced", [])
