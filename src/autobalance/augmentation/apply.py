"""A policy on a batch: what is drawn, and what comes of it.

There is no loop over examples or cells: the examples that drew the same sub-policy go through its
operations together, each at the strength of its own cell. Draws come from the CPU, so that they are
the same on every device, and grouping by them does not wait for a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from autobalance.augmentation.operations import Operation

Chains = Sequence[Sequence[Operation]]
_LARGEST_BYTE = 255


class Part(NamedTuple):
    """The examples of a batch that drew one sub-policy, and what else they drew.

    Parameters
    ----------
    members
        Their places in the batch.
    noise
        Logistic, for each operation: one is applied where it exceeds minus the log odds.
    amounts
        For each operation its draws, which times the magnitude are the strengths.
    """

    members: Integer[Tensor, "n"]
    noise: Float[Tensor, "n L"]
    amounts: tuple[Tensor, ...]


def check(chains: Chains, inputs: Tensor) -> None:
    """Refuse inputs that an operation cannot take, by a ``DataError``."""
    for chain in chains:
        for each in chain:
            each.check(inputs)


def draw(
    chains: Chains, n: int, shape: tuple[int, ...], generator: torch.Generator | None = None
) -> tuple[Part, ...]:
    """Draw for n examples of a shape, from a generator on the CPU, the global one by default."""
    choice = torch.randint(len(chains), (n,), generator=generator)
    parts = []
    for number, chain in enumerate(chains):
        members = torch.nonzero(choice == number)[:, 0]
        uniform = torch.rand(len(members), len(chain), dtype=torch.float64, generator=generator)
        amounts = tuple(each.amounts(len(members), shape, generator) for each in chain)
        parts.append(Part(members, uniform.logit(eps=torch.finfo(uniform.dtype).eps), amounts))
    return tuple(parts)


def apply(
    chains: Chains,
    inputs: Tensor,
    targets: Integer[Tensor, "N"],
    groups: Integer[Tensor, "N"],
    probability: Float[Tensor, "K G S L"],
    magnitude: Float[Tensor, "K G S L"],
    parts: Sequence[Part],
    temperature: float = 0.0,
) -> Tensor:
    r"""The examples changed as drawn, in floating point.

    An operation is applied if its noise exceeds minus the log odds of its probability p. With a
    temperature T it is applied in part instead, by a relaxed Bernoulli variable (Maddison, Mnih and
    Teh, "The concrete distribution", ICLR 2017, eq. 24),

    .. math:: m = \sigma((\log\tfrac{p}{1-p} + \text{noise}) / T), \qquad m A(x) + (1 - m) x,

    which is differentiable in p, as the strengths are in the magnitudes; T → 0 is the former.

    Parameters
    ----------
    chains
        The operations of the sub-policies.
    inputs
        Images as bytes or in [0, 1], or vectors.
    targets, groups
        Codes of class and group.
    probability, magnitude
        Of the policy, on the inputs' device.
    parts
        What was drawn.
    temperature
        T.

    Returns
    -------
    Tensor
        In the units of the inputs: bytes become numbers from 0 to 255.

    Raises
    ------
    DataError
        If an operation cannot take such inputs.
    """
    check(chains, inputs)
    scale = 1 if inputs.is_floating_point() else _LARGEST_BYTE
    examples = inputs if scale == 1 else inputs.to(magnitude.dtype) / scale
    changed = []
    for number, (chain, part) in enumerate(zip(chains, parts, strict=True)):
        members = part.members.to(inputs.device)
        cell = targets[members].long(), groups[members].long(), number
        own_probability, own_magnitude = probability[cell], magnitude[cell]
        log_odds = _log_odds(own_probability) + part.noise.to(own_probability)
        x = examples[members]
        for place, each in enumerate(chain):
            amount = part.amounts[place].to(x)
            reach = own_magnitude[:, place].to(x)
            strength = reach.view(-1, *(1,) * (amount.ndim - 1)) * amount
            x = _applied(each, x, strength, log_odds[:, place].to(x), temperature)
        changed.append(x)
    back = torch.cat([part.members for part in parts]).argsort().to(inputs.device)
    return torch.cat(changed)[back] * scale


def _log_odds(probability: Tensor) -> Tensor:
    """Without a slope at 0 and 1, where it would be infinite and that of what follows 0."""
    certain = (probability <= 0) | (probability >= 1)
    odds = torch.where(certain, 0.5, probability).logit()
    return torch.where(certain, probability.detach().logit(), odds)


def _applied(
    what: Operation, x: Tensor, strength: Tensor, log_odds: Float[Tensor, "n"], temperature: float
) -> Tensor:
    if len(x) == 0:
        return x
    if temperature:
        share = torch.sigmoid(log_odds / temperature).view(-1, *(1,) * (x.ndim - 1))
        return x + share * (what.apply(x, strength) - x)
    chosen = log_odds > 0
    if x.device.type != "cpu":  # to select would have the GPU waited for
        return torch.where(chosen.view(-1, *(1,) * (x.ndim - 1)), what.apply(x, strength), x)
    places = torch.nonzero(chosen)[:, 0]
    return x.index_copy(0, places, what.apply(x[places], strength[places]))
