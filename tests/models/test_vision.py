"""The ResNets of torchvision, of which the tests have a stand-in, and what its absence says."""

import sys

import pytest
import torch

from autobalance.errors import DataError
from autobalance.models.factory import build_model
from autobalance.models.vision import TORCHVISION, torchvision_resnet


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_built_in_name_makes_the_network_of_torchvision(torchvision, name):
    torch.manual_seed(0)
    model = build_model(name, (3, 16, 16), 4)
    assert model(torch.randn(2, 3, 16, 16)).shape == (2, 4)
    assert model.conv1.weight.std() > 0


@pytest.mark.parametrize("channels", [1, 2])
def test_images_of_other_channels_get_another_first_convolution(torchvision, channels):
    torch.manual_seed(0)
    model = torchvision_resnet("resnet18", 4, channels)
    assert model(torch.randn(2, channels, 16, 16)).shape == (2, 4)
    # torchvision draws from N(0, 2 / fan_out)
    assert model.conv1.weight.var().item() * 64 * 49 == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "RuntimeError: operator",
        ),
        ("import autobalance_missing_part", "ModuleNotFoundError: No module named"),
    ],
)
def test_a_torchvision_that_does_not_load_is_told_with_what_to_install(
    tmp_path, monkeypatch, code, said
):
    (tmp_path / "torchvision.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("torchvision", "torchvision.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(DataError, match="model 'resnet50' needs torchvision") as error:
        build_model("resnet50", (3, 16, 16), 4)
    for part in (said, "pip install 'autobalance[vision]'", torch.__version__):
        assert part in str(error.value)


def test_a_torchvision_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r"needs torchvision.*ModuleNotFoundError.*install"):
        torchvision_resnet("resnet18", 4)
