"""Whether a held-out gain stands out from what a search finds in noise.

Let the held-out objective F̂(α) be the true one plus g·α, with g of mean 0 and covariance H/n for
the curvature H of F, as for a mean of n losses. Where the start is truly optimal, a search over d
values gains ½ gᵀH⁻¹g, on average d/(2n), and the design it picks is truly d/(2n) *worse*. The
standard error of the gain, paired by example, is then about √d/n: a gain below √d standard errors
is what the search would also have found with nothing there (so AIC counts parameters). A design is
taken when its gain is at least one standard error above that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.search.heldout import HeldOutRisk


@dataclass(frozen=True)
class Gain:
    """How much lower the held-out objective is, and the standard error of that."""

    value: float
    standard_error: float

    def stands_out(self, searched: int, required: float) -> bool:
        """Whether it is ``required`` standard errors above the optimism of ``searched`` values."""
        return bool(self.value > (np.sqrt(searched) + required) * self.standard_error)


def paired_gain(
    held_out: HeldOutRisk, before: Float[Tensor, "M K"], after: Float[Tensor, "M K"]
) -> Gain:
    """Gain in the held-out objective from ``before`` to ``after``, paired by example.

    With p_c the derivative of the objective by the risk of cell c (halfway between the two), the
    gain is about Σ_c p_c · mean_c(d_i) for the differences d_i of the examples' losses, so that

        SE² = Σ_c p_c² · Var_c(d_i) / n_c.

    Parameters
    ----------
    held_out
        The objective.
    before, after
        Plain logits of the same held-out examples.
    """
    losses = [held_out.example_losses(logits) for logits in (before, after)]
    risks = [held_out.cell_means(loss) for loss in losses]
    middle = ((risks[0] + risks[1]) / 2).requires_grad_()
    (slopes,) = torch.autograd.grad(held_out.objective_of(middle), middle)
    difference = losses[0] - losses[1]
    spread = held_out.cell_variances_of_mean(difference)
    gain = held_out.objective_of(risks[0]) - held_out.objective_of(risks[1])
    return Gain(float(gain), float((slopes**2 * spread).sum().sqrt()))
