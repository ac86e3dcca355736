"""Stand-ins for the libraries of networks, which the tests do without."""

import itertools
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

NUMBERS = itertools.count()


class TinyResNet(nn.Module):
    """The first and the last layers of torchvision's ResNets, under the names they have there."""

    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, images):
        return self.fc(self.bn1(self.conv1(images)).relu().mean((2, 3)))


class TinyTimm(nn.Module):
    """A network as timm makes it: without classes it has no head."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, num_classes) if num_classes else nn.Identity()
        self.pretrained_cfg = {"classifier": "head", "mean": (0.5,) * 3, "std": (0.25,) * 3}

    def forward(self, images):
        return self.head(self.norm(self.stem(images)).mean((2, 3)))


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Write code into a module of a name of its own in the working directory; give the name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code):
        name = f"autobalance_test_models_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    return write


@pytest.fixture
def torchvision(monkeypatch):
    """A stand-in whose default weights are all 0.5."""

    def make(*, weights=None, num_classes=1000):
        assert weights in (None, "DEFAULT")
        model = TinyResNet(num_classes)
        if weights == "DEFAULT":
            with torch.no_grad():
                model.conv1.weight.fill_(0.5)
        return model

    library, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    library.models, models.resnet18, models.resnet50 = models, make, make
    monkeypatch.setitem(sys.modules, "torchvision", library)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    return library


@pytest.fixture
def timm(monkeypatch):
    """A stand-in that knows one network, whose default weights are all 0.5."""

    def create_model(name, *, pretrained, num_classes):
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        model = TinyTimm(num_classes)
        if pretrained:
            nn.init.constant_(model.stem.weight, 0.5)
        return model

    library = ModuleType("timm")
    library.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", library)
    return library
