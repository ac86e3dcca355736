"""τ-normalisation: the classes' weight vectors brought towards equal length after training."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.baselines.direct_search import Values, grid_search
from autobalance.baselines.tuning import TunedHead, tune
from autobalance.bench import TrainedHead
from autobalance.search.heads import LinearHeads
from autobalance.space import SearchSpace
from autobalance.workbench import Workbench

GRID = {"tau": np.linspace(0, 2, 21).tolist(), "intercept": (0.0, 1.0)}
"""The authors' code tries these τ, all without the intercept."""


def tau_normalisation(
    bench: Workbench, head: TrainedHead, name: str = "τ-normalisation"
) -> TunedHead:
    """Divide each class's weight vector by a power of its length, the power tuned on the folds.

    Kang, Xie, Rohrbach, Yan, Gordo, Feng and Kalantidis, "Decoupling representation and classifier
    for long-tailed recognition", ICLR 2020, section 4.2:

        z_k = w_k·x / ‖w_k‖^τ

    The paper and its code discard the intercept as negligible. On centred features, as here, it is
    not: it holds the classes' shares, and to discard it is a correction of its own. So
    z_k = (w_k·x + b_k) / ‖w_k‖^τ is tried as well (``intercept`` 1 instead of 0), and the better is
    taken. With two classes w_0 = −w_1: the lengths are equal, and τ decides nothing.

    Parameters
    ----------
    bench
        Data, folds, objective and settings.
    head
        A trained head, in the paper one with plain cross-entropy; the heads of the folds are
        trained with its loss.
    name
        What the result is called.
    """
    space = SearchSpace(head.design, {}, False)
    loss = space.decode(torch.zeros(0, dtype=torch.float64))
    target, group = torch.from_numpy(bench.y).long(), torch.from_numpy(bench.g).long()

    @cache  # the same weights (the same object) for every τ
    def trained(train_weight: Float[Tensor, "F N"]) -> Float[Tensor, "F K E"]:
        heads = LinearHeads(
            bench.features,
            target,
            group,
            train_weight,
            bench.counts.n_classes,
            curvature_dtype=bench.settings.dtype,
        )
        heads.set_loss(loss)
        heads.fit()
        return heads.theta

    def train(
        values: Values,
        train_weight: Float[Tensor, "F N"],
        start: Float[Tensor, "F K E"] | None,
    ) -> Float[Tensor, "F K E"]:
        return normalised(trained(train_weight), values["tau"], values["intercept"])

    found = tune(bench, name, train, partial(grid_search, grid=GRID), "post-hoc")
    return replace(found, seconds=head.seconds + found.seconds)


def normalised(
    theta: Float[Tensor, "F K E"], tau: float, intercept: float
) -> Float[Tensor, "F K E"]:
    """Heads with weight vectors divided by a power of their length, and ``intercept`` · b too."""
    lengths = theta[..., :-1].norm(dim=-1, keepdim=True)
    kept = torch.cat([theta[..., :-1], intercept * theta[..., -1:]], -1)
    return torch.div(kept, lengths.clamp_min(torch.finfo(lengths.dtype).tiny) ** tau)
