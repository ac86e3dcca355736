"""Each kind of layer on a small model: what it rules out, which layer is named, what is left."""

import copy
import re
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from autobalance.errors import SearchError
from autobalance.hypergradient.validation import Finding, check_model, inspect_model
from autobalance.hypergradient.wrappers import unwrap

WIDTH, CLASSES = 8, 3
FORWARD, DOUBLE = "forward mode", "double backward"


class Around(nn.Module):
    """A layer between two linear ones, over sequences."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer = nn.Linear(WIDTH, WIDTH), layer
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        return self.head(self.middle(self.first(x)).mean(1))

    def middle(self, x):
        return self.layer(x)


class Recurrent(Around):
    def middle(self, x):
        return self.layer(x)[0]


class Checkpointed(Around):
    reentrant = True

    def middle(self, x):
        return checkpoint(self.layer, x, use_reentrant=self.reentrant)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        heads = self.mixed(x).unflatten(-1, (2, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(*heads.chunk(3, -1))
        return self.out(mixed.transpose(1, 2).flatten(-2))


class Stateful(nn.Module):
    """Counts, draws, and keeps a mean, as some models do even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(WIDTH, CLASSES), nn.Dropout()
        self.norm = nn.BatchNorm1d(CLASSES)
        self.register_buffer("calls", torch.zeros(()))
        self.norm.eval()

    def forward(self, x):
        self.calls += 1
        torch.rand(3)
        return self.dropout(self.norm(self.linear(x)))


@pytest.fixture(autouse=True)
def steady() -> None:
    torch.manual_seed(0)


@pytest.fixture
def sequences() -> torch.Tensor:
    return torch.randn(5, 4, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def examples() -> torch.Tensor:
    return torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def one_rank():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 6), nn.ReLU(inplace=True), nn.Linear(6, CLASSES))


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_plain_networks_give_no_finding(examples):
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    convolutions = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.GroupNorm(2, 4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(36, CLASSES),
    )
    assert inspect_model(convolutions, images) == []
    assert inspect_model(mlp(), examples) == []
    assert inspect_model(mlp().double(), examples.double()) == []
    assert inspect_model(mlp().bfloat16(), examples.bfloat16()) == []


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (Attention(), "layer"),
        (nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True), "layer.self_attn"),
    ],
)
def test_fused_attention_blocks_both_and_its_remedy_helps(layer, named, sequences):
    model = Around(layer)
    finding = only(inspect_model(model, sequences))
    assert (finding.layer, finding.what) == (named, "fused attention")
    assert finding.blocks == {FORWARD, DOUBLE}
    assert "SDPBackend.MATH" in finding.remedy
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            assert inspect_model(model, sequences) == []
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def test_attention_in_several_layers_is_one_finding(sequences):
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    model = Around(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    finding = only(inspect_model(model, sequences))
    assert finding.layer == "layer.layers.0.self_attn"
    assert finding.what == "fused attention (the first of 2 layers)"


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_an_lstm_lacks_forward_mode_and_its_remedy_helps(sequences):
    model = Recurrent(nn.LSTM(WIDTH, WIDTH, batch_first=True))
    finding = only(inspect_model(model, sequences))
    assert (finding.layer, finding.blocks) == ("layer", {FORWARD})
    assert "mkldnn.flags(enabled=False)" in finding.remedy
    with torch.backends.mkldnn.flags(enabled=False):
        assert inspect_model(model, sequences) == []


def test_a_gru_gives_no_finding(sequences):
    assert inspect_model(Recurrent(nn.GRU(WIDTH, WIDTH, batch_first=True)), sequences) == []


def parametrised(layer: nn.Module) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(layer)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("weight_norm", [nn.utils.weight_norm, parametrised])
def test_weight_norm_lacks_forward_mode_and_its_second_derivative_is_wrong(weight_norm, sequences):
    finding = only(inspect_model(Around(weight_norm(nn.Linear(WIDTH, WIDTH))), sequences))
    assert (finding.layer, finding.what) == ("layer", "weight_norm")
    assert finding.blocks == {FORWARD, DOUBLE}


def test_reentrant_checkpointing_blocks_everything_and_the_other_nothing(sequences):
    model = Checkpointed(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()))
    finding = only(inspect_model(model, sequences))
    assert (finding.layer, finding.blocks) == ("the model", {"any"})
    assert "use_reentrant=False" in finding.remedy
    model.reentrant = False
    assert inspect_model(model, sequences) == []


def test_parameters_without_a_gradient_are_remarked_on(examples):
    model = mlp()
    model.unused = nn.Linear(2, 2)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    finding = only(inspect_model(model, examples))
    assert (finding.layer, finding.blocks) == ("unused", frozenset())


def test_batch_norm_is_remarked_on(examples):
    model = nn.Sequential(
        nn.Linear(WIDTH, 6),
        nn.BatchNorm1d(6),
        nn.Linear(6, 6),
        nn.BatchNorm1d(6, track_running_stats=False),
        nn.Linear(6, 6),
        nn.BatchNorm1d(6),
        nn.Linear(6, CLASSES),
    )
    tracked, untracked = inspect_model(model, examples)
    assert tracked.layer == "1"
    assert tracked.what == "BatchNorm with running statistics (the first of 2 layers)"
    assert (untracked.layer, untracked.what) == ("3", "BatchNorm without running statistics")
    assert not tracked.blocks | untracked.blocks


