"""Precision and compilation change the speed of a step, and its result by no more than rounding."""

import shutil
import warnings

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from autobalance.batches import Batch
from autobalance.errors import DataError
from autobalance.hypergradient.wrappers import unwrap
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.objectives import Objective
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Training, predict_logits
from autobalance.training.pipeline import add_search, split
from autobalance.training.plan import SearchPlan
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings
from autobalance.training.step import Step

K, N = 3, 30


def images():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(N) % K
    noise = torch.randn(N, 2, 6, 6, generator=generator)
    return Examples(noise + y[:, None, None, None], y, None, tuple(range(K)))


def network(seed=0):
    torch.manual_seed(seed)
    convolution = [nn.Conv2d(2, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*convolution, nn.Flatten(), nn.Linear(32, K))


def training(
    examples=None, model=None, size=8, epochs=3, learning_rate=0.02, index=None, **options
):
    examples = images() if examples is None else examples
    index = torch.arange(len(examples)) if index is None else index
    return Training(
        network() if model is None else model,
        ParametricCrossEntropy.from_design(preset("logit-adjustment", examples.counts)),
        ShuffledBatches(examples, index, size, 0),
        TrainingSettings(epochs, size, learning_rate, **options),
    )


def trained(**options):
    run = training(**options)
    run.run()
    return run


def losses(run):
    return [epoch.train_loss for epoch in run.history]


class Seen(nn.Module):
    """A loss that looks at its logits."""

    def __init__(self):
        super().__init__()
        self.dtypes = set()
        self.products = []

    def forward(self, logits, targets, groups=None):
        self.dtypes.add(logits.dtype)
        self.products.append(torch.get_float32_matmul_precision())
        logits.register_hook(
            lambda _: self.products.append(torch.get_float32_matmul_precision()) or None
        )
        return nn.functional.cross_entropy(logits, targets)


def step(precision):
    model, loss = network(), Seen()
    settings = TrainingSettings(precision=precision)
    optimizer = settings.make_optimizer(model)
    return model, loss, Step(model, loss, optimizer, settings)


def batch():
    return images().batch(torch.arange(8))


def test_bfloat16_is_of_the_network_alone():
    model, loss, take = step("bfloat16")
    maps = []
    model[0].register_forward_hook(lambda *call: maps.append(call[-1].dtype))
    assert take(batch()).dtype == torch.float32
    assert maps == [torch.bfloat16]
    assert loss.dtypes == {torch.float32}
    assert {each.grad.dtype for each in model.parameters()} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


def test_tf32_is_of_the_forward_and_backward_pass_alone():
    before = torch.get_float32_matmul_precision()
    assert before != "high"
    _, loss, take = step("tf32")
    take(batch())
    assert loss.products == ["high", "high"]
    assert torch.get_float32_matmul_precision() == before
    with pytest.raises(RuntimeError, match="channels"):
        take(Batch(torch.zeros(8, 5, 6, 6), torch.zeros(8, dtype=torch.long)))
    assert torch.get_float32_matmul_precision() == before


def test_bfloat16_is_close():
    exact, rounded = trained(), trained(precision="bfloat16")
    assert losses(exact) != losses(rounded)
    assert losses(rounded) == pytest.approx(losses(exact), rel=0.02)


def test_bfloat16_classifies_digits_as_well():
    x, y = load_digits(return_X_y=True)
    examples = Examples.of((x.reshape(-1, 1, 8, 8).astype("float32") / 16, y))
    train, test = split(examples, 0.4, 0)
    errors = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10))
        options = {"size": 64, "epochs": 8, "learning_rate": 0.1, "precision": precision}
        run = trained(examples=examples, model=model, index=train, **options)
        predicted = predict_logits(run.model, examples, test).argmax(1)
        errors[precision] = float((predicted != examples.targets[test]).double().mean())
    assert errors["float32"] < 0.05
    assert errors["bfloat16"] == pytest.approx(errors["float32"], abs=0.01)


def leave(epoch):
    if epoch.number == 2:
        raise InterruptedError


