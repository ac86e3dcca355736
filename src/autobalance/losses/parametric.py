"""The parametric cross-entropy: one loss family that holds most losses for imbalanced data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor, nn

from autobalance.batches import Batch
from autobalance.design import LossDesign
from autobalance.errors import DesignError
from autobalance.losses._checks import (
    Reduction,
    check_inputs,
    check_options,
    check_per_example,
    check_targets,
    check_values,
    explain_codes,
)

Values = Tensor | np.ndarray | Sequence[float] | Sequence[Sequence[float]]

Logits = Float[Tensor, "N K *dense"]
Indices = Integer[Tensor, "N *dense"]
PerExample = Shaped[Tensor, " N"] | Shaped[Tensor, "N *dense"]

ABSENT = -1e30
"""Stands for -inf: exp(-1e30) is 0, and sums and products with it stay finite."""


def adjusted_cross_entropy(
    logits: Logits,
    target: Indices | Logits,
    weight: Float[Tensor, "K G"],
    additive: Float[Tensor, "K G"],
    multiplicative: Float[Tensor, "K G"],
    *,
    group: PerExample | None = None,
    sample_weight: PerExample | None = None,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""] | Float[Tensor, "N *dense"]:
    r"""Cross-entropy of adjusted logits, differentiable in all its floating arguments.

    With logits :math:`z \in R^K`, class :math:`y` and group :math:`g` the loss of one example is

    .. math:: -w_{yg} \log \mathrm{softmax}(\delta_{\cdot g} \odot z + l_{\cdot g})_y

    (AutoBalance, NeurIPS 2021, eq. 2.1 and 4.2, with δ where the paper has σ(Δ)), and with soft
    targets :math:`t` it is :math:`-\sum_k t_k w_{kg} \log \mathrm{softmax}(\cdot)_k`. Parameters
    are those of :class:`ParametricCrossEntropy` and of its call.

    Raises
    ------
    DataError
        If shapes, dtypes or devices do not fit each other, or there is no ``group`` although G > 1.
        On the CPU also if a class or group code is out of range; on CUDA, looking would stop the
        stream, so there a code out of range trips the kernel's own assertion.
    """
    check_options(reduction, label_smoothing)
    check_values(weight, additive, multiplicative)
    check_inputs(logits, target, weight, group, sample_weight)
    options = (group, sample_weight, reduction, ignore_index, label_smoothing)
    if torch.compiler.is_compiling():
        return _reduced_loss(logits, target, weight, additive, multiplicative, *options)
    try:
        return _reduced_loss(logits, target, weight, additive, multiplicative, *options)
    except (IndexError, RuntimeError):
        explain_codes("class", target, weight.shape[0], ignore_index)
        explain_codes("group", group, weight.shape[1])
        raise


class ParametricCrossEntropy(nn.Module):
    r"""Cross-entropy with a weight and two logit adjustments per class or per (class, group).

    With logits :math:`z \in R^K`, class :math:`y` and group :math:`g` the loss of one example is

    .. math:: -w_{yg} \log \mathrm{softmax}(\delta_{\cdot g} \odot z + l_{\cdot g})_y

    with w ``weight``, l ``additive`` and δ ``multiplicative``: AutoBalance (Li et al., NeurIPS
    2021), eq. 2.1 per class and eq. 4.2 per (class, group); the family is the vector-scaling loss
    of Kini et al. (NeurIPS 2021). The adjustments belong to training: **at inference the plain
    logits decide**, and no group is needed.

    Parameters
    ----------
    weight, additive, multiplicative
        w ≥ 0, l and δ > 0, of shape (K,) or (K, G). One value per class holds in every group.
        Left out they are 1, 0 and 1, which is plain cross-entropy.
    n_classes
        K; only needed when all three are left out.
    reduction
        ``"mean"`` divides the sum by the number of examples that are not ignored, ``"sum"`` does
        not divide, ``"none"`` gives one loss per example (0 where ignored).
    ignore_index
        Class index that marks examples without a label. Soft targets have none.
    label_smoothing
        ε in [0, 1): the target becomes (1 - ε) t + ε / K. It is a soft target like any other, so
        every class's share carries *that class's* weight w[k, g], not the weight of the example's
        own class: rare classes with large weights receive more of the smoothing.
    dtype
        Of the buffers, float32 unless stated because models train in it: a design's values are
        rounded to 7 digits. ``torch.float64`` keeps them exactly and computes in float64.

    Raises
    ------
    DesignError
        If shapes disagree or a value is not finite, negative or (δ) zero in ``dtype``.

    Notes
    -----
    ``F.cross_entropy(..., weight=w)`` divides its mean by the batch's *sum of weights*. That is
    another loss, with another gradient in w: doubling all weights changes nothing there and doubles
    the loss here, and there the weight of one example changes the share of all others. Dividing by
    the number of examples also makes the mean right under gradient accumulation: the average over
    equal micro-batches is the loss of the whole batch. With ``ignore_index`` or unequal
    micro-batches use ``"sum"`` and divide by the number of labelled examples of the whole batch.

    A batch in which everything is ignored has mean 0 and zero gradients, where ``F.cross_entropy``
    gives NaN: one unlabelled micro-batch should not end a training run.

    All arithmetic is at least float32, whatever the logits or autocast say. The loss and its
    gradients are finite as long as w · (max|δz| + max|l|) is within its range. A logit of -inf, the
    usual mask, is read as -1e30: its class has no part in the softmax and gets no gradient, and all
    other gradients are those without it, also in δ; but a target that lies there (as every
    smoothed target does) makes the *value* of the loss astronomical, where ``F.cross_entropy``
    says inf. A logit of +inf or NaN gives NaN, so that a gradient scaler sees the overflow.

    The values are buffers: they move with the module and are part of its ``state_dict``. To
    differentiate with respect to them use :func:`adjusted_cross_entropy`. Casting a model that
    holds the loss to half precision rounds its values too: keep the loss outside the model.
    """

    weight: Float[Tensor, "K G"]
    additive: Float[Tensor, "K G"]
    multiplicative: Float[Tensor, "K G"]
    design: LossDesign | None = None
    """What the values were taken from, with :meth:`from_design`."""
    drawn: Float[Tensor, "K G"] | None = None
    """How many times as often as in the data the examples of a cell are drawn, if they are.

    w is then divided by it, for all classes of soft targets, too: weights that are drawn by do not
    multiply.
    """

    def __init__(
        self,
        weight: Values | None = None,
        additive: Values | None = None,
        multiplicative: Values | None = None,
        *,
        n_classes: int | None = None,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_options(reduction, label_smoothing)
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        given = {"weight": weight, "additive": additive, "multiplicative": multiplicative}
        tables = {name: _table(name, values, dtype) for name, values in given.items()}
        shape = _common_shape(tables, n_classes)
        for name, table in tables.items():
            neutral = torch.full(shape, 0.0 if name == "additive" else 1.0, dtype=dtype)
            self.register_buffer(name, neutral if table is None else table.expand(shape).clone())

    @classmethod
    def from_design(cls, design: LossDesign, **options: Any) -> ParametricCrossEntropy:
        """Build the loss that a design describes; ``options`` are the keyword arguments above.

        Raises
        ------
        DesignError
            If it was made for the labels of a multi-label problem, which have one logit each.
        """
        if design.counts.multilabel:
            raise DesignError(
                "the design is for labels of one logit each; use ParametricBinaryCrossEntropy"
            )
        loss = cls(design.weight, design.additive, design.multiplicative, **options)
        loss.design = design
        return loss

    @property
    def multiplying(self) -> Float[Tensor, "K G"]:
        """The part of w that multiplies: all of it, unless examples are drawn by weight."""
        return self.weight if self.drawn is None else self.weight / self.drawn

    def forward(
        self,
        logits: Logits,
        target: Indices | Logits,
        group: PerExample | None = None,
        sample_weight: PerExample | None = None,
    ) -> Float[Tensor, ""] | Float[Tensor, "N *dense"]:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits
            Shape (N, K), or (N, K, d1, ...) for dense outputs, unnormalised.
        target
            Class indices of shape (N, ...), or floating shares of shape (N, K, ...) that usually
            sum to one over K.
        group
            Group codes in [0, G), also where the target is ignored, of shape (N,) (one per example,
            also for dense outputs) or (N, ...). Needed if G > 1; may be left out otherwise.
        sample_weight
            Factor on each example's loss, of shape (N,) or (N, ...). The mean is not divided by it.

        Raises
        ------
        DataError
            As in :func:`adjusted_cross_entropy`.
        """
        return self._by(adjusted_cross_entropy, logits, target, group, sample_weight)

    def _by(
        self,
        function: Callable[..., Tensor],
        logits: Tensor,
        target: Tensor,
        group: Tensor | None,
        sample_weight: Tensor | None,
    ) -> Tensor:
        """The loss by a function of values and options, with those of this module."""
        return function(
            logits,
            target,
            self.multiplying,
            self.additive,
            self.multiplicative,
            group=group,
            sample_weight=sample_weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def decisions(self, logits: Logits, batch: Batch) -> tuple[Float[Tensor, "M K"], Batch]:
        """Every target as an example of its own, with its logits: dense outputs one by one.

        Targets to ignore are left out. Inputs are not kept.

        Raises
        ------
        DataError
            If logits, targets and groups do not fit each other.
        """
        check_targets(logits, batch.targets, self.weight.shape[0])
        rows, target, group = logits, batch.targets, batch.groups
        soft = target.is_floating_point()
        if logits.ndim > 2:
            check_per_example("group", group, logits)
            rows = _outputs_as_rows(logits)
            if group is not None:
                shape = logits[:, 0].shape
                group = _to_dims(group, len(shape)).expand(shape).reshape(-1)
            target = _outputs_as_rows(target) if soft else target.reshape(-1)
        if not soft:
            kept = target.long() != self.ignore_index
            if not bool(kept.all()):
                rows, target = rows[kept], target[kept]
                group = None if group is None else group[kept]
        return rows, Batch(None, target, group)

    def extra_repr(self) -> str:
        """Sizes and options, for ``print``."""
        n_classes, n_groups = self.weight.shape
        return (
            f"n_classes={n_classes}, n_groups={n_groups}, reduction={self.reduction!r}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}"
        )


def _reduced_loss(
    logits: Logits,
    target: Indices | Logits,
    weight: Float[Tensor, "K G"],
    additive: Float[Tensor, "K G"],
    multiplicative: Float[Tensor, "K G"],
    group: PerExample | None,
    sample_weight: PerExample | None,
    reduction: Reduction,
    ignore_index: int,
    label_smoothing: float,
) -> Float[Tensor, ""] | Float[Tensor, "N *dense"]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    n_dims, n_classes = logits.ndim, logits.shape[1]
    w = _of_examples(weight, group, n_dims)
    # -inf itself would make the derivative in δ the product 0 · inf
    z = logits.to(dtype).clamp(min=ABSENT)
    adjusted = _of_examples(multiplicative, group, n_dims) * z
    log_p = F.log_softmax(adjusted + _of_examples(additive, group, n_dims), dim=1)

    ignored: Bool[Tensor, "N *dense"] | None = None
    if target.is_floating_point():
        losses = -(w * target * log_p).sum(1)
    else:
        index = target.long()
        ignored = index == ignore_index
        index = index.masked_fill(ignored, 0).unsqueeze(1)
        losses = -(w.expand_as(log_p).gather(1, index) * log_p.gather(1, index)).squeeze(1)
    if label_smoothing:
        spread = -(w * log_p).sum(1) / n_classes
        losses = (1.0 - label_smoothing) * losses + label_smoothing * spread
    if sample_weight is not None:
        losses = losses * _to_dims(sample_weight.to(dtype), losses.ndim)
    if ignored is not None:
        losses = losses.masked_fill(ignored, 0.0)

    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    counted = max(1, losses.numel()) if ignored is None else (~ignored).sum().clamp(min=1)
    return losses.sum() / counted


def _of_examples(
    values: Float[Tensor, "K G"], group: PerExample | None, n_dims: int
) -> Float[Tensor, "..."]:
    """Values of each example's group, broadcastable against logits (N, K, d1, ...)."""
    # F.embedding, unlike indexing, does not read a negative code from the end
    rows = values.T if group is None else F.embedding(group.long(), values.T).movedim(-1, 1)
    return _to_dims(rows, n_dims)


def _outputs_as_rows(values: Logits) -> Float[Tensor, "M K"]:
    return values.movedim(1, -1).reshape(-1, values.shape[1])


def _to_dims(values: Shaped[Tensor, "..."], n_dims: int) -> Shaped[Tensor, "..."]:
    return values[(...,) + (None,) * (n_dims - values.ndim)]


def _table(name: str, values: Values | None, dtype: torch.dtype) -> Tensor | None:
    """Values per class as a (K, 1) or (K, G) tensor of its own."""
    if values is None:
        return None
    if not isinstance(values, Tensor):
        try:
            values = torch.from_numpy(np.array(values, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise DesignError(
                f"{name} is no table of numbers ({error}); give (K,) or (K, G)"
            ) from error
    table = values.detach().to(dtype)
    if table.ndim == 1:
        table = table.unsqueeze(1)
    if table.ndim != 2 or table.numel() == 0:
        raise DesignError(f"{name} has shape {tuple(table.shape)}; give (K,) or (K, G)")
    if not bool(torch.isfinite(table).all()):
        raise DesignError(
            f"{name} holds a value that is not finite in {dtype}; scale it or pass a wider dtype"
        )
    smallest = table.min().item()
    if (name == "weight" and smallest < 0) or (name == "multiplicative" and smallest <= 0):
        wanted = "not negative" if name == "weight" else "positive"
        raise DesignError(f"{name} holds {smallest} in {dtype} but must be {wanted}")
    return table


def _common_shape(tables: dict[str, Tensor | None], n_classes: int | None) -> tuple[int, int]:
    shapes = {name: tuple(table.shape) for name, table in tables.items() if table is not None}
    classes = {shape[0] for shape in shapes.values()} | ({n_classes} if n_classes else set())
    groups = {shape[1] for shape in shapes.values()} - {1}
    if not classes:
        raise DesignError("the number of classes is unknown; give n_classes")
    if len(classes) > 1 or len(groups) > 1:
        raise DesignError(
            f"shapes {shapes} do not agree"
            + (f" with n_classes={n_classes}" if n_classes else "")
            + "; give (K,) or (K, G) with one K and one G"
        )
    return classes.pop(), groups.pop() if groups else 1