def test_wrappers_are_looked_through(examples, one_rank):
    model = mlp()
    parallel = nn.parallel.DistributedDataParallel(model)
    compiled = torch.compile(parallel, backend="eager")
    again = nn.DataParallel(torch.compile(model, backend="eager"))
    for wrapper in (model, parallel, compiled, again):
        assert unwrap(wrapper) is model
    assert inspect_model(model, examples) == []
    finding = only(inspect_model(compiled, examples))
    assert str(finding) == (
        "the model has OptimizedModule around it; the search uses the module inside"
    )


@pytest.mark.parametrize("in_place", [True, False])
def test_compiled_submodules_are_found_and_not_compiled(in_place, sequences):
    def never(graph, inputs):
        raise AssertionError("compiled")

    layer = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
    if in_place:
        layer.compile(backend=never)
    else:
        layer = torch.compile(layer, backend=never)
    finding = only(inspect_model(Around(layer), sequences))
    assert (finding.layer, finding.blocks) == ("layer", {FORWARD, DOUBLE})
    assert "torch.compile(model)" in finding.remedy


def test_layers_inside_compiled_ones_keep_their_names(sequences):
    model = Around(torch.compile(nn.Sequential(Attention()), backend="eager"))
    attention, compiled = inspect_model(model, sequences)
    assert (attention.layer, compiled.layer) == ("layer.0", "layer")


def test_sharded_parameters_block_everything(examples, one_rank):
    from torch.distributed.tensor import Replicate, distribute_tensor, init_device_mesh

    model = mlp()
    mesh = init_device_mesh("cpu", (1,))
    weight = distribute_tensor(model[2].weight.detach(), mesh, [Replicate()])
    model[2].weight = nn.Parameter(weight)
    finding = only(inspect_model(model, examples))
    assert (finding.layer, finding.blocks) == ("2", {"any"})


@pytest.mark.parametrize("model", [Stateful(), nn.Sequential(Attention(), nn.Flatten(1))])
def test_the_model_and_the_random_streams_are_left_as_they_were(model, examples, sequences):
    inputs = examples if isinstance(model, Stateful) else sequences
    state = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    stream = torch.get_rng_state()
    inspect_model(model, inputs)
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(stream, torch.get_rng_state())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_model_that_fails_is_left_as_it_was_too(examples):
    model = mlp()
    with pytest.raises(RuntimeError, match="shape"):
        inspect_model(model, examples[:, 1:])
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_inputs_may_be_a_tuple_or_a_mapping_and_the_output_may_hold_logits(examples):
    class Answering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(WIDTH, CLASSES)

        def forward(self, left, right):
            return SimpleNamespace(logits=self.linear(left - right))

    model = Answering()
    for inputs in ((examples, examples), [examples, examples]):
        assert inspect_model(model, inputs) == []
    assert inspect_model(model, {"right": examples, "left": examples}) == []


def test_a_model_without_trainable_parameters_is_refused(examples):
    with pytest.raises(SearchError, match=re.escape("call requires_grad_()")):
        inspect_model(mlp().requires_grad_(False), examples)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean()


@pytest.mark.parametrize("last", [Mean(), nn.LSTM(CLASSES, CLASSES)])
def test_an_output_without_logits_is_refused(last, examples):
    with pytest.raises(SearchError, match="must return logits"):
        inspect_model(nn.Sequential(mlp(), last), examples)


@pytest.mark.parametrize("last", [nn.Flatten(0), nn.Unflatten(1, (CLASSES, 1))])
def test_logits_may_have_any_shape(last, examples):
    """One for each example, or for each of its dense outputs."""
    assert inspect_model(nn.Sequential(mlp(), last), examples) == []


def test_logits_that_depend_on_no_parameter_are_refused(examples):
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    with pytest.raises(SearchError, match=re.escape("look for detach()")):
        inspect_model(Detached(WIDTH, CLASSES), examples)


def test_check_refuses_what_the_search_needs_and_hands_back_the_rest(sequences):
    model = Around(nn.Sequential(Attention(), parametrised(nn.Linear(WIDTH, WIDTH))))
    findings = check_model(model, sequences, ())
    assert [finding.layer for finding in findings] == ["layer.0", "layer.1"]
    for need in (FORWARD, DOUBLE):
        with pytest.raises(SearchError, match=r"layer\.0 has fused attention"):
            check_model(model, sequences, {need})


def test_check_always_refuses_what_blocks_everything(sequences):
    with pytest.raises(SearchError, match="use_reentrant=False"):
        check_model(Checkpointed(nn.Linear(WIDTH, WIDTH)), sequences, ())


def test_a_finding_reads_as_one_sentence():
    blocked = Finding("body.3", "fused attention", "take another", frozenset({DOUBLE, FORWARD}))
    assert str(blocked) == (
        "body.3 has fused attention, which rules out forward mode and double backward; take another"
    )
    assert str(Finding("a", "b", "c", frozenset({"any"}))) == (
        "a has b, which rules out any hypergradient; c"
    )
    assert str(Finding("a", "b", "c")) == "a has b; c"
