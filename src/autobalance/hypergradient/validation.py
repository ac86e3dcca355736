"""Whether a model can be searched on, found out before the search: which layer cannot, and why.

Hypergradients ask more of a model than training does: its gradient in evaluation mode, products in
forward mode, for some curvatures a double backward. A few operations lack these, which of them
depends on the device and on the version of PyTorch, and some give wrong numbers without an error
(the double backward of weight_norm does). So nothing is looked up: one batch goes through what the
search itself does (:mod:`autobalance.hypergradient.trials`), and only the remedies are known here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import nn

from autobalance.batches import Inputs
from autobalance.errors import SearchError
from autobalance.hypergradient.trials import Failure, try_model
from autobalance.hypergradient.wrappers import unwrap

_ROOT = "the model"

_CAUSES = (  # what operations and messages are called, what that is, and its remedy
    (
        r"scaled_?dot_?product|native_multi_head|transformer_encoder_layer",
        "fused attention",
        "search within torch.nn.attention.sdpa_kernel(SDPBackend.MATH), after "
        "torch.backends.mha.set_fastpath_enabled(False)",
    ),
    (
        r"checkpointfunction|use_reentrant",
        "reentrant activation checkpointing",
        "call torch.utils.checkpoint.checkpoint with use_reentrant=False",
    ),
    (
        r"weight_?norm",
        "weight_norm",
        "use Gauss–Newton curvature with finite differences, or remove weight_norm",
    ),
    (
        r"cudnn_?rnn",
        "a recurrent layer of cuDNN",
        "search within torch.backends.cudnn.flags(enabled=False)",
    ),
    (
        r"mkldnn_?rnn",
        "a recurrent layer of oneDNN",
        "use finite differences, or search within torch.backends.mkldnn.flags(enabled=False)",
    ),
)
_REMEDIES = {
    "any": "replace it, for hypergradients need torch.autograd.grad in evaluation mode",
    "forward mode": "use finite differences",
    "double backward": "use Gauss–Newton curvature",
}


class Finding(NamedTuple):
    """Something in a model that a search should know of.

    Parameters
    ----------
    layer
        Dotted name of the module, as in ``named_modules``; ``"the model"`` is the whole.
    what
        What it has.
    remedy
        What to do about it; for a remark, what the search does about it.
    blocks
        What cannot be computed because of it: ``"forward mode"``, ``"double backward"``, or
        ``"any"`` hypergradient at all. Empty for a remark.
    """

    layer: str
    what: str
    remedy: str
    blocks: frozenset[str] = frozenset()

    def __str__(self) -> str:
        ways = " and ".join(sorted(self.blocks, reverse=True)).replace("any", "any hypergradient")
        return f"{self.layer} has {self.what}{ways and f', which rules out {ways}'}; {self.remedy}"


def check_model(model: nn.Module, inputs: Inputs, needs: Collection[str]) -> list[Finding]:
    """Refuse a model that a search with these needs cannot serve.

    Parameters
    ----------
    model, inputs
        As for :func:`inspect_model`.
    needs
        What the search has no substitute for: any of ``"forward mode"`` and ``"double backward"``,
        or nothing.

    Returns
    -------
    list of Finding
        All findings. Where one blocks forward mode, finite differences serve instead.

    Raises
    ------
    SearchError
        With the first finding that blocks ``"any"`` or one of ``needs``; and whatever
        :func:`inspect_model` raises.
    """
    findings = inspect_model(model, inputs)
    for finding in findings:
        if not finding.blocks.isdisjoint({"any", *needs}):
            raise SearchError(str(finding))
    return findings


def inspect_model(model: nn.Module, inputs: Inputs) -> list[Finding]:
    """Try on one batch what a search does, in evaluation mode, and say what fails and where.

    A finding names the first layer that fails, or gives wrong numbers, for one cause. Forward mode
    ends at its first failure, so there another cause may come to light once that one is gone.
    Parameters, buffers, modes, hooks and random streams stay as they were.

    Parameters
    ----------
    model
        Any module; compiled or wrapped ones are looked through.
    inputs
        One batch: a tensor, called as ``model(x)``, a tuple or list, ``model(*x)``, or a mapping,
        ``model(**x)``. A few examples are enough.

    Returns
    -------
    list of Finding
        First what blocks something, then remarks. Empty for a plain network.

    Raises
    ------
    SearchError
        If no parameter is trainable, none reaches the logits, or the output has no logits (N, K).
    """
    inner = unwrap(model)
    sharded = _sharded(inner)
    if sharded:
        return sharded
    if not any(parameter.requires_grad for parameter in inner.parameters()):
        raise SearchError(
            f"{type(inner).__name__} has no trainable parameter; call requires_grad_() on those "
            "that training moves"
        )
    compiled = _compiled(inner)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # they would be about what nobody asked for
        if compiled:  # the trial's hooks would be compiled too, and stay
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        failures, unreached = try_model(inner, inputs)
    return [
        *_failed(failures),
        *compiled,
        *_wrapped(model, inner),
        *_batch_norms(inner),
        *_grouped(
            [name.rpartition(".")[0] for name in unreached],
            "parameters that no gradient reaches",
            "unless that is meant, look for detach(), no_grad() or reentrant checkpointing",
        ),
    ]


def _failed(failures: Sequence[Failure]) -> list[Finding]:
    """One finding for each cause, at the first of the layers that have it."""
    layers: dict[tuple[str, str], list[str]] = {}
    blocks: dict[tuple[str, str], set[str]] = {}
    for failure in failures:
        cause = _cause(failure)
        layers.setdefault(cause, []).append(failure.layer)
        blocks.setdefault(cause, set()).add(failure.blocks)
    return [
        finding
        for cause in layers
        for finding in _grouped(layers[cause], *cause, frozenset(blocks[cause]))
    ]


def _cause(failure: Failure) -> tuple[str, str]:
    """What it is and its remedy."""
    for text in (failure.reason, failure.operations):
        for pattern, what, remedy in _CAUSES:
            if re.search(pattern, text, re.IGNORECASE):
                return what, remedy
    return f"an operation that fails ({failure.reason})", _REMEDIES[failure.blocks]


def _sharded(model: nn.Module) -> list[Finding]:
    # By the names of classes that take a second to import and need torch.distributed.
    layers = [
        name
        for name, module in model.named_modules()
        if type(module).__name__ == "FullyShardedDataParallel"
        or any(type(p).__name__ == "DTensor" for p in module.parameters(recurse=False))
    ]
    remedy = "search in DistributedDataParallel, and retrain the sharded model with the design"
    return _grouped(layers, "sharded parameters", remedy, frozenset({"any"}))


def _compiled(model: nn.Module) -> list[Finding]:
    layers = [
        name
        for name, module in model.named_modules()
        if "_orig_mod" in module._modules or module._compiled_call_impl is not None
    ]
    return _grouped(
        layers,
        "a compiled forward pass of its own",
        "compile the whole by torch.compile(model), which is looked through, or none of it",
        frozenset({"forward mode", "double backward"}),
    )


def _wrapped(model: nn.Module, inner: nn.Module) -> list[Finding]:
    if inner is model:
        return []
    what = f"{type(model).__name__} around it"
    return [Finding(_ROOT, what, "the search uses the module inside")]


def _batch_norms(model: nn.Module) -> list[Finding]:
    norms = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }
    return [
        *_grouped(
            [name for name, norm in norms.items() if norm.track_running_stats],
            "BatchNorm with running statistics",
            "the search evaluates with them and leaves them as they are",
        ),
        *_grouped(
            [name for name, norm in norms.items() if not norm.track_running_stats],
            "BatchNorm without running statistics",
            "an example's logits depend on its batch, and so does the hypergradient",
        ),
    ]


def _grouped(
    names: Sequence[str], what: str, remedy: str, blocks: frozenset[str] = frozenset()
) -> list[Finding]:
    """One finding, at the first of the layers that have the same; none for no layer."""
    layers = list(dict.fromkeys(map(_shown, names)))
    if not layers:
        return []
    more = f" (the first of {len(layers)} layers)" if len(layers) > 1 else ""
    return [Finding(layers[0], what + more, remedy, blocks)]


def _shown(name: str) -> str:
    """The layer as its author knows it: without what compiles or parametrises it."""
    parts = [part for part in name.split(".") if part != "_orig_mod"]
    if "parametrizations" in parts:
        parts = parts[: parts.index("parametrizations")]
    return ".".join(parts) or _ROOT
