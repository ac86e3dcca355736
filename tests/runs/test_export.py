"""A run is taken elsewhere: its loss, its weights and its model, each in a file of its own."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from PIL import Image

from autobalance.data.images.encoder import ImageEncoder
from autobalance.errors import ArtifactError, DataError
from autobalance.export import Agreement
from autobalance.models.factory import BUILT_IN
from autobalance.network_model import NetworkModel, front_of, with_front
from autobalance.objectives import Objective
from autobalance.runs import export as module
from autobalance.runs.export import export_loss, export_model, export_weights
from autobalance.runs.folder import SavedModel
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.predict import predict_rows
from autobalance.runs.readers import ImageReader
from autobalance.runs.watch import Watch


@pytest.mark.filterwarnings("ignore:.*categories that training did not see")
def test_the_model_takes_raw_rows_and_predicts_as_the_run(run_folder, make_frame, tmp_path):
    frame = make_frame(rows=10_000, seed=1)
    frame.loc[::7, "colour"] = None
    frame.loc[::5, "weight"] = np.nan
    table = tmp_path / "rows.csv"
    frame.to_csv(table, index=False)
    file = tmp_path / "model.onnx"
    found = export_model(run_folder, file, Watch(), rows=table, prior="common=1,rare=1")
    assert (found.rows, found.different) == (10_000, 0)
    assert found.largest_difference < 1e-12

    session = onnxruntime.InferenceSession(file)
    feeds = {
        each.name: frame[[each.name]].to_numpy(float)
        if "double" in each.type
        else frame[[each.name]].fillna("").astype(str).to_numpy(object)
        for each in session.get_inputs()
    }
    label, p = session.run(["output_label", "output_probability"], feeds)
    expected = predict_rows(run_folder, table, Watch(), prior="common=1,rare=1")
    assert label.tolist() == expected.prediction.tolist()
    np.testing.assert_allclose(p, expected.iloc[:, 1:], atol=1e-12)


def test_a_network_takes_images_as_they_are_read(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(tmp_path / "images" / f"{i:02}.png")
    shape, classes = (1, 8, 8), ("gull", "owl")
    module = with_front(BUILT_IN["small-cnn"], front_of(shape), shape, 2).eval()
    model = NetworkModel(classes, module, "small-cnn", shape, np.zeros(2))
    reader = ImageReader(ImageColumns(), ImageEncoder(*shape))
    SavedModel(model, reader, Objective.parse("balanced")).write(tmp_path)
    file = tmp_path / "model.onnx"
    found = export_model(tmp_path, file, Watch(), rows=tmp_path / "images")
    assert (found.rows, found.different) == (12, 0)
    (label,) = onnxruntime.InferenceSession(file).run(["output_label"], {"images": images})
    assert label.tolist() == [classes[code] for code in model.predict(images)]


def test_without_rows_nothing_is_compared(run_folder, tmp_path):
    assert export_model(run_folder, tmp_path / "model.onnx", Watch()) is None
    assert (tmp_path / "model.onnx").is_file()


def test_a_file_that_departs_from_the_model_is_not_written(
    run_folder, table_file, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "agreement", lambda *_: Agreement(240, 1, 0.5, 0.1))
    with pytest.raises(ArtifactError, match=r"departs from the one in Python \(240 rows"):
        export_model(run_folder, tmp_path / "model.onnx", Watch(), rows=table_file)
    assert not (tmp_path / "model.onnx").exists()


def test_each_row_has_the_weight_of_its_cell(run, run_folder, frame, table_file, tmp_path):
    export_weights(run_folder, tmp_path / "w.csv", table_file, Watch())
    weights = pd.read_csv(tmp_path / "w.csv").sample_weight
    counts = run.design.counts
    expected = [
        run.design.weight[counts.classes.index(kind), counts.groups.index(place)]
        for kind, place in zip(frame.kind, frame.place, strict=True)
    ]
    np.testing.assert_array_equal(weights, expected)


def test_the_loss_is_that_of_the_run(run, run_folder, tmp_path):
    assert export_loss(run_folder, tmp_path / "l.csv") == run.design
    table = pd.read_csv(tmp_path / "l.csv")
    np.testing.assert_array_equal(table.weight, run.design.weight.ravel())


def test_a_folder_that_cannot_be_written_is_said(run_folder, tmp_path):
    with pytest.raises(ArtifactError, match="cannot write"):
        export_model(run_folder, tmp_path / "no" / "model.onnx", Watch())


def test_rows_that_do_not_fit_are_refused(run_folder, frame, tmp_path):
    frame.drop(columns="size").to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match="'size'"):
        export_model(run_folder, tmp_path / "m.onnx", Watch(), rows=tmp_path / "rows.csv")
