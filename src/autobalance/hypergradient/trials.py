"""What a search computes, tried on one batch: what fails, in which layers, and why.

Three things are tried: the gradient; J p in forward mode, which must agree with the gradient,
⟨c, J p⟩ = ⟨Jᵀ c, p⟩; and products with Hessians by double backward, which must be symmetric,
⟨u, H v⟩ = ⟨v, H u⟩. Both identities are exact whatever the network, kinks included, so a derivative
that is wrong without an error fails them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from autobalance.batches import Inputs, map_tensors
from autobalance.errors import DataError, SearchError
from autobalance.hypergradient.network import Network
from autobalance.hypergradient.tangent import FiniteDifference, ForwardMode, Tangent

_TOLERANCE = 1e-2  # TF32 is right to 1e-3; a wrong derivative is off by far more
_ROUGH_TOLERANCE = 0.2  # of a finite difference in float32, with kinks within its step
_PROBES = 4  # one random product may happen to agree


class Failure(NamedTuple):
    """What a layer cannot do.

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
    """The failures, and the names of the parameters that no gradient reaches."""

    failures: list[Failure]
    unreached: list[str]


def try_model(module: nn.Module, inputs: Inputs) -> Outcome:
    """Try the gradient, forward mode and double backward in evaluation mode, leaving no trace.

    Of failures in forward mode there is only the first, for it ends the pass. Without a gradient
    nothing else is tried.

    Raises
    ------
    SearchError
        If the output holds no logits, or they depend on no trainable parameter.
    """
    network = Network(module)
    with network.undisturbed():
        trial, trace = _Trial(network, inputs), _Trace()
        with trace.of(module):
            logits = trial.logits()
        reason = _reason(trial.gradient, logits)
        if reason:
            places = _local_failures("any", trace.steps, trial.gradient_of)
            return Outcome(places or [Failure("any", "", "", reason)], [])
        forward = _forward_failure(trial, trace.steps, logits)
        double = _local_failures("double backward", trace.steps, trial.double_backward_of)
        trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        parts = zip(trained, trial.gradient(logits), strict=True)
        return Outcome(forward + double, [name for name, part in parts if part is None])


class _Step(NamedTuple):
    """Operations that a layer has run one after the other: a piece of autograd's graph."""

    layer: str
    operations: str
    tensors: list[Tensor]
    origins: list[GradientEdge]


