"""Cross-entropy regularised by the difference between groups, as a training loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.baselines.cell_risks import TrainingCells, train_on_cell_risks
from autobalance.baselines.direct_search import Strength, Values, compass_search
from autobalance.baselines.tuning import RIDGE, TunedHead, tune
from autobalance.objectives import BoundObjective, Objective
from autobalance.workbench import Workbench

DEO = "equalized-odds"
STRENGTHS: Mapping[str, Strength] = MappingProxyType(
    {"ridge": RIDGE, "ratio": Strength(start=1.0, step=4.0, low=1e-2, high=1e2)}
)


def ce_deo_blend(
    bench: Workbench,
    name: str,
    base: str = "error",
    strengths: Mapping[str, Strength] = STRENGTHS,
) -> TunedHead:
    """Train with a weighted sum of cross-entropy and CE_deo, the weights and the ridge tuned.

    The regularised baseline of AutoBalance (Li et al., NeurIPS 2021, section 4; Tables 3 and 5
    disagree on which of the two weights is 0.1). With L[k, j] the training cross-entropy of class k
    in group j, the head minimises

        a·CE + b·CE_deo + μ/2 ‖W‖²,    CE_deo = Σ_k (max_j L[k, j] − min_j L[k, j]),    a + b = 1,

    with the smooth maxima of the search
    (:func:`~autobalance.objectives.bound.smooth_maximum`); for two groups CE_deo is
    eq. 4.1, Σ_k abs(L[k, 0] − L[k, 1]). A difference of risks is not convex: training begins at
    the best heads so far and ends in a local minimum. What is tuned is b/a and the ridge per unit
    of the base, since the best ridge moves with a; ``strengths`` names the weights of both terms
    and the ridge as they stand in the formula.

    Parameters
    ----------
    bench
        Data with groups, folds, objective and settings.
    name
        What the result is called.
    base
        The other term: ``"error"``, the plain cross-entropy of the paper, or ``"group-balanced"``,
        in which every cell counts the same.
    strengths
        How b/a, the ``ratio``, and the ``ridge`` are tuned; some may be fixed.

    Raises
    ------
    ObjectiveError
        If the data has no groups.
    """
    bound = Objective.parse(f"{base}+{DEO}").bind(bench.counts, "drop")
    target, group = torch.from_numpy(bench.y).long(), torch.from_numpy(bench.g).long()

    def train(
        values: Values,
        train_weight: Float[Tensor, "F N"],
        start: Float[Tensor, "F K E"] | None,
    ) -> Float[Tensor, "F K E"]:
        written_out = _written_out(base, values)
        blend = Objective(tuple((term, written_out[term]) for term in (base, DEO)))

        def regularised(risks: Float[Tensor, "K G"], cells: TrainingCells) -> Float[Tensor, ""]:
            present: BoundObjective = replace(bound, objective=blend, present=cells.present)
            return present.risk(risks, cells.frequencies)

        return train_on_cell_risks(
            bench.features,
            target,
            group,
            train_weight,
            bench.counts.values.shape,
            regularised,
            written_out["ridge"],
            start,
        )

    head = tune(bench, name, train, partial(compass_search, strengths=strengths))
    return replace(head, strengths=_written_out(base, head.strengths))


def _written_out(base: str, values: Values) -> dict[str, float]:
    """Weights of both terms, of sum 1, and the ridge beside them."""
    share = 1 / (1 + values["ratio"])
    return {base: share, DEO: share * values["ratio"], "ridge": share * values["ridge"]}
