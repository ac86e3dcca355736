"""One hypergradient for all ranks of a data-parallel training: the mean of their own.

Each rank sees its own training and held-out batches. Without the mean every rank would move its own
loss, and the gradients that are averaged afterwards would be those of different losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from autobalance.hypergradient.estimate import Hypergradient
from autobalance.hypergradient.wrappers import wrappers


def mean_over_ranks(
    estimate: Hypergradient | None, model: nn.Module, like: Sequence[Tensor]
) -> Hypergradient | None:
    """The mean over the ranks that train ``model``; ``None`` for all if one of them has none.

    Every rank has to call it, for each waits for the others.

    Parameters
    ----------
    estimate
        This rank's own; the record stays its own.
    model
        As it is trained. Where it is not wrapped in ``DistributedDataParallel`` there is one rank.
    like
        Tensors of the shapes of ``estimate.loss`` and then of ``estimate.inputs``.
    """
    parallel = [
        module
        for module in wrappers(model)
        if isinstance(module, nn.parallel.DistributedDataParallel)
    ]
    if not parallel:
        return estimate
    group = parallel[0].process_group
    failed = estimate is None
    slopes = (
        [torch.zeros_like(value) for value in like]
        if estimate is None
        else [*estimate.loss, *estimate.inputs]
    )
    decay = 0.0 if estimate is None else estimate.weight_decay
    parts = [slope.detach().double().reshape(-1) for slope in slopes]
    packed = torch.cat([*parts, parts[0].new_tensor([decay, float(failed)])])
    torch.distributed.all_reduce(packed, group=group)
    packed /= torch.distributed.get_world_size(group)
    if estimate is None or float(packed[-1]) > 0:
        return None
    means = torch.split(packed[:-2], [slope.numel() for slope in slopes])
    shaped = [m.reshape(s.shape).to(s.dtype) for m, s in zip(means, slopes, strict=True)]
    of_loss = len(estimate.loss)
    return replace(
        estimate,
        loss=tuple(shaped[:of_loss]),
        inputs=tuple(shaped[of_loss:]),
        weight_decay=float(packed[-2]),
    )
