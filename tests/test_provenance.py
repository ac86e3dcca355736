"""What a record says of the command, the versions and the machine."""

import platform
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch

import autobalance.provenance as module
from autobalance import __version__
from autobalance.provenance import hardware, provenance, without_folders


def test_a_record_has_command_time_versions_and_hardware():
    record = provenance("autobalance reproduce table3")
    assert list(record) == ["command", "created", "versions", "hardware"]
    assert record["command"] == "autobalance reproduce table3"
    age = datetime.now(UTC) - datetime.fromisoformat(record["created"])
    assert timedelta(seconds=-1) <= age < timedelta(minutes=1)
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["autobalance"] == __version__
    for name in ("torch", "numpy", "scipy", "scikit-learn"):
        assert record["versions"][name] == version(name)
    assert record["hardware"] == hardware()


def test_a_package_that_is_not_there_is_left_out(monkeypatch):
    def without_smac(name):
        if name == "smac":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(module, "version", without_smac)
    versions = provenance("any")["versions"]
    assert versions["optuna"] == "1.0"
    assert "smac" not in versions


def test_the_machine_is_described(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = hardware()
    assert set(found) == {"processor", "cores", "torch_threads"}
    assert found["processor"].strip()
    assert found["cores"] >= 1
    assert found["torch_threads"] == torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert hardware()["gpu"] == "Some GPU"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("reproduce table3 --seeds 5", "reproduce table3 --seeds 5"),
        ("--data-dir /home/me/data --out ../pages/", "--data-dir data --out pages"),
        ("--data-dir=/home/me/data --out=pages", "--data-dir=data --out=pages"),
        ("--methods a,b --model my.package:net", "--methods a,b --model my.package:net"),
        ("/home/a=b/table.csv --out=/x/a=b/c", "table.csv --out=c"),
        ("--jobs=2 -v", "--jobs=2 -v"),
    ],
)
def test_paths_are_cut_to_their_last_part(words, expected):
    assert without_folders(words.split()) == expected.split()
