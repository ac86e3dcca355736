"""Algorithm 2 as published, kept as a reference: everything by double backward.

    f = ∇_θ L_train(θ; α)            mean over the training batches, with its graph
    v_0 = ∇_θ F,  v_j = v_{j−1} − η (∂f/∂θ)ᵀ v_{j−1}
    p = η Σ_{j ≤ J} v_j
    dF/dα = −∂_α ⟨f, p⟩

As printed it returns with p = v_J alone and without η; the sum is meant, as in Lorraine et al.
(AISTATS 2020), which it cites. The graphs of all training batches are in memory at once, and the
step is fixed: see :mod:`autobalance.hypergradient.neumann` for what that leads to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autobalance.batches import Batch
from autobalance.hypergradient.estimate import BatchObjective, objective_gradient
from autobalance.hypergradient.logit_loss import AutogradLoss
from autobalance.hypergradient.network import Network, flat


def published_hypergradient(
    model: nn.Module,
    loss: AutogradLoss,
    objective: BatchObjective,
    train_batches: Sequence[Batch],
    validation_batches: Sequence[Batch],
    *,
    terms: int = 5,
    step: float = 0.01,
    weight_decay: float = 0.0,
    mode: str = "eval",
) -> tuple[Tensor, ...]:
    """dF/dα, one tensor for each in ``loss.alpha``.

    Parameters
    ----------
    model, loss, objective, train_batches, validation_batches, weight_decay, mode
        As in :func:`~autobalance.hypergradient.estimate.hypergradient`, but the objective is the
        mean over the held-out batches of the objective of each.
    terms, step
        J and η.
    """
    network, held_out = Network(model, mode), Network(model)
    with held_out.undisturbed():
        gradients = [objective_gradient(held_out, objective, [b])[1] for b in validation_batches]
    term = torch.stack(gradients).mean(0)
    with network.undisturbed():
        leaves = network.leaves()
        parts = [
            loss.value(network.logits(batch.inputs, leaves, place), batch)
            for place, batch in enumerate(train_batches)
        ]
        value = torch.stack(parts).mean() + weight_decay / 2 * sum(
            (leaf**2).sum() for leaf in leaves
        )
        slope = flat(
            torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True), leaves
        )
        total = term
        for _ in range(terms):
            product = torch.autograd.grad(slope, leaves, term, retain_graph=True, allow_unused=True)
            term = term - step * flat(product, leaves)
            total = total + term
        mixed = torch.autograd.grad(
            slope, loss.alpha, step * total, allow_unused=True, materialize_grads=True
        )
    return tuple(-product for product in mixed)
