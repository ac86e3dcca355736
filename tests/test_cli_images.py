"""``autobalance fit`` on images: from files to a network, its report, predictions and errors."""

import csv
import io
import json
import shutil
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from autobalance.search.evidence import Gain
from autobalance.training.loop import Training

CODE = """
from torch import nn
def small(shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], n_classes))
"""
OWN = "autobalance_test_images:small"
QUICK = ("--epochs", "2", "--batch-size", "16", "--learning-rate", "0.01")
SIZES = {"train": {"gull": 24, "owl": 12}, "test": {"gull": 8, "owl": 8}}
LEVEL = {"gull": 150, "owl": 90}


@pytest.fixture
def run(command_on_one_line, tmp_path, monkeypatch):
    """Run the command line in a folder with the code of a network; errors are told on one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "autobalance_test_images", raising=False)
    (tmp_path / "autobalance_test_images.py").write_text(CODE)

    return command_on_one_line


def pictures(shape=(8, 8, 3)):
    """Noisy images: the part, the class and the place of each, and its pixels."""
    rng = np.random.default_rng(0)
    for part, sizes in SIZES.items():
        for kind, size in sizes.items():
            for i in range(size):
                level = rng.normal(LEVEL[kind], 40)  # some gulls are as dark as owls
                pixels = np.clip(rng.normal(level, 20, shape), 0, 255).astype(np.uint8)
                yield part, kind, ("land", "sea")[i % 2], pixels


@pytest.fixture
def folder(tmp_path):
    """Folders of parts, in each of which a class has a folder."""
    for number, (part, kind, _, pixels) in enumerate(pictures()):
        (tmp_path / "birds" / part / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "birds" / part / kind / f"{number:03d}.png")
    return "birds"


@pytest.fixture
def parquet(tmp_path):
    """A file with a row for each image."""
    cells = []
    for part, kind, place, pixels in pictures():
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        image = {"bytes": stream.getvalue(), "path": None}
        cells.append({"img": image, "kind": kind, "place": place, "part": part})
    pq.write_table(pa.Table.from_pylist(cells), tmp_path / "birds.parquet")
    return "birds.parquet"


@pytest.fixture
def idx(tmp_path):
    """The four files of the MNIST family."""
    (tmp_path / "digits").mkdir()
    for part, stem in (("train", "train"), ("test", "t10k")):
        chosen = [each for each in pictures((8, 8)) if each[0] == part]
        labels = np.array([kind == "owl" for _, kind, _, _ in chosen], dtype=np.uint8)
        images = np.stack([pixels for *_, pixels in chosen])
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, values.ndim])
            header += b"".join(size.to_bytes(4, "big") for size in values.shape)
            (tmp_path / "digits" / f"{stem}-{name}-ubyte").write_bytes(header + values.tobytes())
    return "digits"


def fit(run, data, *arguments, verdict="none", model=OWN):
    common = (*QUICK, "--model", model, "--verdict", verdict, "--out", "out")
    return run("fit", data, *common, *arguments)


def metrics_in(tmp_path):
    return json.loads((tmp_path / "out/metrics.json").read_text())


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_from_folders_to_a_report_predictions_and_errors(run, folder, tmp_path):
    code, out, err = fit(run, folder)
    assert code == 0
    assert out.splitlines()[-1] == "out/report.html"
    assert "birds: 36 train, 16 test images; images of 3 × 8 × 8, 2 classes." in err
    metrics = metrics_in(tmp_path)
    assert metrics["data"]["images"] == [3, 8, 8]
    assert metrics["settings"]["augmentation"] == "crops by up to 1 pixel and flips"
    assert metrics["classes"] == ["gull", "owl"]
    page = (tmp_path / "out/report.html").read_text()
    assert "images of 3 × 8 × 8" in page
    assert " rows" not in page.partition("</style>")[2].partition("<script")[0]
    code, out, _ = run("predict", "out", "birds/test", "--model", OWN)
    assert code == 0
    predictions = rows_of(out)
    assert len(predictions) == 16
    assert predictions[0]["image"] == "gull/036.png"
    code, out, _ = run("evaluate", "out", folder, "--model", OWN)
    assert code == 0
    assert out.startswith("birds: the 16 test images\n")
    wrong = [each["image"].partition("/")[0] != each["prediction"] for each in predictions]
    assert 0 < np.mean(wrong) < 0.5
    assert f" Error {np.mean(wrong):.1%}" in " ".join(out.split())


def test_columns_of_a_parquet_file_play_their_roles(run, parquet, tmp_path):
    roles = ("--target", "kind", "--group", "place", "--split", "part")
    code, _, err = fit(run, parquet, *roles, "--objective", "worst-group", "--no-augment")
    assert code == 0
    assert "36 train, 16 test images; images of 3 × 8 × 8, 2 classes, 2 groups." in err
    metrics = metrics_in(tmp_path)
    assert metrics["groups"] == ["land", "sea"]
    assert metrics["settings"]["target"] == "kind"
    assert metrics["settings"]["augmentation"] == "none"
    assert run("evaluate", "out", parquet, "--model", OWN, "--out", "errors.json")[0] == 0
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert errors["rows"] == "the 16 test images"
    kept = next(each for each in metrics["methods"] if each["name"] == metrics["kept"])
    assert errors["cell_errors"] == kept["cell_errors"]
    unlabelled = pq.read_table(tmp_path / parquet).select(["img"])
    pq.write_table(unlabelled, tmp_path / "new.parquet")
    code, out, _ = run("predict", "out", "new.parquet", "--model", OWN)
    assert code == 0
    assert len(rows_of(out)) == 52
    assert "image" not in rows_of(out)[0]


def test_grey_images_of_idx_files_are_cropped_and_not_flipped(run, idx, tmp_path):
    assert fit(run, idx)[0] == 0
    metrics = metrics_in(tmp_path)
    assert metrics["data"]["images"] == [1, 8, 8]
    assert metrics["settings"]["augmentation"] == "crops by up to 1 pixel"


@pytest.fixture
def everything_stands_out(monkeypatch):
    """What the search designs is kept, however few images say so."""
    monkeypatch.setattr(Gain, "stands_out", lambda *_: True)


@pytest.mark.usefixtures("everything_stands_out")
def test_a_policy_is_searched_shown_and_kept(run, folder, tmp_path):
    code, out, _ = fit(run, folder, "--augmentation", "personal")
    assert code == 0
    assert "\nAugmentation: " in out
    policy = json.loads((tmp_path / "out/design.json").read_text())["policy"]
    assert ["rotate", "brightness"] in policy["sub_policies"]
    assert np.shape(policy["probability"]) == np.shape(policy["magnitude"]) == (2, 1, 7, 2)
    metrics = metrics_in(tmp_path)
    assert metrics["space"]["parameters"] == ["emphasis", "probability", "magnitude"]
    assert metrics["space"]["dictionary"] == "line, log-prior"
    assert "a policy searched beside the loss (personal)" in metrics["settings"]["augmentation"]
    kept = json.loads((tmp_path / "out/augmentation.json").read_text())
    assert kept["policy"] == policy
    path = tmp_path / "out/report.html"
    page = path.read_text()
    assert "<h2>The augmentation</h2>" in page
    assert kept["strips"][0]["after"] in page
    path.unlink()
    assert run("report", "out")[0] == 0
    assert path.read_text() == page
    twice = [run("predict", "out", "birds/test", "--model", OWN) for _ in range(2)]
    assert twice[0] == twice[1]
    (tmp_path / "out/augmentation.json").unlink()
    code, _, err = run("report", "out")
    assert code == 2
    assert "out/augmentation.json is missing, though design.json has a policy" in err


def test_a_policy_that_does_not_stand_out_is_left_out(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Gain, "stands_out", lambda *_: False)
    assert fit(run, folder, "--augmentation", "personal")[0] == 0
    assert "policy" not in json.loads((tmp_path / "out/design.json").read_text())
    assert not (tmp_path / "out/augmentation.json").exists()
    assert "<h2>The augmentation</h2>" not in (tmp_path / "out/report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("everything_stands_out")
def test_grey_images_share_one_policy_without_saturation(run, idx, tmp_path):
    assert fit(run, idx, "--augmentation", "one", "--objective", "worst-class")[0] == 0
    metrics = metrics_in(tmp_path)
    assert metrics["space"]["parameters"][-2:] == ["probability", "magnitude"]
    assert "one" in metrics["space"]["dictionary"].split(", ")
    policy = json.loads((tmp_path / "out/design.json").read_text())["policy"]
    assert ["saturation", "invert"] not in policy["sub_policies"]
    assert policy["probability"][0] == policy["probability"][1]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["strided-cnn", "resnet8"])
def test_networks_that_come_along_need_no_code_to_predict(run, folder, tmp_path, model):
    assert fit(run, folder, "--image-size", "6", model=model)[0] == 0
    assert metrics_in(tmp_path)["data"]["images"] == [3, 6, 6]
    code, out, _ = run("predict", "out", folder)
    assert code == 0
    assert len(rows_of(out)) == 52
    assert run("report", "out")[0] == 0
    shutil.copytree(tmp_path / "out", tmp_path / "again")
    assert run("compare", "out", "again", "--out", "both.html")[0] == 0
    assert "images of 3 × 6 × 6" in (tmp_path / "out/report.html").read_text()


@pytest.mark.slow
def test_an_interrupted_fit_is_resumed_to_the_same_model(run, folder, tmp_path, monkeypatch):
    assert fit(run, folder)[0] == 0
    expected = (tmp_path / "out/model.safetensors").read_bytes()
    epoch, seen = Training._epoch, []

    def interrupted(self, number):
        seen.append(number)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return epoch(self, number)

    again = ("--out", "again")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", interrupted)
        code, _, err = fit(run, folder, *again)
    assert code == 130
    assert "--resume" in err
    picture = next((tmp_path / folder).rglob("*.png"))
    pixels = picture.read_bytes()
    picture.write_bytes(pixels + b"more")
    code, _, err = fit(run, folder, *again, "--resume")
    assert code == 2
    assert "other data" in err
    picture.write_bytes(pixels)
    assert fit(run, folder, *again, "--resume")[0] == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == expected


def test_few_images_get_no_verdict_unasked(run, folder, tmp_path):
    assert fit(run, folder, verdict="auto")[0] == 0
    verdict = metrics_in(tmp_path)["verdict"]
    assert verdict["basis"] is None
    assert "--verdict 0.25" in verdict["text"]


@pytest.mark.slow
def test_a_verdict_on_an_untouched_part_is_announced(run, folder, tmp_path):
    code, _, err = fit(run, folder, verdict="0.3")
    assert code == 0
    assert "--verdict none" in err
    assert metrics_in(tmp_path)["verdict"]["basis"] == "untouched part"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("birds",), ("a linear head takes features", "--model", "autobalance embed")),
        (("birds", "--model", "mlp"), ("features of shape (D,)", "resnet")),
        (("birds", "--model", OWN, "--drop", "a"), ("holds images", "leave --drop out")),
        (("birds", "--model", OWN, "--features", "a"), ("leave --features out",)),
        (("birds", "--model", OWN, "--group-as-feature", "--group", "g"), ("leave --group-as",)),
        (("birds", "--model", OWN, "--group", "place"), ("place", "metadata.csv")),
        (("table.csv", "--target", "y", "--image-size", "8"), ("leave --image-size out",)),
        (("table.csv", "--target", "y", "--no-augment"), ("leave --no-augment out",)),
        (
            ("table.csv", "--target", "y", "--augmentation", "one"),
            ("leave --augmentation one out",),
        ),
        (("birds", "--model", OWN, "--augmentation", "ball"), ("features, not images",)),
        (("birds", "--augmentation", "one"), ("a linear head takes features", "--model")),
        (("birds", "--model", OWN, "--augmentation", "two"), ("'two' is unknown", "class")),
        (("birds", "--model", OWN, "--parameters", "magnitude"), ("augmentation policy",)),
        (("table.csv",), ("--target",)),
        (("nothing", "--target", "y"), ("nothing",)),
    ],
)
def test_what_does_not_go_together_is_refused(run, folder, tmp_path, arguments, words):
    (tmp_path / "table.csv").write_text("a,y\n1,p\n2,q\n")
    (tmp_path / "nothing").mkdir()
    code, out, err = run("fit", *arguments, "--out", "out")
    assert (code, out) == (2, "")
    for word in words:
        assert word in err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.checkpoints").exists()


def test_images_of_many_sizes_need_one(run, folder, tmp_path):
    Image.new("RGB", (9, 8)).save(tmp_path / "birds/train/owl/large.png")
    code, _, err = fit(run, folder)
    assert code == 2
    assert "give an image size" in err


def test_images_of_another_size_are_refused_when_predicting(run, folder, tmp_path):
    assert fit(run, folder)[0] == 0
    (tmp_path / "new").mkdir()
    Image.new("RGB", (9, 8)).save(tmp_path / "new/large.png")
    code, _, err = run("predict", "out", "new", "--model", OWN)
    assert code == 2
    assert "3 × 8 × 9" in err
    assert "3 × 8 × 8" in err
    code, _, err = run("predict", "out", "autobalance_test_images.py", "--model", OWN)
    assert code == 2
    assert "image" in err
