"""Models by name: the built-in ones, the user's own, and every message on the way."""

import pickle
import sys

import pytest
import torch
from torch import nn

from autobalance.errors import DataError
from autobalance.models.factory import BUILT_IN, build_model, model_factory
from autobalance.models.mlp import MLP
from autobalance.models.resnet import CifarResNet
from autobalance.models.small_cnn import SmallCNN
from autobalance.models.strided_cnn import StridedCNN

FEATURES = {"linear": MLP, "mlp": MLP}
IMAGES = {
    "small-cnn": SmallCNN,
    "strided-cnn": StridedCNN,
    "resnet8": CifarResNet,
    "resnet14": CifarResNet,
    "resnet20": CifarResNet,
    "resnet32": CifarResNet,
    "resnet44": CifarResNet,
    "resnet56": CifarResNet,
}
OF_TORCHVISION = ["resnet18", "resnet50"]


def refused(name, *said, shape=(4,)):
    with pytest.raises(DataError) as error:
        build_model(name, shape, 3)
    message = str(error.value)
    assert "\n" not in message
    for part in (name, *said):
        assert part in message


def test_these_are_the_built_in_models():
    assert list(BUILT_IN) == [*FEATURES, *IMAGES, *OF_TORCHVISION]


@pytest.mark.parametrize("name", [*FEATURES, *IMAGES])
def test_a_built_in_takes_the_shape_of_one_example(name):
    torch.manual_seed(0)
    kind, shape = (FEATURES[name], (7,)) if name in FEATURES else (IMAGES[name], (2, 12, 9))
    model = build_model(name, shape, 3)
    assert type(model) is kind
    logits = model.eval()(torch.randn(4, *shape))
    assert logits.shape == (4, 3)
    assert torch.isfinite(logits).all()


def test_names_mean_what_they_say():
    assert len(build_model("linear", (7,), 3).hidden) == 0
    assert len(build_model("mlp", (7,), 3).hidden) == 1
    depths = [8, 14, 20, 32, 44, 56]
    made = [build_model(f"resnet{depth}", (3, 8, 8), 3) for depth in depths]
    assert [len(model.blocks) * 2 + 2 for model in made] == depths


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (28, 28), (), (0,)])
def test_a_model_of_features_refuses_other_shapes(name, shape):
    refused(
        name,
        "takes features of shape (D,)",
        f"has shape {shape}",
        "use one of small-cnn",
        shape=shape,
    )


@pytest.mark.parametrize("name", [*IMAGES, *OF_TORCHVISION])
@pytest.mark.parametrize("shape", [(784,), (28, 28), (5, 1, 28, 28), (1, 0, 28)])
def test_a_model_of_images_refuses_other_shapes(name, shape):
    said = ("takes images of shape (C, H, W)", f"has shape {shape}", "use one of linear, mlp")
    refused(name, *said, shape=shape)


@pytest.mark.parametrize("name", ["resnet", "", "torch.nn.Linear"])
def test_an_unknown_name_is_refused_with_what_there_is(name):
    refused(name, *BUILT_IN, "package.module:factory")


def test_a_factory_of_the_working_directory_is_called_with_shape_and_classes(own_module):
    name = own_module(
        "from torch import nn\n"
        "def make(inputs_shape, n_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(inputs_shape[0], n_classes))\n"
    )
    before = list(sys.path)
    model = build_model(f"{name}:make", (4,), 3)
    assert sys.path == before
    assert model(torch.zeros(2, 4)).shape == (2, 3)


def test_a_factory_of_a_package_is_found(own_module, tmp_path):
    package = tmp_path / own_module("")
    package.mkdir()
    package.with_suffix(".py").unlink()
    (package / "nets.py").write_text("from torch import nn\nmake = lambda s, k: nn.Identity()\n")
    assert isinstance(build_model(f"{package.name}.nets:make", (4,), 3), nn.Identity)


def test_a_model_class_is_a_factory(own_module):
    name = own_module(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, shape, n_classes):\n"
        "        super().__init__(shape[0], n_classes)\n"
    )
    assert build_model(f"{name}:Net", (4,), 3).out_features == 3


def test_the_import_comes_before_any_model_is_made(own_module):
    name = own_module("def make(shape, n_classes):\n    raise RuntimeError\n")
    assert callable(model_factory(f"{name}:make"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_factories_can_be_sent_to_workers(name):
    assert callable(pickle.loads(pickle.dumps(model_factory(name))))


@pytest.mark.parametrize("name", ["autobalance_no_such_module:make", ":make", ".x:make"])
def test_a_module_that_is_not_there_is_named(name):
    refused(name, "cannot be imported", "start in the folder")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import autobalance_missing_part", "ModuleNotFoundError: No module named"),
        ("def make(:", "SyntaxError: "),
        ("raise ValueError('one\\ntwo')", "(ValueError: one two)"),
    ],
)
def test_a_module_that_fails_is_told_in_one_sentence(own_module, code, said):
    before = list(sys.path)
    refused(f"{own_module(code)}:make", "cannot be imported", said)
    assert sys.path == before


@pytest.mark.parametrize("attribute", ["made", "", "make.deeper"])
def test_a_missing_attribute_is_named(own_module, attribute):
    name = own_module("def make(shape, n_classes): ...\n")
    refused(f"{name}:{attribute}", f"has no {attribute!r}")


def test_something_that_cannot_be_called_is_refused(own_module):
    refused(f"{own_module('make = 3')}:make", "of type int, which cannot be called")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make(): ...", "(TypeError: make() takes 0 positional arguments but 2 were given)"),
        ("def make(shape, n_classes):\n    raise KeyError('x')", "(KeyError: 'x')"),
    ],
)
def test_a_factory_that_fails_is_told_how_it_was_called(own_module, code, said):
    refused(f"{own_module(code)}:make", said, "(4,) and 3", "correct its code")


@pytest.mark.parametrize(
    ("made", "kind"), [("None", "NoneType"), ("lambda x: x", "function"), ("list", "type")]
)
def test_a_factory_that_makes_no_module_is_refused(own_module, made, kind):
    name = own_module(f"def make(shape, n_classes):\n    return {made}\n")
    refused(f"{name}:make", f"makes a value of type {kind}", "torch.nn.Module")
