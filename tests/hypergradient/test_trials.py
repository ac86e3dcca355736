"""Derivatives that are missing, or wrong without an error, are found where they are."""

import pytest
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from autobalance.hypergradient.trials import try_model


class Once(torch.autograd.Function):
    """A square whose gradient is a constant to autograd."""

    @staticmethod
    def forward(x):
        return x.square()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * ctx.saved_tensors[0] * tangent


class Careless(Once):
    """A square whose forward mode is off by a tenth."""

    @staticmethod
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope

    @staticmethod
    def jvp(ctx, tangent):
        return 2.2 * ctx.saved_tensors[0] * tangent


class Stubborn(Once):
    """A square that refuses to be differentiated."""

    @staticmethod
    def backward(ctx, slope):
        raise ValueError("not today")


class Apply(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


class Between(nn.Module):
    """Applies a function of its own between two layers."""

    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(4, 4), nn.Linear(4, 3)
        self.function = function

    def forward(self, x):
        return self.after(self.function.apply(self.before(x)))


@pytest.fixture(autouse=True)
def steady() -> None:
    torch.manual_seed(0)


@pytest.fixture
def examples() -> torch.Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


def places(model: nn.Module, examples: torch.Tensor) -> list[tuple[str, str]]:
    return [(failure.blocks, failure.layer) for failure in try_model(model, examples).failures]


def test_what_differentiates_well_has_no_failure(examples):
    outcome = try_model(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)), examples)
    assert outcome.failures == outcome.unreached == []


def test_a_second_derivative_that_is_wrong_without_an_error_is_found(examples):
    model = nn.Sequential(nn.Linear(4, 4), Apply(Once), nn.Linear(4, 3), nn.Tanh())
    assert places(model, examples) == [("double backward", "1")]


def test_a_wrong_second_derivative_is_found_in_every_layer_that_has_it(examples):
    model = nn.Sequential(nn.Linear(4, 4), Apply(Once), nn.Tanh(), Apply(Once), nn.Linear(4, 3))
    assert places(model, examples) == [("double backward", "1"), ("double backward", "3")]


def test_a_forward_mode_that_is_wrong_without_an_error_is_found(examples):
    model = nn.Sequential(nn.Linear(4, 4), Apply(Careless), nn.Linear(4, 3))
    (failure,) = try_model(model, examples).failures
    assert (failure.blocks, failure.reason) == (
        "forward mode",
        "it gives wrong numbers without an error",
    )


class StraightThrough(Once):
    """A sign whose gradient is that of the identity."""

    @staticmethod
    def forward(x):
        return x.sign()

    @staticmethod
    def backward(ctx, slope):
        return slope

    @staticmethod
    def jvp(ctx, tangent):
        raise NotImplementedError("no forward mode")


def test_a_gradient_that_finite_differences_contradict_blocks_everything(examples):
    model = nn.Sequential(nn.Linear(4, 4), Apply(StraightThrough), nn.Linear(4, 3))
    failures = {failure.blocks: failure for failure in try_model(model, examples).failures}
    assert failures["any"].layer == "1"
    assert "not the derivative" in failures["any"].reason


def test_without_a_gradient_nothing_else_is_tried(examples):
    model = nn.Sequential(nn.Linear(4, 4), Apply(Stubborn), nn.Linear(4, 3))
    (failure,) = try_model(model, examples).failures
    assert (failure.blocks, failure.layer, failure.reason) == ("any", "1", "not today")
    assert failure.operations == "StubbornBackward"


@pytest.mark.parametrize(("function", "blocks"), [(Once, "double backward"), (Stubborn, "any")])
def test_what_a_module_does_between_its_layers_is_its_own_work(function, blocks, examples):
    model = nn.Sequential(Between(function), nn.Tanh())
    assert places(model, examples) == [(blocks, "0")]


def test_shared_parameters_and_changes_in_place_are_followed(examples):
    first, again = nn.Linear(4, 4), nn.Linear(4, 4)
    again.weight = first.weight
    model = nn.Sequential(first, nn.ReLU(inplace=True), again, Apply(Once), nn.Linear(4, 3))
    assert places(model, examples) == [("double backward", "3")]


def test_a_failure_is_not_put_down_to_a_layer_that_a_shortcut_leads_past(examples):
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Apply(Once)

        def forward(self, x):
            return x + self.inner(x)

    model = nn.Sequential(nn.Linear(4, 4), Residual(), nn.Tanh(), nn.Linear(4, 3))
    assert places(model, examples) == [("double backward", "1.inner")]


def test_parameters_out_of_reach_are_listed(examples):
    model = Between(Once)
    model.spare = nn.Linear(2, 2)
    assert try_model(model, examples).unreached == ["spare.weight", "spare.bias"]


class Words(nn.Module):
    """The mean of embedded words, padded with word 0; word by word scored by the same table."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4, padding_idx=0)
        self.last = nn.Linear(4, 6, bias=False)
        if tied:
            self.last.weight = self.embedding.weight

    def forward(self, words):
        return self.last(self.embedding(words).mean(1).tanh())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_an_embedding_that_pads_has_no_failure(tied, frozen):
    """Its gradient leaves the padding's row alone, whatever the derivative by it may be."""
    model = nn.Sequential(nn.Identity(), Words(tied), nn.Linear(6, 3))
    model[1].embedding.weight.requires_grad_(not frozen)
    padded = torch.tensor([[1, 2, 3], [4, 5, 0], [3, 0, 0], [2, 2, 1]])
    assert try_model(model, padded).failures == []


def test_an_embedding_without_padding_that_is_wrong_is_still_found():
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(6, 4)
            self.last = nn.Linear(4, 3)

        def forward(self, words):
            rows = nn.functional.embedding(words, self.embedding.weight, padding_idx=0)
            return self.last(rows.mean(1).tanh())

    words = torch.tensor([[1, 2, 0], [4, 0, 0]])
    assert len(try_model(Padded(), words).failures) == 1