class _Trace:
    """Follows a forward pass from layer to layer.

    An operation is the work of the layer that ran it, which need not be the first whose output it
    is behind: what is new in a module's inputs was done by the module around it.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.inside: list[str] = []
        self._step_of: dict[Node, int] = {}

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
        done: dict[Node, None] = {}
        waiting = [tensor.grad_fn for tensor in tensors]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in self._step_of:
                self._step_of[node] = len(self.steps)
                done[node] = None
                waiting += [before for before, _ in node.next_functions]
        if done:
            operations = " ".join(sorted({node.name() for node in done}))
            self.steps.append(_Step(layer, operations, tensors, self._origins(done)))

    def _origins(self, done: Collection[Node]) -> list[GradientEdge]:
        """Where a step's own piece of the graph begins: new parameters and the step before it.

        Results of earlier steps are left out, for the way back to them may lead through others.
        """
        starts: dict[GradientEdge, int] = {}
        for node in done:
            for before, place in node.next_functions:
                if before is not None and (before not in done or not before.next_functions):
                    starts[GradientEdge(before, place)] = self._step_of[before]
        latest = max((step for edge, step in starts.items() if edge.node not in done), default=0)
        return [edge for edge, step in starts.items() if step >= latest]


class _Trial:
    """The derivatives of one batch; a method raises if its own cannot be had or is wrong."""

    def __init__(self, network: Network, inputs: Inputs) -> None:
        self.network = network
        self._inputs = inputs
        self._leaves = network.leaves()
        self._random = torch.Generator(network.device)
        self._random.manual_seed(0)

    def logits(self) -> Float[Tensor, "N *outputs"]:
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

    def gradient(self, logits: Float[Tensor, "N *outputs"]) -> list[Tensor | None]:
        """The gradient of the logits' mean square, one part for each parameter."""
        return _slopes(_mean_square([logits]), self._leaves)

    def forward_mode(self, logits: Float[Tensor, "N *outputs"]) -> None:
        """J p in forward mode, against Jᵀ c."""
        self._tangent(ForwardMode(), logits, _TOLERANCE)

    def finite_difference(self, logits: Float[Tensor, "N *outputs"]) -> None:
        """J p by a finite difference, against Jᵀ c."""
        self._tangent(FiniteDifference(), logits, _ROUGH_TOLERANCE)

    def _tangent(
        self, tangent: Tangent, logits: Float[Tensor, "N *outputs"], tolerance: float
    ) -> None:
        p = self._movement()
        moved = tangent(self.network, self._inputs, p)
        probes = [self._draw(logits) for _ in range(_PROBES)]
        pulled = [_slopes((c * logits).sum(), self._leaves) for c in probes]
        _agree(
            torch.stack([(c * moved).sum() for c in probes]),
            torch.stack([_dot(slopes, self.network.split(p)) for slopes in pulled]),
            tolerance * (moved.norm() + _dot(pulled[0], pulled[0]).sqrt()),
        )

    def gradient_of(self, step: _Step) -> None:
        """The gradient of a step's mean square by what it starts from."""
        _slopes(_mean_square(step.tensors), step.origins)

    def double_backward_of(self, step: _Step) -> None:
        """H u against H v, with H the Hessian of a step's mean square by its origins and a scale.

        An operation whose gradient is a constant to autograd has no second derivative at all, which
        is symmetric. By the scale of its result there is one, on one side of the diagonal.
        """
        scale = torch.ones((), device=self.network.device, requires_grad=True)
        leaves = [*step.origins, get_gradient_edge(scale)]
        slopes = _slopes(_mean_square([scale * t for t in step.tensors]), leaves, True)
        probes = [
            [None if slope is None else self._draw(slope) for slope in slopes]
            for _ in range(_PROBES)
        ]
        products = [_slopes(_dot(slopes, vector), leaves) for vector in probes]
        table = torch.stack(
            [torch.stack([_dot(product, vector) for vector in probes]) for product in products]
        )
        _agree(table, table.T, _TOLERANCE * _dot(products[0], products[0]).sqrt())

    def _movement(self) -> Float[Tensor, "P"]:
        """A movement of the parameters that training could make.

        The row that an embedding pads with stays: its gradient is 0 by decree, not by derivation.
        """
        p = self._draw(self.network.theta)
        module = self.network.module
        padding = {
            id(layer.weight): layer.padding_idx
            for layer in module.modules()
            if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) and layer.padding_idx is not None
        }
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for parameter, part in zip(trained, self.network.split(p), strict=True):
            if id(parameter) in padding:
                part[padding[id(parameter)]] = 0
        return p

    def _draw(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self._random, device=like.device, dtype=like.dtype)


def _forward_failure(
    trial: _Trial, steps: Sequence[_Step], logits: Float[Tensor, "N *outputs"]
) -> list[Failure]:
    """Forward mode fails within a layer, or its result is wrong, which shows only at the end.

    Finite differences have to serve instead, and do so unless the gradient is none of theirs.
    """
    reason = _reason(trial.forward_mode, logits)  # without hooks, which turn fast paths off
    if reason is None:
        return []
    again = _Trace()
    with again.of(trial.network.module):
        _reason(trial.forward_mode, logits)
    layer = again.inside[-1] if again.inside else ""
    if _reason(trial.finite_difference, logits) is not None:
        return [Failure("any", layer, "", "its gradient is not the derivative of its output")]
    operations = " ".join(step.operations for step in steps if step.layer == layer)
    return [Failure("forward mode", layer, operations, reason)]


def _local_failures(
    blocks: str, steps: Sequence[_Step], attempt: Callable[[_Step], None]
) -> list[Failure]:
    reasons = [(step, _reason(attempt, step)) for step in steps]
    return [Failure(blocks, s.layer, s.operations, reason) for s, reason in reasons if reason]


def _reason(attempt: Callable[[Any], object], argument: object) -> str | None:
    """Why an attempt fails, in a few words."""
    try:
        attempt(argument)
    except Exception as error:  # a model's own code may raise anything where it is differentiated
        return textwrap.shorten(str(error).partition("\n")[0] or type(error).__name__, 120)
    return None


def _slopes(
    value: Float[Tensor, ""],
    by: Sequence[Tensor] | Sequence[GradientEdge],
    create_graph: bool = False,
) -> list[Tensor | None]:
    return list(
        torch.autograd.grad(
            value, by, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
    )


def _mean_square(tensors: Sequence[Tensor]) -> Float[Tensor, ""]:
    return torch.stack([tensor.square().mean() for tensor in tensors]).sum()


def _dot(a: Sequence[Tensor | None], b: Sequence[Tensor | None]) -> Float[Tensor, ""]:
    products = [(x * y).sum() for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return torch.stack(products).sum()


def _agree(a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"], most: Float[Tensor, ""]) -> None:
    """Compare products with random vectors, which may differ by ``most``."""
    if bool(((a - b).abs() > most).any()):
        raise ArithmeticError("it gives wrong numbers without an error")
