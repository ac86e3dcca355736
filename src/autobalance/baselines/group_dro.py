"""GroupDRO on fixed features: the worst (class, group) cell's training risk, softly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.baselines.cell_risks import TrainingCells, train_on_cell_risks
from autobalance.baselines.direct_search import Strength, Values, compass_search
from autobalance.baselines.tuning import RIDGE, TrainHeads, TunedHead, tune
from autobalance.design import LossDesign
from autobalance.objectives import Objective
from autobalance.workbench import Workbench

STRENGTHS = {
    "ridge": RIDGE,
    "strength": Strength(start=10.0, step=4.0, low=0.1, high=300.0),
    "adjustment": Strength(start=1.0, step=1.0, low=0.0, high=6.0, additive=True),
}
"""At the highest strength the soft maximum is within log(cells)/300 of the maximum; the paper
tunes the adjustment over 0 to 5."""


def group_dro(bench: Workbench, name: str = "GroupDRO") -> TunedHead:
    """Train for the worst cell: exponentiated weights, group adjustment and ridge, all tuned.

    Sagawa, Koh, Hashimoto and Liang, "Distributionally robust neural networks for group shifts",
    ICLR 2020. With L_g the training risk of cell g (as there, a group is a pair of class and
    attribute) and n_g its examples, the head minimises

        (1/η) log mean_g exp(η (L_g + C/√n_g)) + μ/2 ‖W‖²

    which is the maximum over q of Σ_g q_g (L_g + C/√n_g) − KL(q ‖ uniform)/η, reached at the
    exponentiated weights q_g ∝ exp(η (L_g + C/√n_g)). It is convex, so the result depends neither
    on a learning rate nor on when training stops.

    The published algorithm (Algorithm 1 there) multiplies q_g by exp(η' (L_g + C/√n_g)) at each
    minibatch and takes a stochastic gradient step on Σ q_g L_g. For a convex problem its averaged
    iterates converge to the saddle point without the entropy (Proposition 2 there), here η → ∞;
    stopped before, with q_g ∝ exp(η' Σ_t (L_g + C/√n_g)), the sum of its steps is what the strength
    η is here. At η → 0 every cell counts the same.

    Parameters
    ----------
    bench
        Data, folds, objective and settings. Without groups the cells are the classes.
    name
        What the result is called.
    """
    train = worst_cell_training(bench)
    return tune(bench, name, train, partial(compass_search, strengths=STRENGTHS))


def worst_cell_training(
    bench: Workbench, design: Callable[[Values], LossDesign | None] = lambda _: None
) -> TrainHeads:
    """What trains heads for the soft worst cell, as in :func:`group_dro`.

    Parameters
    ----------
    bench
        Data, folds, objective and settings.
    design
        From values of the strengths to the design whose l and δ adjust the logits; none by default.
    """
    worst = Objective.parse("worst-group").bind(bench.counts, "drop")
    target, group = torch.from_numpy(bench.y).long(), torch.from_numpy(bench.g).long()

    def train(
        values: Values,
        train_weight: Float[Tensor, "F N"],
        start: Float[Tensor, "F K E"] | None,
    ) -> Float[Tensor, "F K E"]:
        def robust(risks: Float[Tensor, "K G"], cells: TrainingCells) -> Float[Tensor, ""]:
            adjusted = risks + values["adjustment"] * cells.examples.clamp_min(1).rsqrt()
            present = replace(worst, present=cells.present)
            return present.risk(adjusted, cells.frequencies, values["strength"])

        return train_on_cell_risks(
            bench.features,
            target,
            group,
            train_weight,
            bench.counts.values.shape,
            robust,
            values["ridge"],
            start,
            design(values),
        )

    return train
