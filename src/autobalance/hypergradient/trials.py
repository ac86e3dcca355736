"""What a search computes, tried on one batch: what fails, in which layer, and why.

Three things are tried: the gradient; J p in forward mode, which must agree with the gradient,
⟨c, J p⟩ = ⟨Jᵀ c, p⟩; and products with a Hessian by double backward, which must be symmetric,
⟨u, H v⟩ = ⟨v, H u⟩. Both identities are exact whatever the network, kinks included, so a derivative
that is wrong without an error fails them.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import Node

from autobalance.batches import Inputs, map_tensors
from autobalance.errors import DataError, SearchError
from autobalance.hypergradient.network import Network
from autobalance.hypergradient.tangent import ForwardMode

_TOLERANCE = 1e-2  # TF32 is right to 1e-3; a wrong derivative is off by far more


class Failure(NamedTuple):
    """What the first layer that fails cannot do.

    Parameters
    ----------
    blocks
        ``"forward mode"``, ``"double backward"``, or ``"any"`` if it is the gradient itself.
    layer
        Name of the module, as in ``named_modules``.
    operations
        What it ran, by the names of the nodes in autograd's graph.
    reason
        What PyTorch says.
    """

    blocks: str
    layer: str
    operations: str
    reason: str


class Outcome(NamedTuple):
    """The failures, at most one of a kind, and the parameters that no gradient reaches."""

    failures: list[Failure]
    unreached: list[str]


def try_model(module: nn.Module, inputs: Inputs) -> Outcome:
    """Try the gradient, forward mode and double backward in evaluation mode, leaving no trace.

    Without a gradient the other two are not tried.

    Raises
    ------
    SearchError
        If the output holds no logits (N, K), or they depend on no trainable parameter.
    """
    network = Network(module)
    with network.undisturbed():
        trial, trace = _Trial(network, inputs), _Trace()
        with trace.of(module):
            logits = trial.logits()
        broken = trace.first_failure("any", trial.gradient, logits)
        if broken:
            return Outcome([broken], [])
        failures = [
            _failure_on_the_way(trial, trace, logits),
            trace.first_failure("double backward", trial.double_backward, logits),
        ]
        trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        parts = zip(trained, trial.gradient([logits]), strict=True)
        return Outcome(
            [failure for failure in failures if failure],
            [name for name, part in parts if part is None],
        )


class _Step(NamedTuple):
    """Operations that a layer has run one after the other, and the tensors they led to."""

    layer: str
    operations: str
    tensors: list[Tensor]


class _Trace:
    """Follows a forward pass from layer to layer.

    An operation is the work of the layer that ran it, which need not be the first whose output it
    is behind: what is new in a module's inputs was done by the module around it.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.inside: list[str] = []
        self._seen: set[Node] = set()

    @contextmanager
    def of(self, module: nn.Module) -> Iterator[None]:
        """Follow what ``module`` does; ``inside`` are the layers that an exception left open."""
        with ExitStack() as hooks:
            for name, child in module.named_modules():
                enter = partial(self._enter, name)  # the first hook: weight_norm may be another
                hooks.enter_context(
                    child.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
                )
                hooks.enter_context(child.register_forward_hook(partial(self._leave, name)))
            yield

    def first_failure(
        self, blocks: str, attempt: Callable[[list[Tensor]], object], logits: Float[Tensor, "N K"]
    ) -> Failure | None:
        """The first step up to which an attempt fails, if it does so on the logits."""
        reason = _reason(attempt, [logits])
        if reason is None:
            return None

        def fails(length: int) -> bool:  # once it does, it does for every greater length
            tensors = [tensor for step in self.steps[:length] for tensor in step.tensors]
            return _reason(attempt, tensors) is not None

        step = self.steps[bisect_left(range(1, len(self.steps)), True, key=fails)]
        return Failure(blocks, step.layer, step.operations, reason)

    def operations(self, layer: str) -> str:
        """All that a layer ran."""
        return " ".join(step.operations for step in self.steps if step.layer == layer)

    def _enter(self, layer: str, _: nn.Module, args: Any, kwargs: Any) -> None:
        if self.inside:
            self._note(self.inside[-1], (args, kwargs))
        self.inside.append(layer)

    def _leave(self, layer: str, _: nn.Module, args: Any, output: Any) -> None:
        self._note(layer, output)
        while self.inside.pop() != layer:
            pass

    def _note(self, layer: str, values: Any) -> None:
        tensors: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            if tensor.grad_fn is not None and tensor.is_floating_point():
                tensors.append(tensor)
            return tensor

        map_tensors(keep, values)
        operations = set()
        waiting = [tensor.grad_fn for tensor in tensors]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in self._seen:
                self._seen.add(node)
                operations.add(node.name())
                waiting += [before for before, _ in node.next_functions]
        if operations:
            self.steps.append(_Step(layer, " ".join(sorted(operations)), tensors))


