"""ONNX files decide as the models that they are made of, on 10,000 rows each."""

import sys
import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from torch import nn

from autobalance import ArtifactError, AutoBalanceClassifier, DataError
from autobalance.calibration import Calibration, Calibrator
from autobalance.data.encoder import TableEncoder
from autobalance.data.tables import Table
from autobalance.export import agreement, export_onnx, onnx_bytes, table_feeds
from autobalance.model import LinearModel
from autobalance.models.factory import BUILT_IN
from autobalance.network_model import NetworkModel, front_of, with_front

ROWS = 10_000
CLASSES = ("owl", "gull", "tern")


def mixed_table(rows=ROWS):
    """Numbers, categories, gaps in both, and categories that only rows after the first 500 have."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(17, 90, rows).astype(float),
            "hours per week": rng.normal(40, 12, rows),
            "work": rng.choice(["private", "state", "self"], rows),
            "married": rng.choice([True, False], rows),
            "town": [f"town {i}" for i in rng.integers(0, 200, rows)],
        }
    )
    for name in ("age", "work"):
        frame.loc[rng.random(rows) < 0.1, name] = None
    frame.loc[500:, "work"] = frame.work[500:].where(rng.random(rows - 500) < 0.9, "new")
    return Table("t", frame, {})


def calibration(k=3):
    rng = np.random.default_rng(1)

    def calibrator():
        return Calibrator(rng.normal(size=k), rng.uniform(0.5, 2, k), rng.normal(size=k))

    shares = rng.uniform(0.1, 1, k)
    return Calibration(shares / shares.sum(), calibrator(), calibrator())


def linear(width, classes=CLASSES):
    rng = np.random.default_rng(2)
    return LinearModel(classes, rng.normal(size=(3, width)), rng.normal(size=3), 1.7, calibration())


def network(name, inputs):
    torch.manual_seed(0)
    shape = tuple(inputs.shape[1:])
    front = front_of(shape)
    front.fit(torch.from_numpy(inputs[:500]))
    module = with_front(BUILT_IN[name], front, shape, 3).eval()
    return NetworkModel(CLASSES, module, name, shape, np.array([0.1, 0.0, -0.1]), 1.3)


@pytest.fixture(scope="module")
def embeddings():
    return np.random.default_rng(3).normal(size=(ROWS, 24)).astype(np.float32)


def test_a_linear_head_on_a_table_decides_the_same_on_raw_rows():
    table = mixed_table()
    encoder = TableEncoder.fit(table.rows(np.arange(500)))
    model = linear(len(encoder.feature_names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unseen categories, which are meant
        features = encoder.transform(table)
    logits = model.logits(features)
    found = agreement(onnx_bytes(model, None, encoder), table_feeds(encoder, table), logits)
    assert (found.rows, found.different) == (ROWS, 0)
    assert found.largest_difference < 1e-12
    assert str(found).startswith("10,000 rows: decisions equal, largest difference of a logit ")


def test_a_column_with_the_name_of_an_output_is_refused():
    frame = pd.DataFrame({"output_code": [1.0, 2.0, 4.0], "age": [3.0, 1.0, 2.0]})
    encoder = TableEncoder.fit(Table("t", frame, {}))
    with pytest.raises(DataError, match="'output_code' is the name of two inputs or outputs"):
        onnx_bytes(linear(2), None, encoder)


def test_a_linear_head_on_embeddings_decides_the_same(embeddings):
    model = linear(24)
    feeds = {"features": embeddings.astype(np.float64)}
    found = agreement(onnx_bytes(model), feeds, model.logits(embeddings))
    assert (found.rows, found.different) == (ROWS, 0)
    assert found.largest_difference < 1e-12


def test_a_network_on_features_decides_the_same(embeddings):
    features = embeddings.astype(np.float64)
    model = network("mlp", features)
    data = onnx_bytes(model)
    found = agreement(data, {"features": features}, model.logits(features))
    assert (found.rows, found.different) == (ROWS, 0)
    assert found.largest_difference < 1e-4
    assert b".py" not in data  # the exporter notes the lines of code, with their paths


def test_a_network_on_images_decides_the_same():
    images = np.random.default_rng(4).integers(0, 256, (ROWS, 1, 12, 12), dtype=np.uint8)
    model = network("small-cnn", images)
    found = agreement(onnx_bytes(model), {"images": images}, model.logits(images))
    assert (found.rows, found.different) == (ROWS, 0)
    assert found.largest_difference < 1e-4


@pytest.mark.parametrize("prior", [None, "train", "balanced", [0.7, 0.3, 0.0]])
def test_probabilities_are_those_of_the_prior(prior, embeddings):
    model = linear(24)
    session = onnxruntime.InferenceSession(onnx_bytes(model, prior))
    feeds = {"features": embeddings.astype(np.float64)}
    (found,) = session.run(["output_probability"], feeds)
    np.testing.assert_allclose(found, model.probabilities(embeddings, prior), atol=1e-12)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((3, 1, 2), [3, 1, 2]),
        ((0.5, 1.5, 2.5), [0.5, 1.5, 2.5]),
        (("a", "b", None), ["a", "b", "missing"]),
        ((1, "b", True), ["1", "b", "True"]),
    ],
)
def test_labels_stay_numbers_or_become_texts(classes, expected):
    model = LinearModel(classes, np.eye(3), np.zeros(3))
    session = onnxruntime.InferenceSession(onnx_bytes(model))
    label, code = session.run(["output_label", "output_code"], {"features": np.eye(3)})
    assert label.tolist() == expected
    assert code.tolist() == [0, 1, 2]


def test_of_equal_logits_the_first_decides():
    model = LinearModel(CLASSES, np.zeros((3, 2)), np.array([0.0, 1.0, 1.0]))
    session = onnxruntime.InferenceSession(onnx_bytes(model))
    (code,) = session.run(["output_code"], {"features": np.zeros((1, 2))})
    assert code.tolist() == model.predict(np.zeros((1, 2))).tolist() == [1]


@pytest.mark.parametrize("kind", [None, "mlp"])
def test_a_fitted_classifier_is_written_as_it_predicts(kind, tmp_path):
    from autobalance.training.settings import TrainingSettings

    rng = np.random.default_rng(5)
    y = np.where(rng.random(400) < 0.2, "rare", "common")
    x = rng.normal(size=(400, 3)) + (y == "rare")[:, None]
    model = AutoBalanceClassifier(
        verdict=None, cv=2, model=kind, training=TrainingSettings(epochs=1), random_state=0
    ).fit(x, y)
    export_onnx(model, tmp_path / "model.onnx", prior="train")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    label, p = session.run(["output_label", "output_probability"], {"features": x})
    assert label.tolist() == model.predict(x).tolist()
    np.testing.assert_allclose(p, model.predict_proba(x, prior="train"), atol=1e-6)


def test_a_module_is_written_with_its_decision(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.BatchNorm1d(3)).eval()
    images = torch.randn(ROWS, 3, 2, 2)
    path = tmp_path / "module.onnx"
    export_onnx(module, path, classes=CLASSES, example=images[:2])
    logits = module(images).detach().double().numpy()
    assert agreement(path, {"inputs": images.numpy()}, logits).different == 0
    session = onnxruntime.InferenceSession(path)
    label, p = session.run(["output_label", "output_probability"], {"inputs": images.numpy()})
    assert label.tolist() == [CLASSES[code] for code in logits.argmax(1)]
    np.testing.assert_allclose(p, torch.softmax(torch.from_numpy(logits), 1), atol=1e-6)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (nn.Linear(3, 3).eval(), {}, "give both"),
        (nn.Linear(3, 3), {"classes": CLASSES, "example": torch.ones(2, 3)}, "training mode"),
        (nn.Linear(3, 2).eval(), {"classes": CLASSES, "example": torch.ones(2, 3)}, "of shape"),
        (Branching().eval(), {"classes": CLASSES, "example": torch.ones(2, 3)}, "Branching cannot"),
        (linear(3), {"classes": CLASSES}, "for modules only"),
        (linear(3), {"prior": "even"}, "prior 'even' is unknown"),
        (
            nn.Linear(3, 3).eval(),
            {"classes": CLASSES, "example": torch.ones(2, 3), "prior": "train"},
            "no calibration",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(model, options, words, tmp_path):
    with pytest.raises(DataError, match=words):
        export_onnx(model, tmp_path / "m.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_an_old_model_has_no_prior(tmp_path):
    with pytest.raises(ArtifactError, match="before AutoBalance calibrated"):
        export_onnx(LinearModel(CLASSES, np.eye(3), np.zeros(3)), tmp_path / "m", prior="train")


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_named_with_its_extra(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    model = network("mlp", np.eye(3)) if missing == "onnxscript" else linear(3)
    with pytest.raises(DataError, match=rf"{missing}, which is not installed.*autobalance\[onnx\]"):
        agreement(onnx_bytes(model), {}, np.zeros((0, 3)))


def test_a_file_that_does_not_fit_the_rows_is_refused():
    with pytest.raises(ArtifactError, match="onnxruntime cannot run"):
        agreement(onnx_bytes(linear(3)), {"features": np.zeros((1, 4))}, np.zeros((1, 3)))


def test_differences_are_counted_with_their_gap():
    model = linear(2)
    x = np.random.default_rng(6).normal(size=(50, 2))
    logits = model.logits(x)
    logits[0] = logits[0][[1, 2, 0]]
    found = agreement(onnx_bytes(model), {"features": x}, logits)
    assert found.different == 1
    top = np.sort(logits[0])
    assert found.largest_gap == pytest.approx(top[2] - top[1])
    assert "decisions equal in all but 1, where the two largest logits lie" in str(found)
