"""The parametric cross-entropy of one logit per decision: a binary network, or one of L labels."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor

from autobalance.batches import Batch
from autobalance.design import LossDesign
from autobalance.errors import DesignError
from autobalance.losses._checks import (
    Reduction,
    check_binary_inputs,
    check_options,
    check_values,
    explain_codes,
    explain_shares,
    sensitive_groups,
)
from autobalance.losses.parametric import ABSENT, ParametricCrossEntropy, Values

OUTCOMES = ("negative", "positive")
"""The two classes of a decision, by code."""

Decisions = Float[Tensor, " N"] | Float[Tensor, "N L"]
Targets = Shaped[Tensor, " N"] | Shaped[Tensor, "N L"]
PerDecision = Shaped[Tensor, " N"] | Shaped[Tensor, "N L"]
Codes = Integer[Tensor, " N"]


def adjusted_binary_cross_entropy(
    logits: Decisions,
    target: Targets,
    weight: Float[Tensor, "2 G"],
    additive: Float[Tensor, "2 G"],
    multiplicative: Float[Tensor, "2 G"],
    *,
    group: Codes | None = None,
    sample_weight: PerDecision | None = None,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""] | Decisions:
    r"""Binary cross-entropy of adjusted logits, differentiable in all its floating arguments.

    The loss of label :math:`k` of one example, with logit :math:`z` and outcome
    :math:`t \in \{0, 1\}`, is

    .. math:: -w_{tk} \log \sigma(\pm(\delta_{1k} z + l_{1k} - l_{0k})),

    the sign that of the outcome. It is
    :func:`~autobalance.losses.parametric.adjusted_cross_entropy` of the two logits :math:`(0, z)`
    with the label as group. Parameters are those of :class:`ParametricBinaryCrossEntropy` and of
    its call.

    Raises
    ------
    DataError
        If shapes, dtypes or devices do not fit each other or the values. On the CPU also if a
        target or group code is out of range; on CUDA, looking would stop the stream, so there a
        code out of range trips the kernel's own assertion, and a share out of range makes the loss
        NaN.
    """
    check_options(reduction, label_smoothing)
    check_values(weight, additive, multiplicative)
    check_binary_inputs(logits, target, weight, group, sample_weight)
    options = (group, sample_weight, reduction, ignore_index, label_smoothing)
    if torch.compiler.is_compiling():
        return _reduced_loss(logits, target, weight, additive, multiplicative, *options)
    explain_shares(target)
    try:
        return _reduced_loss(logits, target, weight, additive, multiplicative, *options)
    except (IndexError, RuntimeError):
        explain_codes("target", target, len(OUTCOMES), ignore_index)
        explain_codes("group", group, sensitive_groups(logits, weight))
        raise


class ParametricBinaryCrossEntropy(ParametricCrossEntropy):
    r"""Binary cross-entropy with weights and logit adjustments per outcome and label.

    For networks with **one logit per decision**: logits (N, L) for the L labels that an example may
    have, each decided by itself, and (N,) or (N, 1) for a single binary class. Decision :math:`k`
    with logit :math:`z` and outcome :math:`t` costs

    .. math:: -w_{tk} \log \sigma(\pm(\delta_{1k} z + l_{1k} - l_{0k})),

    the two-class :class:`ParametricCrossEntropy` of the logits :math:`(0, z)` (AutoBalance, Li et
    al., NeurIPS 2021, eq. 4.2) with the label in the place of the group. The adjustments belong to
    training: **at inference a label is given where** :math:`z > 0`.

    Only the *difference* of the two rows of l acts, and only the second row of δ, since the logit
    of the negative outcome is always 0. Presets that differ from cross-entropy by δ (``cdt``,
    ``vs``, ``group-vs``) are therefore weaker here than with two logits.

    Parameters
    ----------
    weight, additive, multiplicative
        w ≥ 0, l and δ > 0, of shape (2,) or (2, G), rows negative and positive. The columns are the
        L labels, or the L·S pairs of a label and one of S groups of examples, labels first: (label
        0, group 0), (label 0, group 1), ... One value per outcome holds for all labels.
        ``F.binary_cross_entropy_with_logits(..., pos_weight=p)`` is w = [1, p].
    reduction
        ``"mean"`` divides the sum by the number of decisions whose label is known, ``"sum"`` does
        not divide, ``"none"`` gives one loss per decision (0 where the label is not known).
    ignore_index
        Integer target that marks a missing label; of floating targets it is NaN.
    label_smoothing
        ε in [0, 1): the target becomes (1 - ε) t + ε / 2, every share with its own outcome's
        weight.
    dtype
        Of the buffers; see :class:`ParametricCrossEntropy`, whose notes on means, on precision and
        on extreme logits hold here too.

    Raises
    ------
    DesignError
        If shapes disagree, there are not two classes, or a value is not finite, negative or (δ)
        zero in ``dtype``.
    """

    def __init__(
        self,
        weight: Values | None = None,
        additive: Values | None = None,
        multiplicative: Values | None = None,
        *,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(
            weight,
            additive,
            multiplicative,
            n_classes=len(OUTCOMES),
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            dtype=dtype,
        )

    @classmethod
    def from_design(cls, design: LossDesign, **options: Any) -> ParametricBinaryCrossEntropy:
        """Build the loss that a design of two classes describes; the second is the positive one.

        Raises
        ------
        DesignError
            If it has another number of classes, or a policy: what the examples of a cell become
            says nothing about examples of many labels.
        """
        if design.counts.n_classes != len(OUTCOMES):
            raise DesignError(
                f"the design has {design.counts.n_classes} classes but one logit decides between "
                "two; use ParametricCrossEntropy with a logit per class, or counts of labels from "
                "label_counts"
            )
        if design.policy is not None and design.counts.multilabel:
            raise DesignError(
                "the design has an augmentation policy for each label and outcome, of which an "
                "example has many; leave it out with replace(design, policy=None)"
            )
        loss = cls(design.weight, design.additive, design.multiplicative, **options)
        loss.design = design
        return loss

    def forward(
        self,
        logits: Decisions,
        target: Targets,
        group: Codes | None = None,
        sample_weight: PerDecision | None = None,
    ) -> Float[Tensor, ""] | Decisions:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits
            Shape (N, L), or (N,) for one binary class, unnormalised.
        target
            0 and 1 (or booleans), or floating shares in [0, 1], of the shape of the logits; for a
            single label (N,) and (N, 1) are the same.
        group
            Group codes in [0, S) of the examples, shape (N,). Needed if there are more columns of
            values than labels.
        sample_weight
            Factor on each example's loss, (N,), or on each decision's, (N, L). The mean is not
            divided by it.

        Raises
        ------
        DataError
            As in :func:`adjusted_binary_cross_entropy`.
        """
        return self._by(adjusted_binary_cross_entropy, logits, target, group, sample_weight)

    def decisions(self, logits: Decisions, batch: Batch) -> tuple[Float[Tensor, "M 2"], Batch]:
        """Every known label as an example of its own, with logits (0, z) and the label as group.

        Targets are codes if all are 0 or 1, and shares of both outcomes otherwise.

        Raises
        ------
        DataError
            If logits, targets and groups do not fit each other or the values.
        """
        check_binary_inputs(logits, batch.targets, self.weight, batch.groups)
        n_groups = sensitive_groups(logits, self.weight)
        z = _by_label(logits)
        target = batch.targets.reshape(z.shape)
        column = torch.zeros_like(z, dtype=torch.long)
        if self.weight.shape[1] > 1:
            column += n_groups * torch.arange(z.shape[1], device=z.device)
        if batch.groups is not None:
            explain_codes("group", batch.groups.cpu(), n_groups)
            column += batch.groups.long()[:, None]
        known = ~_missing(target, self.ignore_index)
        target = target[known]
        if target.is_floating_point() and not bool(((target == 0) | (target == 1)).all()):
            explain_shares(target.cpu())
            shares = torch.stack([1 - target, target], -1)
        else:
            shares = target.long()
        rows = torch.stack([torch.zeros_like(z), z], -1)[known]
        return rows, Batch(None, shares, column[known])


