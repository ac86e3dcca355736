"""Speeds are compared within a repeat, and what a search costs follows from a step of the loss."""

import sys
from types import SimpleNamespace

import pytest
import torch

import benchmarks.training_speed as speed
from autobalance.errors import DataError
from autobalance.training.augment import CropAndFlip

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def case():
    return speed.Case("strided-cnn", 2, CPU)


def refuse(*_, **__):
    raise DataError("no compiler")


@pytest.fixture(scope="module")
def rows(case):
    """Of one repeat, without the slow ones."""
    options = {speed.OURS: {}, "augmented": {"augment": CropAndFlip()}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "OPTIONS", options)
        return speed.compare(case, 1)


def test_images_a_second_are_relative_to_the_bare_loop(rows):
    assert [row["method"] for row in rows] == [speed.FLOOR, speed.OURS, "augmented", speed.MOVE]
    floor, ours, augmented, move = rows
    assert floor["ratio"] == 1
    for row in (ours, augmented):
        assert row["images_per_second"] == pytest.approx(2 * speed.BATCH / row["seconds"])
        assert row["ratio"] == pytest.approx(row["images_per_second"] / floor["images_per_second"])
    assert move["steps"] == pytest.approx(2 * move["seconds"] / floor["seconds"])
    assert move["steps"] > 4  # a pass over each of its batches costs as much as a step
    assert [row["method"] for row in rows if row.get("headline")] == [speed.OURS]


def test_what_cannot_be_compiled_is_left_out(case, monkeypatch, capsys):
    monkeypatch.setattr(speed, "OPTIONS", {"compiled": {"compile": True}})
    monkeypatch.setattr(speed, "library", refuse)
    assert [method for method, _ in speed.methods(case)] == [speed.FLOOR, speed.MOVE]
    assert "compiled is left out: no compiler" in capsys.readouterr().out


def test_an_epoch_warms_up_and_an_epoch_counts(case, monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(speed, "_now", lambda _: next(ticks))
    run = speed.library(case)
    assert (run(), run(), next(ticks)) == (1, 1, 4)


def test_operations_are_those_of_the_layers():
    """Each layer forward, for its weights and, but for the first, for its inputs."""
    layers = [2 * 9 * c * d * size**2 for c, d, size in ((3, 16, 16), (16, 32, 8), (32, 64, 4))]
    layers.append(2 * 64 * 16 * speed.CLASSES)
    expected = speed.BATCH * (3 * sum(layers) - layers[0])
    assert speed.operations_of_a_step(speed.Case("strided-cnn", 1, CPU)) == expected


def test_what_bounds_the_bare_loop(case):
    found = speed.bounds_of(case)
    assert 0 < found["matmul_share"] < 1
    assert found["bound_by"] == speed.bound_by(found["matmul_share"])
    assert speed.bound_by(0.1, busy_share=0.4).startswith("the host")
    assert speed.bound_by(0.7, busy_share=0.97) == "arithmetic"
    assert speed.bound_by(0.1, busy_share=0.97).startswith("reading and writing")


def test_a_gpu_is_busy_with_kernels():
    gpu, cpu = speed.DeviceType.CUDA, speed.DeviceType.CPU
    events = [(gpu, False, 2e6), (gpu, False, 5e5), (gpu, True, 9e6), (cpu, False, 9e6)]
    names = ("device_type", "is_user_annotation", "self_device_time_total")
    events = [SimpleNamespace(**dict(zip(names, event, strict=True))) for event in events]
    assert speed.seconds_of_kernels(events) == pytest.approx(2.5)
    profile = speed.profile(activities=[speed.ProfilerActivity.CPU])
    with profile, torch.profiler.record_function("mark"):
        torch.ones(3).sum()
    assert speed.seconds_of_kernels(profile.key_averages()) == 0


def test_medians_and_the_speed_of_a_search():
    rows = [
        {"method": speed.OURS, "model": "m", "ratio": ratio, "images_per_second": 100 * ratio}
        for ratio in (0.5, 0.9, 0.8)
    ]
    rows += [{"method": speed.MOVE, "model": "m", "steps": steps} for steps in (29.0, 20.0, 25.0)]
    ours, move = speed.summarise(rows)
    assert ours == {
        "model": "m",
        "method": speed.OURS,
        "ratio": 0.8,
        "lowest": 0.5,
        "highest": 0.9,
        "images_per_second": 80,
    }
    assert (move["steps"], move["lowest"], move["highest"]) == (25, 20, 29)
    assert move["search"] == speed.search_speed(0.8 * 25)


def test_a_search_is_as_fast_as_its_plan_lets_it():
    assert speed.search_speed(0) == 1
    steps = 30 * 77  # of 9,925 images
    moves = 38  # of the loss, one in 12 steps of the last fifth
    assert speed.search_speed(20) == pytest.approx(steps / (steps + 20 * moves))


@pytest.mark.parametrize(
    ("words", "steps"), [("", 8), ("--steps 3", 3)], ids=["as it comes", "with so many steps"]
)
def test_one_model_needs_no_more_than_its_name(monkeypatch, tmp_path, words, steps):
    threads, cases = torch.get_num_threads(), []
    monkeypatch.setattr(speed, "compare", lambda case, repeats: cases.append(case) or [])
    monkeypatch.setattr(speed, "bounds_of", lambda case: {"bound_by": "nothing"})
    command = f"training_speed --model resnet8 --device cpu {words} --json {tmp_path}/r.json"
    monkeypatch.setattr(sys, "argv", command.split())
    speed.main()
    assert cases == [speed.Case("resnet8", steps, CPU)]
    assert (tmp_path / "r.json").exists()
    torch.set_num_threads(threads)
