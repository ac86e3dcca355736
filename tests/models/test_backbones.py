"""Backbones by name, and that their head is gone and their weights are the asked ones."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from autobalance.errors import DataError
from autobalance.models.backbones import backbone

OWN = (
    "from torch import nn\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))\n"
)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_default_weights_are_those_that_torchvision_gives(torchvision, name):
    module = backbone(name)
    assert bool((module.conv1.weight == 0.5).all())
    assert not module.training
    assert module(torch.randn(2, 3, 16, 16)).shape == (2, 64)


def test_the_default_weights_are_those_that_timm_gives(timm):
    module = backbone("timm:tiny")
    assert bool((module.stem.weight == 0.5).all())
    assert not module.training
    assert module(torch.randn(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(("name", "head"), [("resnet18", "fc"), ("timm:tiny", "head")])
@pytest.mark.parametrize("with_head", [True, False])
def test_a_file_of_weights_may_hold_the_head(tmp_path, torchvision, timm, name, head, with_head):
    torch.manual_seed(0)
    whole = (
        torchvision.models.resnet18()
        if head == "fc"
        else timm.create_model("tiny", pretrained=False, num_classes=7)
    )
    state = {
        key: value
        for key, value in whole.state_dict().items()
        if with_head or not key.startswith(head)
    }
    save_file(state, tmp_path / "weights.safetensors")
    module = backbone(name, tmp_path / "weights.safetensors")
    images = torch.randn(2, 3, 16, 16)
    setattr(whole, head, nn.Identity())
    torch.testing.assert_close(module(images), whole.eval()(images))


def test_a_head_of_many_layers_is_left_out(tmp_path, timm):
    whole = timm.create_model("tiny", pretrained=False, num_classes=7)
    state = {**whole.state_dict(), "head_dist.weight": torch.zeros(3)}
    save_file(state, tmp_path / "weights.safetensors")
    create = timm.create_model

    def distilled(*args, **kwargs):
        model = create(*args, **kwargs)
        model.pretrained_cfg["classifier"] = ("head", "head_dist")
        return model

    timm.create_model = distilled
    module = backbone("timm:tiny", tmp_path / "weights.safetensors")
    torch.testing.assert_close(module.stem.weight, whole.stem.weight)


def test_a_path_makes_the_users_own(own_module):
    module = backbone(f"{own_module(OWN)}:make")
    assert not module.training
    assert module(torch.zeros(5, 3, 2, 2)).shape == (5, 2)


def test_the_users_own_takes_weights(own_module, tmp_path):
    name = f"{own_module(OWN)}:make"
    state = {"1.weight": torch.full((2, 12), 0.25), "1.bias": torch.zeros(2)}
    torch.save(state, tmp_path / "weights.pt")
    module = backbone(name, str(tmp_path / "weights.pt"))
    assert bool((module[1].weight == 0.25).all())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make(shape): ...", "fails when called without arguments"),
        ("make = 3", "name a function without arguments"),
        ("make = dict", "makes a value of type dict; let it return a torch.nn.Module"),
        ("1 / 0", "of backbone .* cannot be imported"),
    ],
)
def test_what_the_users_own_gets_wrong_is_told(own_module, code, said):
    with pytest.raises(DataError, match=said):
        backbone(f"{own_module(code)}:make")


@pytest.mark.parametrize("name", ["resnet19", "", "timm"])
def test_an_unknown_name_is_refused_with_what_there_is(name):
    with pytest.raises(DataError, match=r"no backbone .*resnet18, resnet50.*timm:.*module:factory"):
        backbone(name)


def test_a_network_that_timm_does_not_know_is_told(timm):
    with pytest.raises(DataError, match=r"timm cannot make backbone 'timm:big' .*Unknown model"):
        backbone("timm:big")


def test_a_download_that_fails_points_to_a_file(torchvision):
    def offline(**_):
        raise OSError("no route to host")

    torchvision.models.resnet50 = offline
    with pytest.raises(DataError, match=r"OSError: no route to host.*give a file .*--weights"):
        backbone("resnet50")


@pytest.mark.parametrize(("name", "library"), [("resnet50", "torchvision"), ("timm:vit", "timm")])
def test_a_library_that_is_not_there_is_told(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DataError, match=f"backbone '{name}' needs {library}, .*install"):
        backbone(name)
