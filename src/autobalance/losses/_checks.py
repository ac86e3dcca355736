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
    if not logits.is_floating_point() or logits.shape[1:2] != (n_classes,):
        raise DataError(
            f"logits are {_kind(logits)} but this loss has {n_classes} classes; "
            f"give floating logits of shape (N, {n_classes}) or (N, {n_classes}, d1, ...)"
        )
    per_example = (logits.shape[0],)
    per_output = (logits.shape[0], *logits.shape[2:])
    expected = logits.shape if target.is_floating_point() else per_output
    if target.shape != expected or not (target.is_floating_point() or _holds_codes(target)):
        raise DataError(
            f"target is {_kind(target)} but logits are {_kind(logits)}; give class indices of "
            f"shape {per_output} or floating shares of shape {tuple(logits.shape)}"
        )
    if group is None and n_groups > 1:
        raise DataError(
            f"this loss has values for {n_groups} groups; pass group, the group code of each "
            "example, or build the loss with one value per class"
        )
    for name, values in (("group", group), ("sample_weight", sample_weight)):
        if values is not None and values.shape not in (per_example, per_output):
            raise DataError(
                f"{name} is {_kind(values)} but logits are {_kind(logits)}; "
                f"give shape {per_example}"
                + ("" if per_output == per_example else f" or {per_output}")
            )
    if group is not None and not _holds_codes(group):
        raise DataError(f"group is {_kind(group)}; give integer codes from 0 to {n_groups - 1}")
    named = (("target", target), ("group", group), ("sample_weight", sample_weight))
    for name, values in (*named, ("the loss", weight)):
        if values is not None and values.device != logits.device:
            raise DataError(
                f"logits are on {logits.device} but {name} is on {values.device}; "
                f"move it with .to('{logits.device}')"
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
