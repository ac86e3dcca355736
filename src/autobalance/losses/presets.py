"""Known losses as points of the parametric family: from class and group counts to a design.

Each function takes :class:`~autobalance.counts.Counts` and gives a
:class:`~autobalance.design.LossDesign`. With n examples per class or cell and π their shares of all
examples, the family is ``-w log softmax(δ z + l)_y``; what a preset does not mention stays at
w = 1, l = 0, δ = 1.

Two conventions hold throughout:

- Weights have mean 1 over the training examples, Σ π w = 1, so that choosing a loss does not
  also choose a learning rate. The papers scale otherwise (or not at all), which changes the loss by
  a factor only.
- A (class, group) cell without examples is counted as **half an example** (or half the rarest cell,
  where that holds less than one, as summed sample weights can). It is never a target, so its
  weight matters to soft targets only; but its logit competes in its group, and l = log 0 would
  take it out of the softmax there and leave nothing that keeps the model from predicting
  it. Half an example ranks it behind every cell that was seen, and keeps l and δ finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import DesignError


def cross_entropy(counts: Counts) -> LossDesign:
    """Plain cross-entropy: w = 1, l = 0, δ = 1."""
    return _design("cross-entropy", counts)


def weighted(counts: Counts) -> LossDesign:
    """Weight every class by its inverse frequency, w_k ∝ 1/π_k.

    Every class then counts the same in the training loss, which makes it consistent for the
    balanced error; it does little once a model fits its training data (Byrd and Lipton, "What is
    the effect of importance weighting in deep learning?", ICML 2019).
    """
    return _design("weighted", counts, weight=1.0 / _class_counts(counts))


def class_balanced(counts: Counts, beta: float = 0.9999) -> LossDesign:
    """Weight every class by its inverse effective number, w_k ∝ (1 - β) / (1 - β^n_k).

    Cui, Jia, Lin, Song and Belongie, "Class-balanced loss based on effective number of samples",
    CVPR 2019, with the softmax loss.

    Parameters
    ----------
    counts
        Training examples per cell.
    beta
        In [0, 1): 0 is plain cross-entropy, towards 1 it becomes :func:`weighted`. Effective
        numbers never exceed 1 / (1 - β), so with the default, the usual choice for long-tailed
        CIFAR-10, classes of far more than 10,000 examples count alike.
    """
    if not 0.0 <= beta < 1.0:
        raise DesignError(f"beta is {beta} but must be at least 0 and less than 1")
    log_beta = math.log(beta) if beta > 0 else -math.inf
    effective_number = -np.expm1(_class_counts(counts) * log_beta)  # times the constant 1 - β
    return _design("class-balanced", counts, {"beta": beta}, weight=1.0 / effective_number)


def logit_adjustment(counts: Counts, tau: float = 1.0) -> LossDesign:
    """Add the scaled log-prior to the logits while training, l_k = τ log π_k.

    Menon, Jayasumana, Rawat, Jain, Veit and Kumar, "Long-tail learning via logit adjustment", ICLR
    2021, eq. 10.

    Parameters
    ----------
    counts
        Training examples per cell.
    tau
        1, the default, is the value that is consistent for the balanced error.
    """
    return _design("logit-adjustment", counts, {"tau": tau}, additive=_prior(counts, tau))


def balanced_softmax(counts: Counts) -> LossDesign:
    """Weigh the odds by the class sizes while training, l_k = log n_k.

    Ren, Yu, Sheng, Ma, Zhao, Yi and Li, "Balanced meta-softmax for long-tailed visual recognition",
    NeurIPS 2020, section 3.1: -log n_y e^{z_y} / Σ_k n_k e^{z_k}. It is :func:`logit_adjustment` at
    τ = 1: l differs by log Σ_k n_k, the same for all classes, which changes neither the loss nor
    its gradient.
    """
    return _design("balanced-softmax", counts, additive=np.log(_class_counts(counts)))


def weighted_adjustment(counts: Counts, share: float = 0.15) -> LossDesign:
    """Leave a share s of the correction to weights: w_k ∝ π_k^-s and l_k = (1 - s) log π_k.

    The pairwise margin loss of Menon et al. (see :func:`logit_adjustment`), Theorem 1, at
    δ = π^(1 - s), for the softmax. It is consistent for the balanced error whatever s: 0 is
    :func:`logit_adjustment` and 1 is :func:`weighted`. Searching ``emphasis`` along log π finds s.

    Parameters
    ----------
    counts
        Training examples per cell.
    share
        From 0 to 1. The default was ahead of 0 on both long-tailed data sets of docs/images.md, and
        level with it after three times the epochs, where larger shares were behind.
    """
    if not 0.0 <= share <= 1.0:
        raise DesignError(f"share is {share} but must be from 0 to 1")
    prior = _prior(counts, 1.0)
    return _design(
        "weighted-adjustment",
        counts,
        {"share": share},
        weight=np.exp(-share * prior),
        additive=(1.0 - share) * prior,
    )


def cdt(counts: Counts, gamma: float = 0.15) -> LossDesign:
    """Shrink the logits of rare classes while training, δ_k = (n_k / n_max)^γ.

    Class-dependent temperatures: Ye, Chen, Zhan and Chao, "Identifying and compensating for feature
    deviation in imbalanced deep learning", 2020 (arXiv:2001.01385), who divide by (n_max / n_k)^γ.

    Parameters
    ----------
    counts
        Training examples per cell.
    gamma
        0 is plain cross-entropy. The papers tune it; the default is :func:`vs`'s.
    """
    return _design("cdt", counts, {"gamma": gamma}, multiplicative=_shrinkage(counts, gamma))


def vs(counts: Counts, tau: float = 1.0, gamma: float = 0.15) -> LossDesign:
    """Vector scaling: :func:`logit_adjustment` and :func:`cdt` at once.

    Kini, Paraskevas, Oymak and Thrampoulidis, "Label-imbalanced and group-sensitive classification
    under overparameterization", NeurIPS 2021.

    Parameters
    ----------
    counts
        Training examples per cell.
    tau, gamma
        The papers tune both. τ = 1 is that of a consistent logit adjustment; γ = 0.15 is a mild
        value, which suits logits as small as those of a linear head.
    """
    return _design(
        "vs",
        counts,
        {"tau": tau, "gamma": gamma},
        additive=_prior(counts, tau),
        multiplicative=_shrinkage(counts, gamma),
    )


def group_balanced(counts: Counts) -> LossDesign:
    """Weight every (class, group) cell by its inverse frequency, w_kg ∝ 1/π_kg.

    The loss CE_bal^G of AutoBalance (Li et al., NeurIPS 2021, section 4): every cell counts the
    same. Without groups it is :func:`weighted`.
    """
    return _design("group-balanced", counts, weight=1.0 / counts.filled)


def group_la(counts: Counts) -> LossDesign:
    """Balance the groups by weights and, within each, the classes by logit adjustment.

    The baseline "Group-LA" of AutoBalance (Li et al., NeurIPS 2021, section 4): w_g ∝ 1/π_g over
    the groups, and l_kg is the log of class k's share within group g (τ = 1). Without groups it is
    :func:`logit_adjustment`.
    """
    cells = counts.filled
    groups = cells.sum(axis=0, keepdims=True)
    return _design("group-la", counts, weight=1.0 / groups, additive=np.log(cells / groups))


def group_vs(counts: Counts, tau: float = 1.0, gamma: float = 0.3) -> LossDesign:
    """Vector scaling by (class, group) cell: l_kg = τ log π_kg and δ_kg = (n_kg / n_max)^γ.

    Kini et al. (see :func:`vs`) state the loss for two classes and a single output f, with y = ±1:
    log(1 + exp(ι_yg - Δ_yg y f)), where the example's own cell has Δ_yg = (n_yg / n_max)^γ, n_max
    over all cells. With a logit per class, the values of a cell act on *its* logit and only the
    group of the example chooses the column, as in eq. 4.2 of AutoBalance. The direction is kept (a
    smaller δ makes the loss ask for a larger logit, so rare cells are pushed harder, against the
    other classes of their group and compared with other groups), their exact ratio of margins is
    not. In l only differences within a group count, so at τ = 1 it is that of :func:`group_la`.
    Without groups it is :func:`vs` with another default γ.

    Parameters
    ----------
    counts
        Training examples per cell.
    tau
        1 balances the classes within each group.
    gamma
        0.3 is what the authors use for their experiment on groups (Waterbirds).
    """
    cells = counts.filled
    return _design(
        "group-vs",
        counts,
        {"tau": tau, "gamma": gamma},
        additive=tau * np.log(cells / cells.sum()),
        multiplicative=(cells / cells.max()) ** gamma,
    )


def cost_weighted(counts: Counts, costs: Costs) -> LossDesign:
    """Weight every class by what its errors cost, w_y ∝ Σ_k (C[y, k] − min_j C[y, j]).

    Elkan, "The foundations of cost-sensitive learning", IJCAI 2001; Zadrozny, Langford and Abe,
    "Cost-sensitive learning by cost-proportionate example weighting", ICDM 2003. It is consistent
    for two classes, and for more if a class's errors all cost the same.

    Parameters
    ----------
    counts
        Training examples per cell.
    costs
        Of decisions. A class of which they are all the same keeps a thousandth of the largest
        weight.
    """
    return _design("cost-weighted", counts, weight=_cost_of_errors(counts, costs))


def cost_adjustment(counts: Counts, costs: Costs) -> LossDesign:
    """Take the logarithm of the weights of :func:`cost_weighted` off the logits while training.

    As :func:`logit_adjustment` is to :func:`weighted`, with l_y = −log w_y: a head that is trained
    to the odds of softmax(z + l) has plain logits z = log p_y + log w_y, the largest of which costs
    least to decide for.

    Parameters
    ----------
    counts, costs
        As there.
    """
    return _design("cost-adjustment", counts, additive=-np.log(_cost_of_errors(counts, costs)))


COST_PRESETS: Mapping[str, Callable[[Counts, Costs], LossDesign]] = MappingProxyType(
    {"cost-weighted": cost_weighted, "cost-adjustment": cost_adjustment}
)
"""Presets that look at costs too."""

PRESETS: Mapping[str, Callable[..., LossDesign]] = MappingProxyType(
    {
        "cross-entropy": cross_entropy,
        "weighted": weighted,
        "class-balanced": class_balanced,
        "logit-adjustment": logit_adjustment,
        "balanced-softmax": balanced_softmax,
        "weighted-adjustment": weighted_adjustment,
        "cdt": cdt,
        "vs": vs,
        "group-balanced": group_balanced,
        "group-vs": group_vs,
        "group-la": group_la,
    }
)
"""Every preset of counts alone by its stable name."""


def preset(name: str, counts: Counts, costs: Costs | None = None, **arguments: float) -> LossDesign:
    """Make the preset ``name`` for ``counts``, with the arguments of its function.

    Raises
    ------
    DesignError
        If there is no such preset, it needs costs and there are none, or an argument is unknown to
        it or out of range.
    """
    if name in COST_PRESETS:
        if costs is None or arguments:
            raise DesignError(f"preset {name!r} takes the costs of decisions and nothing else")
        return COST_PRESETS[name](counts, costs)
    if name not in PRESETS:
        names = ", ".join((*PRESETS, *COST_PRESETS))
        raise DesignError(f"there is no preset {name!r}; choose one of {names}")
    try:
        return PRESETS[name](counts, **arguments)
    except TypeError as error:
        raise DesignError(f"preset {name!r} cannot take these arguments: {error}") from error


def _class_counts(counts: Counts) -> Float[ndarray, "K 1"]:
    return counts.per_class[:, None]


def _cost_of_errors(counts: Counts, costs: Costs) -> Float[ndarray, "K 1"]:
    matrix = costs.of_classes(counts.classes)
    total = (matrix - matrix.min(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    return np.asarray(np.maximum(total, 1e-3 * total.max()))


def _prior(counts: Counts, tau: float) -> Float[ndarray, "K 1"]:
    n = _class_counts(counts)
    return np.asarray(tau * np.log(n / n.sum()))


def _shrinkage(counts: Counts, gamma: float) -> Float[ndarray, "K 1"]:
    n = _class_counts(counts)
    return np.asarray((n / n.max()) ** gamma)


def _design(
    name: str,
    counts: Counts,
    arguments: Mapping[str, float] | None = None,
    *,
    weight: Float[ndarray, "_ _"] | float = 1.0,
    additive: Float[ndarray, "_ _"] | float = 0.0,
    multiplicative: Float[ndarray, "_ _"] | float = 1.0,
) -> LossDesign:
    """A design from values that broadcast to (K, G), with weights of mean 1 over the examples."""
    shape = counts.values.shape
    weights = np.broadcast_to(weight, shape)
    return LossDesign(
        counts,
        weights / (counts.frequencies * weights).sum(),
        np.broadcast_to(additive, shape),
        np.broadcast_to(multiplicative, shape),
        metadata={"preset": name, "arguments": dict(arguments or {})},
    )