def resumed(folder, **options):
    first, second = training(**options), training(**options)
    with pytest.raises(InterruptedError):
        first.run(Checkpoints(folder), leave)
    second.run(Checkpoints(folder))
    return second


def test_bfloat16_is_resumed(tmp_path):
    whole, second = trained(precision="bfloat16"), resumed(tmp_path, precision="bfloat16")
    assert second.history == whole.history
    for ours, theirs in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class Compiled(nn.Module):
    """What ``torch.compile`` returns, as far as it goes; it counts its calls."""

    def __init__(self, model, **options):
        super().__init__()
        self._orig_mod, self.options, self.sizes = model, options, []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        return self._orig_mod(inputs)


@pytest.fixture
def compiled(monkeypatch):
    """The models that were compiled, without a compiler."""
    made = []

    def compile_model(model, **options):
        made.append(Compiled(model, **options))
        return made[-1]

    monkeypatch.setattr(torch, "compile", compile_model)
    return made


def test_whole_batches_of_training_are_compiled_and_nothing_else(compiled):
    ours, plain = trained(compile=True), trained()
    assert len(compiled) == 1
    assert compiled[0].options == {"dynamic": False, "mode": None}
    assert compiled[0].sizes == [8] * 9  # and not the 6 that are left over in each epoch
    assert ours.history == plain.history
    predict_logits(ours.model, images(), torch.arange(8))
    assert len(compiled[0].sizes) == 9


def test_a_gpu_gets_cuda_graphs(compiled, monkeypatch):
    model, loss = network(), Seen()
    settings = TrainingSettings(compile=True)
    optimizer = settings.make_optimizer(model)
    monkeypatch.setattr(nn.Parameter, "device", torch.device("cuda"))
    Step(model, loss, optimizer, settings)(batch())
    assert compiled[0].options["mode"] == "reduce-overhead"


@pytest.mark.parametrize("option", [{"precision": "bfloat16"}, {"compile": True}], ids=str)
def test_a_search_takes_its_hypergradients_from_the_model_itself(compiled, option):
    examples = images()
    train, held_out = split(examples, 0.3, 0)
    run = training(examples, index=train, **option)
    plan = SearchPlan(0.3, warm_up=0.5, moves=2)
    search = add_search(run, examples, held_out, Objective.parse("balanced"), plan, 0)
    dtypes = set()
    run.model[0].register_forward_hook(
        lambda *call: dtypes.add((run.model.training, call[-1].dtype))
    )
    run.run()
    assert search.model is run.model is unwrap(run.model)
    assert {move.refused for move in search.history} == {""}
    trained_in = torch.bfloat16 if "precision" in option else torch.float32
    assert dtypes == {(True, trained_in), (False, torch.float32)}


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_that_cannot_be_compiled_is_named(monkeypatch, nested):
    def fail(*_):
        error = TorchDynamoException("backend raised" if nested else "No compiler\nand more")
        if nested:
            error.inner_exception = OSError("No compiler\nand more")
        raise error

    monkeypatch.setattr(torch, "compile", lambda model, **_: fail)
    message = r"the Sequential cannot be compiled here \(No compiler\); leave compile out"
    with pytest.raises(DataError, match=message):
        trained(compile=True)


needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler here"
)


@pytest.fixture
def real_compiler():
    """PyTorch's own compiler warns of PyTorch's own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        yield torch._dynamo.utils.counters["stats"]


@pytest.mark.slow
@needs_compiler
def test_compiled_training_is_close_and_resumed_and_compiled_once(real_compiler, tmp_path):
    plain = trained()
    whole = trained(compile=True)
    assert losses(whole) == pytest.approx(losses(plain), rel=1e-4)
    graphs = real_compiler["unique_graphs"]
    assert graphs == 1
    other = trained(compile=True, model=network(seed=1))
    assert losses(other) != losses(whole)
    assert resumed(tmp_path, compile=True).history == whole.history
    assert real_compiler["unique_graphs"] == graphs  # one compiled model for all seeds