def _reduced_loss(
    logits: Decisions,
    target: Targets,
    weight: Float[Tensor, "2 G"],
    additive: Float[Tensor, "2 G"],
    multiplicative: Float[Tensor, "2 G"],
    group: Codes | None,
    sample_weight: PerDecision | None,
    reduction: Reduction,
    ignore_index: int,
    label_smoothing: float,
) -> Float[Tensor, ""] | Decisions:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    z = _by_label(logits.to(dtype).clamp(min=ABSENT))
    target = target.reshape(z.shape)
    w, l, delta = (
        _of_decisions(values, group, z.shape[1]) for values in (weight, additive, multiplicative)
    )
    adjusted = delta[..., 1] * z + (l[..., 1] - l[..., 0])
    outcomes = -w * torch.stack([F.logsigmoid(-adjusted), F.logsigmoid(adjusted)], -1)
    missing = _missing(target, ignore_index)
    known = target.masked_fill(missing, 0)
    if target.is_floating_point():
        known = known.masked_fill((known < 0) | (known > 1), torch.nan)
        losses = (outcomes * torch.stack([1 - known, known], -1)).sum(-1)
    else:
        losses = outcomes.gather(-1, known.long().unsqueeze(-1)).squeeze(-1)
    if label_smoothing:
        losses = (1.0 - label_smoothing) * losses + label_smoothing * outcomes.mean(-1)
    if sample_weight is not None:
        losses = losses * _by_label(sample_weight.to(dtype))
    losses = losses.masked_fill(missing, 0.0).reshape(logits.shape)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.sum() / (~missing).sum().clamp(min=1)


def _by_label(values: Shaped[Tensor, "..."]) -> Shaped[Tensor, "N L"]:
    """A single label as one column."""
    return values.unsqueeze(1) if values.ndim == 1 else values


def _missing(target: Targets, ignore_index: int) -> Bool[Tensor, "..."]:
    # a uint8 of 156 equals -100
    return target.isnan() if target.is_floating_point() else target.long() == ignore_index


def _of_decisions(
    values: Float[Tensor, "2 G"], group: Codes | None, n_labels: int
) -> Float[Tensor, "... L 2"]:
    """Values of each decision, both outcomes last, broadcastable against logits (N, L)."""
    values = values.expand(-1, n_labels) if values.shape[1] == 1 else values
    if group is None:
        return values.T
    by_group = values.reshape(2, n_labels, -1).permute(2, 1, 0)
    # F.embedding, unlike indexing, does not read a negative code from the end
    return F.embedding(group.long(), by_group.flatten(1)).reshape(-1, n_labels, 2)
