"""What the values of an augmentation policy contribute to a hypergradient.

With h(x) = d/dε L_train(θ + εp; x), the derivative along p of an example's training loss, the mixed
term of a policy is the derivative of the mean of E h(A(x)) over the draws of A (and the
hypergradient is minus that).

Magnitudes have a pathwise derivative: the draws stay, c = ∇_x̃ h, and one backward pass through A.

A probability p of an operation is exact without any relaxation: the expectation over the Bernoulli
variable that decides on it is p h(on) + (1 − p) h(off), whose derivative is

    h(A with the operation) − h(A without it),

two evaluations in forward mode with everything else as drawn, unbiased for operations of any
kind. A relaxed Bernoulli variable needs none of them, for its derivative comes with that of the
magnitudes, but it is that of other images, blends that no training sees, and noisier
(``python -m benchmarks.augmentation`` measures both). ``temperature`` takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.augmentation.apply import Part
from autobalance.augmentation.module import PolicyAugmentation
from autobalance.batches import Batch
from autobalance.hypergradient.augmented import AlongDirection, through_inputs

_CERTAIN = 1e3
"""Logistic noise that decides, whatever the log odds of a probability that is searched."""


class PolicyTerm:
    """Training batches augmented by fixed draws, and the mixed term of the policy behind them.

    Parameters
    ----------
    augmentation
        The policy at its values now.
    batches
        Examples as they were before it.
    generator
        Of the draws.
    temperature
        Of relaxed Bernoulli variables; ``None`` for exact differences.
    probabilities
        Whether those of probabilities are wanted; otherwise they are 0.

    Attributes
    ----------
    batches
        The augmented examples, with a graph back to the values.
    """

    def __init__(
        self,
        augmentation: PolicyAugmentation,
        batches: Sequence[Batch],
        generator: torch.Generator,
        temperature: float | None,
        probabilities: bool = True,
    ) -> None:
        self._augmentation = augmentation
        self._given = [batch._replace(targets=batch.targets.long()) for batch in batches]
        self._differences = probabilities and temperature is None
        self._values = [
            values.detach().clone().requires_grad_()
            for values in (augmentation.probability, augmentation.magnitude)
        ]
        self._draws = [augmentation.draw(batch.inputs, generator) for batch in self._given]
        with torch.enable_grad():
            self.batches = [
                self._applied(batch, draws, temperature or 0.0)
                for batch, draws in zip(self._given, self._draws, strict=True)
            ]

    def __call__(self, along: AlongDirection) -> tuple[Tensor, ...]:
        """∂ ⟨∇_θ L, p⟩ by probabilities and by magnitudes, (K, G, S, L) each."""
        probability, magnitude = through_inputs(along, self.batches, self._values)
        if not self._differences:
            return probability, magnitude
        for place, (batch, draws) in enumerate(zip(self._given, self._draws, strict=True)):
            plain = batch._replace(inputs=self.batches[place].inputs.detach())
            as_drawn = along.of_examples(plain, place)
            for slot in range(probability.shape[3]):
                other, sign = self._flipped(batch, draws, slot)
                gain = sign * (as_drawn - along.of_examples(other, place)) / len(self._given)
                for number, part in enumerate(draws):
                    members = part.members.to(gain.device)
                    cell = batch.targets[members], batch.group_codes[members]
                    probability[..., number, slot].index_put_(cell, gain[members], accumulate=True)
        return probability, magnitude

    def _applied(self, batch: Batch, draws: Sequence[Part], temperature: float = 0.0) -> Batch:
        probability, magnitude = self._values
        inputs = self._augmentation.relaxed(
            *batch, tuple(draws), probability, magnitude, temperature
        )
        return batch._replace(inputs=inputs)

    @torch.no_grad()
    def _flipped(
        self, batch: Batch, draws: Sequence[Part], slot: int
    ) -> tuple[Batch, Float[Tensor, "B"]]:
        """The batch with the other decision on one operation of each example; 1 where it was on."""
        sign = torch.empty(len(batch.targets), device=batch.targets.device)
        flipped = []
        for number, part in enumerate(draws):
            cell = batch.targets[part.members], batch.group_codes[part.members]
            odds = self._values[0][..., number, slot][cell].logit()
            noise = part.noise.to(odds, copy=True)  # on the device, which nothing waits for
            was_on = odds + noise[:, slot] > 0
            sign[part.members] = torch.where(was_on, 1.0, -1.0)
            noise[:, slot] = torch.where(was_on, -_CERTAIN, _CERTAIN)
            flipped.append(part._replace(noise=noise))
        return self._applied(batch, flipped), sign.to(self._values[0])