class _Trial:
    """The derivatives of one batch; a method raises if its own cannot be had or is wrong."""

    def __init__(self, network: Network, inputs: Inputs) -> None:
        self.network = network
        self._inputs = inputs
        self._leaves = network.leaves()
        self._random = torch.Generator(network.device)
        self._random.manual_seed(0)

    def logits(self) -> Float[Tensor, "N K"]:
        """The logits with their graph."""
        try:
            logits = self.network.logits(self._inputs, self._leaves)
        except DataError as error:
            raise SearchError(str(error)) from error
        if not logits.requires_grad:
            raise SearchError(
                "the logits depend on no trainable parameter; look for detach(), no_grad() or "
                "reentrant checkpointing in the model's forward pass"
            )
        return logits

    def gradient(self, tensors: Sequence[Tensor]) -> list[Tensor | None]:
        """The gradient of the tensors' mean squares, one part for each parameter."""
        return self._slopes(_mean_squares(tensors), self._leaves)

    def forward_mode(self, logits: Float[Tensor, "N K"]) -> None:
        """J p as a search takes it, against Jᵀ c."""
        p, c = self._draw(self.network.theta), self._draw(logits)
        moved = ForwardMode()(self.network, self._inputs, p)
        pulled = self._slopes((c * logits).sum(), self._leaves)
        size = moved.norm() + _dot(pulled, pulled).sqrt()
        _agree((c * moved).sum(), _dot(pulled, self.network.split(p)), size)

    def double_backward(self, tensors: Sequence[Tensor]) -> None:
        """H u against H v, with H the Hessian of the mean squares by parameters and scale.

        An operation whose gradient is a constant to autograd leaves no second derivative at all,
        which is symmetric. By the scale of its output there is one, on one side of the diagonal.
        """
        scale = torch.ones((), device=self.network.device, requires_grad=True)
        leaves = [*self._leaves, scale]
        slopes = self._slopes(_mean_squares([scale * t for t in tensors]), leaves, True)
        u, v = ([self._draw(leaf) for leaf in leaves] for _ in range(2))
        h_u, h_v = (self._slopes(_dot(slopes, vector), leaves) for vector in (u, v))
        size = (_dot(h_u, h_u) + _dot(h_v, h_v)).sqrt()
        _agree(_dot(h_u, v), _dot(h_v, u), size)

    def _slopes(
        self, value: Float[Tensor, ""], leaves: Sequence[Tensor], create_graph: bool = False
    ) -> list[Tensor | None]:
        return list(
            torch.autograd.grad(
                value, leaves, retain_graph=True, create_graph=create_graph, allow_unused=True
            )
        )

    def _draw(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self._random, device=like.device, dtype=like.dtype)


def _failure_on_the_way(
    trial: _Trial, trace: _Trace, logits: Float[Tensor, "N K"]
) -> Failure | None:
    """Forward mode fails within a layer, or its result is wrong, which shows only at the end."""
    reason = _reason(trial.forward_mode, logits)  # without hooks, which turn fast paths off
    if reason is None:
        return None
    again = _Trace()
    with again.of(trial.network.module):
        _reason(trial.forward_mode, logits)
    layer = again.inside[-1] if again.inside else ""
    return Failure("forward mode", layer, trace.operations(layer), reason)


def _reason(attempt: Callable[[Any], object], argument: object) -> str | None:
    """Why an attempt fails, in a few words."""
    try:
        attempt(argument)
    except Exception as error:  # a model's own code may raise anything where it is differentiated
        return textwrap.shorten(str(error).partition("\n")[0] or type(error).__name__, 120)
    return None


def _mean_squares(tensors: Sequence[Tensor]) -> Float[Tensor, ""]:
    return torch.stack([tensor.square().mean() for tensor in tensors]).sum()


def _dot(a: Sequence[Tensor | None], b: Sequence[Tensor | None]) -> Float[Tensor, ""]:
    products = [(x * y).sum() for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return torch.stack(products).sum()


def _agree(a: Float[Tensor, ""], b: Float[Tensor, ""], size: Float[Tensor, ""]) -> None:
    """Compare products with random vectors of unit variance, which are about ``size``."""
    if bool((a - b).abs() > _TOLERANCE * size):
        raise ArithmeticError("it gives wrong numbers without an error")
