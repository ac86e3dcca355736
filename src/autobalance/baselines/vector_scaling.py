"""Post-hoc vector scaling: a factor and a bias per class on the logits of a trained head."""

from __future__ import annotations

import time

import torch

from autobalance.baselines.tuning import TunedHead
from autobalance.bench import TrainedHead
from autobalance.errors import DataError
from autobalance.model import LinearModel
from autobalance.posthoc import tune_scaling
from autobalance.workbench import Workbench


def vector_scaling(
    bench: Workbench, head: TrainedHead, name: str = "Post-hoc vector scaling"
) -> TunedHead:
    """Scale and shift the logits of a trained head for the objective, tuned on the folds.

    Vector scaling, z ↦ s ⊙ z + b, is from Guo, Pleiss, Sun and Weinberger, "On calibration of
    modern neural networks", ICML 2017, section 4.2, where it minimises the held-out cross-entropy;
    AutoBalance (Li et al., NeurIPS 2021, Table 5) tunes it for the objective, as here. It leaves
    the directions w_k as they are and knows nothing of groups. What s makes of logits depends on
    their mean over the classes, which means nothing: it is set to 0 first. Two logits are then
    opposite, and the result decides as a tuned bias does.

    Parameters
    ----------
    bench
        Data, folds, objective and settings.
    head
        The trained head, usually with plain cross-entropy.
    name
        What the result is called.
    """
    started = time.perf_counter()
    if not isinstance(head.model, LinearModel):
        raise DataError("vector scaling is for linear heads; this one is a network")
    held_out = bench.held_out_risk()
    logits = head.held_out_logits - head.held_out_logits.mean(1, keepdims=True)
    scale, bias = (each[:, 0] for each in tune_scaling(held_out, torch.from_numpy(logits)))
    logits = scale * logits + bias
    outcome = held_out(torch.from_numpy(logits))
    return TunedHead(
        name=name,
        kind="post-hoc",
        model=LinearModel(
            bench.counts.classes,
            scale[:, None] * (head.model.coef - head.model.coef.mean(0)),
            scale * (head.model.intercept - head.model.intercept.mean()) + bias,
            outcome.temperature,
        ),
        held_out_logits=logits,
        value=float(outcome.total),
        strengths={
            f"{name} of {bench.counts.class_name(k)}": float(values[k])
            for name, values in (("scale", scale), ("bias", bias))
            for k in range(bench.counts.n_classes)
        },
        seconds=head.seconds + time.perf_counter() - started,
    )
