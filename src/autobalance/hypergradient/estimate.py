"""The hypergradient of any network: what the objective gains when the loss moves.

With θ trained, L_train the training loss with parameters α, and F the objective on held-out
examples,

    dF/dα = −∂_α ⟨∇_θ L_train(θ; α), p⟩,        (H + μI) p = ∇_θ F = v,

by the implicit function theorem (Lorraine et al., AISTATS 2020; AutoBalance, NeurIPS 2021, section
2.1, which loses the sign). The curvature H, the solver and the tangent are chosen independently.

Everything here is a sum over examples, but for the objective and the solver's steps. So the ranks
of a data-parallel training, each with its share of every batch, add up v, the products with H and
the mixed term, gather the held-out logits, and do the rest alike: together they take the
hypergradient of the whole batches, which is not the mean of those of their shares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autobalance.batches import Batch, Inputs, map_tensors
from autobalance.hypergradient.augmented import AlongDirection, InputTerm
from autobalance.hypergradient.damped_cg import CG
from autobalance.hypergradient.gauss_newton import GaussNewton, LinearOperator
from autobalance.hypergradient.hessian import Hessian
from autobalance.hypergradient.logit_loss import LogitLoss
from autobalance.hypergradient.network import Network, flat
from autobalance.hypergradient.solvers import Solver
from autobalance.hypergradient.tangent import ForwardMode, Tangent
from autobalance.hypergradient.wrappers import ranks_of
from autobalance.ranks import ALONE, Ranks

BatchObjective = Callable[[Float[Tensor, "M K"], Sequence[Batch]], Float[Tensor, ""]]
"""From the logits of the held-out batches, one after the other, to the objective."""


@dataclass(frozen=True)
class Record:
    """How a hypergradient came about.

    Parameters
    ----------
    value
        The objective on these held-out batches.
    norm
        Of the hypergradient, over all parameters of the loss and of the inputs.
    signal
        Root mean square over the training examples of ‖∂loss/∂z‖. At zero training loss both the
        curvature and the mixed term vanish, and the hypergradient says nothing: this tells.
    step, residual, products
        Of the solver; see :class:`~autobalance.hypergradient.solvers.Solution`.
    seconds
        Wall-clock time.
    """

    value: float
    norm: float
    signal: float
    step: float
    residual: float
    products: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Hypergradient:
    """dF/dα, one tensor for each parameter of the loss, and dF/dμ for the weight decay.

    Where some entries of θ have no decay, μ is that of the others. ``inputs`` has one tensor for
    each parameter that the inputs were computed from.
    """

    loss: tuple[Tensor, ...]
    weight_decay: float
    record: Record
    inputs: tuple[Tensor, ...] = ()


def hypergradient(
    model: nn.Module,
    loss: LogitLoss,
    objective: BatchObjective,
    train_batches: Sequence[Batch],
    validation_batches: Sequence[Batch],
    *,
    solver: Solver | None = None,
    curvature: GaussNewton | Hessian | None = None,
    tangent: Tangent | None = None,
    weight_decay: float | Float[Tensor, "P"] = 0.0,
    mode: str = "eval",
    seed: int = 0,
    input_term: InputTerm | None = None,
) -> Hypergradient:
    """Differentiate the held-out objective by the parameters of the training loss.

    The model is left as it was: parameters, buffers, modes and random streams. One batch is in
    memory at a time, held-out examples no more than the largest training batch has.

    Where several ranks train the model (``DistributedDataParallel``, or within
    :func:`~autobalance.ranks.across_ranks`), all of them have to call this, each with its share of
    the same batches, and all get the same.

    Parameters
    ----------
    model
        Trained as far as it is; compiled or wrapped modules are looked through.
    loss
        The training loss, from the logits on.
    objective
        From held-out logits to one number. It may be nonlinear: it sees all of them together.
    train_batches
        The solver draws its operators from them in turn; the mixed term is their mean.
    validation_batches
        Held-out examples.
    solver
        By default :class:`~autobalance.hypergradient.damped_cg.CG`.
    curvature
        By default Gauss–Newton with ``tangent``.
    tangent
        By default forward mode.
    weight_decay
        μ of the μ/2 ‖θ‖² that training adds to the mean loss: one number, or one for each entry of
        θ where some have none, as biases often do.
    mode
        ``"eval"`` or ``"train"``, for the training loss; see
        :class:`~autobalance.hypergradient.network.Network`.
    seed
        Of the dropout masks, in training mode.
    input_term
        Where the inputs of ``train_batches`` were computed from parameters of their own, such as
        the values of an augmentation, the mixed term by these, such as
        :func:`~autobalance.hypergradient.augmented.through_inputs` with the batches.

    Returns
    -------
    Hypergradient
        On the model's device.
    """
    started = time.perf_counter()
    if input_term is not None:  # which alone goes back beyond the inputs
        train_batches = [
            batch._replace(inputs=map_tensors(Tensor.detach, batch.inputs))
            for batch in train_batches
        ]
    tangent = ForwardMode() if tangent is None else tangent
    curvature = GaussNewton() if curvature is None else curvature
    if isinstance(curvature, GaussNewton):
        curvature = curvature.with_default(tangent)
    solver = CG() if solver is None else solver
    network, held_out = Network(model, mode, seed), Network(model)
    ranks = ranks_of(model)
    ranks.agree(network.module)
    shares = [ranks.share(len(batch.targets), network.device) for batch in train_batches]
    with held_out.undisturbed():
        # Training has shown that the graph of as many examples as it takes at once fits.
        piece = max(len(batch.targets) for batch in train_batches)
        value, right = objective_gradient(held_out, objective, validation_batches, piece, ranks)

    def draw(number: int) -> LinearOperator:
        place = number % len(train_batches)
        operator = curvature.at(network, loss, train_batches[place], place)
        return lambda vector: ranks.total(shares[place] * operator(vector)) + weight_decay * vector

    with network.undisturbed():
        solution = solver.solve(draw, right)
        mixed, signal = _mixed(network, loss, train_batches, shares, tangent, solution.value, ranks)
        by_loss = tuple(-product for product in mixed)
        along = AlongDirection(network, loss, tangent, solution.value, shares)
        by_inputs = tuple(-ranks.total(term) for term in input_term(along)) if input_term else ()
        theta = network.theta
        if isinstance(weight_decay, Tensor):
            theta = torch.where(weight_decay > 0, theta, 0)
        by_decay = -float(theta @ solution.value)
        moved = (*by_loss, *by_inputs)
        norm = torch.stack([product.norm().double() for product in moved]).norm()
    return Hypergradient(
        by_loss,
        by_decay,
        Record(
            value,
            float(norm),
            signal,
            solution.step,
            solution.residual,
            solution.products,
            time.perf_counter() - started,
        ),
        by_inputs,
    )


def objective_gradient(
    network: Network,
    objective: BatchObjective,
    batches: Sequence[Batch],
    piece: int | None = None,
    ranks: Ranks = ALONE,
) -> tuple[float, Float[Tensor, "P"]]:
    """The objective and its gradient v by θ, the graph of ``piece`` examples in memory at a time.

    All but the last piece take two passes; by default a piece is a batch. With several ranks the
    objective is that of all their examples.
    """
    leaves = network.leaves()
    pieces = [inputs for batch in batches for inputs in _pieces(batch, piece)]
    with torch.no_grad():
        parts = [network.logits(inputs, leaves) for inputs in pieces[:-1]]
    logits = network.logits(pieces[-1], leaves)
    parts.append(logits.detach())
    value, cotangent = _at_logits(objective, torch.cat(parts), batches, ranks)
    *others, last = torch.split(cotangent, [len(part) for part in parts])
    total = flat(torch.autograd.grad(logits, leaves, last, allow_unused=True), leaves)
    for inputs, part in zip(pieces, others, strict=False):
        logits = network.logits(inputs, leaves)
        total += flat(torch.autograd.grad(logits, leaves, part, allow_unused=True), leaves)
    return value, ranks.total(total)


def _pieces(batch: Batch, size: int | None) -> list[Inputs]:
    """The inputs of a batch, at most ``size`` examples at a time."""
    n = len(batch.targets)
    size = size or n
    return [
        map_tensors(itemgetter(slice(start, start + size)), batch.inputs)
        for start in range(0, n, size)
    ]


def _at_logits(
    objective: BatchObjective,
    logits: Float[Tensor, "M K"],
    batches: Sequence[Batch],
    ranks: Ranks,
) -> tuple[float, Float[Tensor, "M K"]]:
    """The objective of all ranks' examples, and its gradient in the logits of this one's."""
    own = slice(None)
    if ranks.size > 1:
        lengths = ranks.lengths(len(logits), logits.device)
        own = ranks.own(lengths)
        logits = ranks.gathered(logits, lengths)
        batches = [_gathered_labels(batches, ranks, lengths)]
    leaf = logits.detach().requires_grad_()
    value = objective(leaf, batches)
    (cotangent,) = torch.autograd.grad(value, leaf)
    return float(value.detach()), cotangent[own]


def _gathered_labels(batches: Sequence[Batch], ranks: Ranks, lengths: Sequence[int]) -> Batch:
    """All ranks' classes and groups as one batch, which has no inputs."""
    targets = ranks.gathered(torch.cat([batch.targets for batch in batches]), lengths)
    if batches[0].groups is None:
        return Batch((), targets)
    groups = torch.cat([batch.group_codes for batch in batches])
    return Batch((), targets, ranks.gathered(groups, lengths))


def _mixed(
    network: Network,
    loss: LogitLoss,
    batches: Sequence[Batch],
    shares: Sequence[float],
    tangent: Tangent,
    direction: Float[Tensor, "P"],
    ranks: Ranks,
) -> tuple[list[Tensor], float]:
    """Mean over the batches of ∂_α ⟨∂L/∂z, J p⟩, and the size of their signal."""
    totals: list[Tensor] = []
    squares = torch.zeros((), dtype=torch.float64)
    for place, (batch, share) in enumerate(zip(batches, shares, strict=True)):
        with torch.no_grad():
            logits = network.logits(batch.inputs, network.leaves(), place)
        products = loss.mixed(logits, batch, tangent(network, batch.inputs, direction, place))
        shared = [share * product for product in products]
        totals = [a + b for a, b in zip(totals, shared, strict=True)] if totals else shared
        leaf = logits.requires_grad_()
        (slope,) = torch.autograd.grad(loss.value(leaf, batch), leaf)
        squares += float((slope**2).sum()) * len(logits) * share
    means = [ranks.total(total) / len(batches) for total in totals]
    return means, float(ranks.total(squares) / len(batches)) ** 0.5
