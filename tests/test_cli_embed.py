"""The command ``embed`` as a user meets it, and ``fit`` on what it wrote."""

import sys

import numpy as np
import pytest
from PIL import Image

CODE = """
from torch import nn
def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
def maps():
    return nn.Identity()
"""


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Run the command line in a folder with images by class and the code of a backbone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "autobalance_test_backbone", raising=False)
    (tmp_path / "autobalance_test_backbone.py").write_text(CODE)
    rng = np.random.default_rng(0)
    for name, count, level in (("owl", 40, 90), ("gull", 15, 140)):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for i in range(count):
            colour = np.clip(rng.normal(level, 30, 3), 0, 255).astype(int)
            Image.new("RGB", (8, 8), tuple(colour.tolist())).save(f"birds/{name}/{i}.png")

    return command


@pytest.mark.slow
def test_from_images_to_features_to_a_design(run, tmp_path):
    code, out, err = run(
        *("embed", "birds", "--backbone", "autobalance_test_backbone:means"),
        *("--image-size", "8", "--batch-size", "20", "--device", "cpu", "--out", "birds.npz"),
    )
    assert (code, out) == (0, "birds.npz\n")
    assert "55 images of 3 features each" in err
    following = "fit birds.npz --features features --target target"
    assert err.splitlines()[-1] == f"Next: autobalance {following}"
    with np.load(tmp_path / "birds.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["features", "target"]
        assert np.unique(arrays["target"]).tolist() == ["gull", "owl"]
    code, out, _ = run(
        *following.split(),
        *("--cv", "2", "--parameters", "additive", "--verdict", "none", "--out", "run"),
    )
    assert code == 0
    assert (tmp_path / "run" / "design.json").is_file()
    code, out, _ = run("predict", "run", "birds.npz")
    assert code == 0
    assert len(out.splitlines()) == 56


def test_the_next_command_names_every_column(run, tmp_path):
    names = [f"owl/{i}.png" for i in range(6)]
    lines = ["file_name,bird,the place,part"] + [
        f"{name},{'ab'[i % 2]},{'xy'[i % 3 == 0]},train" for i, name in enumerate(names)
    ]
    (tmp_path / "birds" / "metadata.csv").write_text("\n".join(lines))
    code, _, err = run(
        *("embed", "birds", "--backbone", "autobalance_test_backbone:means", "--target", "bird"),
        *("--group", "the place", "--split", "part", "--image-size", "8", "--out", "my birds.npz"),
    )
    assert code == 0
    assert err.splitlines()[-1] == (
        "Next: autobalance fit 'my birds.npz' --features features --target target "
        "--group 'the place' --split split"
    )


def test_images_without_labels_are_for_predictions(run, tmp_path):
    (tmp_path / "birds" / "owl").rename(tmp_path / "owl")
    code, out, err = run(
        *("embed", "owl", "--backbone", "autobalance_test_backbone:means", "--image-size", "8"),
    )
    assert (code, out) == (0, "embeddings.npz\n")
    assert err.splitlines()[-1] == (
        "Next: autobalance predict DIR embeddings.npz --features features"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("birds", "--backbone", "resnet"), "no backbone 'resnet'"),
        (("birds", "--backbone", "autobalance_test_backbone:maps"), "of shape (55, 3, 8, 8)"),
        (("fish", "--backbone", "autobalance_test_backbone:means"), "fish does not exist"),
        (
            ("birds", "--backbone", "autobalance_test_backbone:means", "--weights", "w.pt"),
            "w.pt does not exist",
        ),
    ],
)
def test_what_is_refused_is_one_sentence_and_no_file(run, tmp_path, arguments, said):
    code, out, err = run("embed", *arguments, "--image-size", "8")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "embeddings.npz").exists()
