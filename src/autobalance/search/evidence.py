"""Whether a held-out gain stands out from the noise of the held-out examples.

A search gains something on its own folds even where its start is truly optimal. The pull towards
the start keeps most of that away, and the verdict on examples that the search has not seen decides
what may be claimed. This rule only breaks ties: a design that gains less than a standard error over
its closed-form start is not worth explaining, and the start is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.search.heldout import HeldOutRisk


@dataclass(frozen=True)
class Gain:
    """How much lower the held-out objective is, and the standard error of that."""

    value: float
    standard_error: float

    def stands_out(self, required: float) -> bool:
        """Whether it is more than ``required`` standard errors."""
        return self.value > required * self.standard_error


def paired_gain(
    held_out: HeldOutRisk, before: Float[Tensor, "M K"], after: Float[Tensor, "M K"]
) -> Gain:
    """Gain in the held-out objective from ``before`` to ``after``, paired by example.

    With p_c and q_c the derivatives of the objective by the risk of cell c before and after, and
    u_i and v_i the losses of its examples, the gain varies as Σ_c mean_c(p_c u_i − q_c v_i), so
    that

        SE² = Σ_c Var_c(p_c u_i − q_c v_i) / n_c.

    A mean over cells has p = q, and what the examples lose both times cancels. A maximum moves
    from one cell to another, and the noise in their levels does not.

    Parameters
    ----------
    held_out
        The objective.
    before, after
        Plain logits of the same held-out examples.
    """
    weighed, values = [], []
    for logits in (before, after):
        losses = held_out.example_losses(logits)
        risks = held_out.cell_means(losses).requires_grad_()
        value = held_out.objective_of(risks)
        (slopes,) = torch.autograd.grad(value, risks)
        weighed.append(held_out.of_cells(slopes) * losses)
        values.append(float(value.detach()))
    spread = held_out.cell_variances_of_mean(weighed[0] - weighed[1])
    return Gain(values[0] - values[1], float(spread.sum().sqrt()))
