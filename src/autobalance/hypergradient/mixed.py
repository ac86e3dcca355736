"""The mixed second derivative ∂_α ⟨∇_θ L_train(θ; α), p⟩, which needs nothing but logits.

w, l and δ act on the logits only. With u = J_z(θ) p (the change of the logits along p), the mixed
term is ∂_α Σ_i s_i ⟨∂loss_i/∂z_i, u_i⟩ with z and u held fixed. For
loss = −w_y log softmax(δ⊙z + l)_y, with q = softmax(δ⊙z + l), a = δ⊙u and ā = Σ_k q_k a_k,

    ∂l_k = Σ_i s_i w q_k (a_k − ā)
    ∂δ_k = Σ_i s_i w [u_k (q_k − 1{k = y}) + z_k q_k (a_k − ā)]
    ∂w_c = Σ_{i in cell c} s_i (ā − a_y)

each entry (k, g) summing over the examples of group g. The hypergradient is *minus* these products
with p solving H p = ∇_θ L_fair (section 2.1 of the paper loses the sign).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class LossDerivatives(NamedTuple):
    """Derivatives with respect to the values of the loss, each of shape (K, G)."""

    weight: Float[Tensor, "K G"]
    additive: Float[Tensor, "K G"]
    multiplicative: Float[Tensor, "K G"]


def mixed_products(
    logits: Float[Tensor, "F K N"],
    tangents: Float[Tensor, "F K N"],
    target: Int[Tensor, "N"],
    group: Int[Tensor, "N"],
    weight: Float[Tensor, "K G"],
    additive: Float[Tensor, "K G"],
    multiplicative: Float[Tensor, "K G"],
    example_weight: Float[Tensor, "F N"],
) -> LossDerivatives:
    """Evaluate ∂ over (w, l, δ) of Σ s ⟨∂loss/∂z, u⟩ in closed form, summed over F models.

    Parameters
    ----------
    logits, tangents
        z and u of F models (folds), examples last: contiguous in the long axis.
    target, group
        Codes of class and group.
    weight, additive, multiplicative
        The values of the loss.
    example_weight
        s, with the 1/B of the mean included; 0 leaves an example out.
    """
    n_classes, n_groups = weight.shape
    delta, w = multiplicative[:, group], weight[target, group]
    scaled = example_weight * w
    q = torch.softmax(delta * logits + additive[:, group], dim=1)
    a = delta * tangents
    mean = (q * a).sum(1, keepdim=True)
    own = torch.nn.functional.one_hot(target, n_classes).T.to(logits)
    groups = torch.nn.functional.one_hot(group, n_groups).to(logits)
    by_logit = q * (a - mean)
    d_additive = torch.einsum("fn,fkn->kn", scaled, by_logit) @ groups
    slope = tangents * (q - own) + logits * by_logit
    d_multiplicative = torch.einsum("fn,fkn->kn", scaled, slope) @ groups
    per_example = (example_weight * (mean[:, 0] - (own * a).sum(1))).sum(0)
    d_weight = torch.bincount(
        target * n_groups + group, weights=per_example, minlength=n_classes * n_groups
    ).reshape(n_classes, n_groups)
    return LossDerivatives(d_weight.to(logits), d_additive, d_multiplicative)
