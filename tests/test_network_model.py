"""A trained network: its logits, its bias, and its two files, which run nothing."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from autobalance.errors import ArtifactError, DataError
from autobalance.model import JSON_FILE, LinearModel
from autobalance.models.factory import BUILT_IN
from autobalance.models.pixels import Pixels
from autobalance.models.standardise import Standardise
from autobalance.network_model import NetworkModel, read_model, with_front

X = np.random.default_rng(0).normal(3.0, 2.0, size=(20, 4))


def own_factory(shape, n_classes):
    return nn.Sequential(nn.Linear(shape[0], 5), nn.BatchNorm1d(5), nn.Linear(5, n_classes))


def a_model(name="mlp", factory=None):
    torch.manual_seed(0)
    standardise = Standardise(4).fit(torch.from_numpy(X))
    module = with_front(factory or BUILT_IN[name], standardise, (4,), 3).eval()
    return NetworkModel(("a", "b", None), module, name, (4,), np.array([0.0, 1.0, -1.0]), 0.7)


def test_logits_are_those_of_the_module_on_standard_features_plus_the_bias():
    model = a_model()
    standard = torch.from_numpy((X - X.mean(0)) / X.std(0)).float()
    with torch.no_grad():
        expected = model.module[1](standard).double().numpy() + model.bias
    np.testing.assert_allclose(model.logits(X), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), expected.argmax(1))


def test_a_shift_moves_every_logit_by_as_much():
    model, shift = a_model(), np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(model.shifted(shift).logits(X), model.logits(X) + shift)


@pytest.mark.parametrize(("name", "factory"), [("mlp", None), ("own:net", own_factory)])
def test_it_reads_back_bit_for_bit(tmp_path, name, factory):
    model = a_model(name, factory)
    model.write(tmp_path, {"kept": 1})
    again, extra = read_model(tmp_path, factory)
    assert extra == {"kept": 1}
    assert (again.classes, again.temperature, again.shape) == (("a", "b", None), 0.7, (4,))
    np.testing.assert_array_equal(again.logits(X), model.logits(X))


def test_a_name_in_a_file_runs_nothing(tmp_path):
    a_model("own_module:net", own_factory).write(tmp_path, {})
    with pytest.raises(ArtifactError, match=r"own_module:net.*not run on a file's word"):
        read_model(tmp_path)


class Masked(nn.Module):
    """A mask is infinite, and a buffer."""

    def __init__(self, width, n_classes):
        super().__init__()
        self.layer = nn.Linear(width, n_classes)
        self.register_buffer("mask", torch.tensor([0.0, torch.inf, -torch.inf]))

    def forward(self, x):
        return torch.clamp(self.layer(x), -self.mask.abs() - 1, self.mask.abs() + 1)


def test_a_buffer_may_be_infinite_but_no_parameter(tmp_path):
    factory = lambda shape, n_classes: Masked(shape[0], n_classes)  # noqa: E731
    model = a_model("own:masked", factory)
    model.write(tmp_path, {})
    again, _ = read_model(tmp_path, factory)
    np.testing.assert_array_equal(again.logits(X), model.logits(X))
    with torch.no_grad():
        model.module[1].layer.bias[0] = torch.inf
    model.write(tmp_path, {})
    with pytest.raises(ArtifactError, match="does not fit"):
        read_model(tmp_path, factory)


def test_another_model_than_the_saved_one_is_called_so(tmp_path):
    a_model("own:net", own_factory).write(tmp_path, {})
    with pytest.raises(ArtifactError, match="that was named is not 'own:net'"):
        read_model(tmp_path, BUILT_IN["mlp"])
    with pytest.raises(ArtifactError, match="that was named is not 'own:net'"):
        read_model(tmp_path, BUILT_IN["resnet20"])


def test_own_code_that_fails_says_so_itself(tmp_path):
    a_model("own:net", own_factory).write(tmp_path, {})

    def failing(shape, n_classes):
        raise DataError("model 'own:net' fails")

    with pytest.raises(DataError, match="fails"):
        read_model(tmp_path, failing)


def test_a_network_on_images_reads_back_and_is_no_file_for_older_releases(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 6), dtype=np.uint8)
    torch.manual_seed(0)
    pixels = Pixels(3).fit(torch.from_numpy(images))
    module = with_front(BUILT_IN["small-cnn"], pixels, (3, 8, 6), 2).eval()
    model = NetworkModel(("a", "b"), module, "small-cnn", (3, 8, 6), np.zeros(2))
    model.write(tmp_path, {})
    again, _ = read_model(tmp_path)
    assert again.shape == (3, 8, 6)
    np.testing.assert_array_equal(again.logits(images), model.logits(images))
    assert again.logits(images[:0]).shape == (0, 2)
    path = tmp_path / JSON_FILE
    document = json.loads(path.read_text())
    assert (document["version"], "features" in document) == (3, False)
    path.write_text(json.dumps(document | {"shape": [3, 8, 7000]}))
    with pytest.raises(ArtifactError, match="does not fit"):
        read_model(tmp_path)


@pytest.mark.parametrize("shape", [[3, 8], [3, 0, 6], "wide", [3, 8, 6, 1]], ids=str)
def test_a_damaged_shape_is_refused(tmp_path, shape):
    a_model().write(tmp_path, {})
    path = tmp_path / JSON_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": shape}))
    with pytest.raises(ArtifactError, match="damaged"):
        read_model(tmp_path)


@pytest.mark.parametrize("buffer", ["mean", "scale"])
@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_what_standardises_is_finite(tmp_path, buffer, value):
    model = a_model()
    getattr(model.module[0], buffer)[0] = value
    model.write(tmp_path, {})
    with pytest.raises(ArtifactError, match="does not fit"):
        read_model(tmp_path)


def test_a_linear_head_is_read_as_one(tmp_path):
    LinearModel(("a", "b"), np.ones((2, 4)), np.zeros(2)).write(tmp_path, {})
    assert isinstance(read_model(tmp_path)[0], LinearModel)
    assert json.loads((tmp_path / JSON_FILE).read_text())["version"] == 1  # older releases read it


def test_a_network_is_not_read_as_a_linear_head(tmp_path):
    a_model().write(tmp_path, {})
    with pytest.raises(ArtifactError, match="does not fit"):
        LinearModel.read(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"features": 5}, {"classes": ["a", "b"]}, {"model": "linear"}], ids=str
)
def test_files_that_do_not_fit_each_other_are_refused(tmp_path, changes):
    a_model().write(tmp_path, {})
    path = tmp_path / JSON_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ArtifactError, match="does not fit"):
        read_model(tmp_path)


def test_no_memory_is_taken_for_sizes_that_the_weights_do_not_bear_out(tmp_path):
    a_model().write(tmp_path, {})
    document = json.loads((tmp_path / JSON_FILE).read_text("utf-8"))
    for width in (5, 2**30):  # a terabyte of weights
        (tmp_path / JSON_FILE).write_text(json.dumps(document | {"features": width}), "utf-8")
        with pytest.raises(ArtifactError, match="does not fit"):
            read_model(tmp_path)
