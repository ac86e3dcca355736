"""What a batch must look like for the losses, and the sentence that says so when it does not."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from autobalance.errors import DataError, DesignError

Reduction = Literal["mean", "sum", "none"]


def check_options(reduction: str, label_smoothing: float) -> None:
    """Check the options that hold for every batch."""
    if reduction not in get_args(Reduction):
        raise DesignError(f"reduction {reduction!r} is unknown; use one of {get_args(Reduction)}")
    if not 0.0 <= label_smoothing < 1.0:
        raise DesignError(f"label_smoothing is {label_smoothing} but must be in [0, 1)")


def check_values(weight: Tensor, additive: Tensor, multiplicative: Tensor) -> None:
    """Check that the values are three tables of one shape."""
    if weight.ndim != 2 or not weight.shape == additive.shape == multiplicative.shape:
        shapes = [tuple(values.shape) for values in (weight, additive, multiplicative)]
        raise DataError(
            f"weight, additive and multiplicative have shapes {shapes}; give three of (K, G)"
        )


def check_inputs(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    group: Tensor | None,
    sample_weight: Tensor | None,
) -> None:
    """Check shapes, dtypes and devices: all that is known without reading from the device."""
    n_classes, n_groups = weight.shape
    check_targets(logits, target, n_classes)
    if group is None and n_groups > 1:
        raise DataError(
            f"this loss has values for {n_groups} groups; pass group, the group code of each "
            "example, or build the loss with one value per class"
        )
    check_per_example("group", group, logits)
    check_per_example("sample_weight", sample_weight, logits)
    _check_codes_and_devices(logits, target, weight, n_groups, group, sample_weight)


def check_targets(logits: Tensor, target: Tensor, n_classes: int) -> None:
    """Check that logits (N, K, ...) are of these classes and that targets fit them."""
    if not logits.is_floating_point() or logits.shape[1:2] != (n_classes,):
        one_logit = logits.ndim == 1 or logits.shape[1:] == (1,)
        other = ", or use ParametricBinaryCrossEntropy in a loop of your own" if one_logit else ""
        raise DataError(
            f"logits are {_kind(logits)} but this loss has {n_classes} classes; "
            f"give floating logits of shape (N, {n_classes}) or (N, {n_classes}, d1, ...)"
            f"{other}"
        )
    per_output = (logits.shape[0], *logits.shape[2:])
    expected = logits.shape if target.is_floating_point() else per_output
    if target.shape != expected or not (target.is_floating_point() or _holds_codes(target)):
        raise DataError(
            f"target is {_kind(target)} but logits are {_kind(logits)}; give class indices of "
            f"shape {per_output} or floating shares of shape {tuple(logits.shape)}"
        )


def check_per_example(name: str, values: Tensor | None, logits: Tensor) -> None:
    """Check that there is a value for each example, or for each of its dense outputs."""
    per_example = (logits.shape[0],)
    per_output = (logits.shape[0], *logits.shape[2:])
    if values is not None and values.shape not in (per_example, per_output):
        raise DataError(
            f"{name} is {_kind(values)} but logits are {_kind(logits)}; "
            f"give shape {per_example}" + ("" if per_output == per_example else f" or {per_output}")
        )


def _check_codes_and_devices(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    n_groups: int,
    group: Tensor | None,
    sample_weight: Tensor | None,
) -> None:
    if group is not None and not _holds_codes(group):
        raise DataError(f"group is {_kind(group)}; give integer codes from 0 to {n_groups - 1}")
    named = (("target", target), ("group", group), ("sample_weight", sample_weight))
    for name, values in (*named, ("the loss", weight)):
        if values is not None and values.device != logits.device:
            raise DataError(
                f"logits are on {logits.device} but {name} is on {values.device}; "
                f"move it with .to('{logits.device}')"
            )


def sensitive_groups(logits: Tensor, weight: Tensor) -> int:
    """S, how many groups of examples there are columns of values for, beside the labels."""
    n_labels = 1 if logits.ndim == 1 else logits.shape[1]
    return max(1, weight.shape[1] // max(1, n_labels))


def check_binary_inputs(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    group: Tensor | None,
    sample_weight: Tensor | None = None,
) -> None:
    """Check a batch of a loss that takes one logit for each of L labels, (N, L) or (N,)."""
    if weight.shape[0] != 2:
        raise DataError(f"the values have {weight.shape[0]} rows; one logit decides between two")
    if not logits.is_floating_point() or logits.ndim not in (1, 2):
        raise DataError(
            f"logits are {_kind(logits)}; give one floating logit for each label, of shape (N, L), "
            "or (N,) for a single one"
        )
    n_labels = 1 if logits.ndim == 1 else logits.shape[1]
    shapes = {logits.shape} | ({(len(logits),), (len(logits), 1)} if n_labels == 1 else set())
    if target.shape not in shapes or target.is_complex():
        raise DataError(
            f"target is {_kind(target)} but logits are {_kind(logits)}; give 0 or 1 for each label "
            f"of each example, of shape {tuple(logits.shape)}"
        )
    columns, n_groups = weight.shape[1], sensitive_groups(logits, weight)
    if columns not in (1, n_labels * n_groups):
        raise DataError(
            f"this loss has values for {columns} labels but logits are {_kind(logits)}; give one "
            "logit for each label, in the order of the design"
        )
    if group is None and n_groups > 1:
        raise DataError(
            f"this loss has values for {columns} columns and there are {n_labels} logits: one "
            f"column for each label in each of {n_groups} groups; pass group, the group code of "
            "each example"
        )
    if group is not None and group.shape != logits.shape[:1]:
        raise DataError(
            f"group is {_kind(group)} but logits are {_kind(logits)}; give shape ({len(logits)},)"
        )
    if sample_weight is not None and sample_weight.shape not in (logits.shape[:1], logits.shape):
        raise DataError(
            f"sample_weight is {_kind(sample_weight)} but logits are {_kind(logits)}; give shape "
            f"({len(logits)},) or {tuple(logits.shape)}"
        )
    _check_codes_and_devices(logits, target, weight, n_groups, group, sample_weight)


def explain_shares(target: Tensor) -> None:
    """On the CPU: refuse a floating target outside [0, 1]; NaN is a missing label."""
    if not target.is_floating_point() or target.device.type != "cpu":
        return
    outside = (target < 0) | (target > 1)
    if bool(outside.any()):
        raise DataError(
            f"a target is {float(target[outside][0])} but must be in [0, 1]; mark missing labels "
            "with NaN"
        )


def check_class_batch(logits: Tensor, targets: Tensor, n_classes: int) -> None:
    """Check a batch of a loss that takes logits (N, K) and a class code for each."""
    if logits.ndim != 2 or logits.shape[1] != n_classes:
        raise DataError(
            f"logits have shape {tuple(logits.shape)} but this loss has {n_classes} classes; "
            f"give (N, {n_classes})"
        )
    if targets.shape != logits.shape[:1] or not _holds_codes(targets):
        raise DataError(
            f"targets are {_kind(targets)} but logits are {_kind(logits)}; give class codes of "
            f"shape ({len(logits)},)"
        )


def explain_codes(kind: str, codes: Tensor | None, size: int, ignored: int | None = None) -> None:
    """After a failure on the CPU: name a code out of range, if there is one."""
    if codes is None or codes.is_floating_point() or codes.device.type != "cpu":
        return
    codes = codes.long()
    outside = (codes < 0) | (codes >= size)
    if ignored is not None:
        outside &= codes != ignored
    if bool(outside.any()):
        spared = "" if ignored is None else f" (and ignore_index, {ignored})"
        raise DataError(
            f"{kind} code {int(codes[outside][0])} is out of range; this loss knows 0 to "
            f"{size - 1}{spared}, so check the order of the labels or rebuild the loss"
        ) from None


def _holds_codes(values: Tensor) -> bool:
    return not (values.is_floating_point() or values.is_complex() or values.dtype is torch.bool)


def _kind(values: Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"
