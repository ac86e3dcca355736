"""GroupDRO with the group-VS loss on fixed features: the worst cell's adjusted training risk."""

from __future__ import annotations

from functools import partial

from autobalance.baselines.direct_search import Strength, Values, compass_search
from autobalance.baselines.group_dro import STRENGTHS as GROUP_DRO
from autobalance.baselines.group_dro import worst_cell_training
from autobalance.baselines.tuning import TunedHead, tune
from autobalance.design import LossDesign
from autobalance.losses.presets import group_vs
from autobalance.workbench import Workbench

STRENGTHS = {
    **GROUP_DRO,
    "tau": Strength(start=1.0, step=0.5, low=0.0, high=2.0, additive=True),
    "gamma": Strength(start=0.3, step=0.2, low=0.0, high=1.0, additive=True),
}
"""Those of GroupDRO and of group-VS, which start at its published values."""


def group_vs_dro(bench: Workbench, name: str = "GroupDRO with group-VS") -> TunedHead:
    """Train for the worst cell of the group-VS loss, the strengths of both tuned.

    Kini, Paraskevas, Oymak and Thrampoulidis, "Label-imbalanced and group-sensitive classification
    under overparameterization", NeurIPS 2021, who give GroupDRO the loss of an example from theirs;
    AutoBalance (Li et al., NeurIPS 2021, section 4) leaves the comparison with it to future work.
    The head minimises what :func:`~autobalance.baselines.group_dro.group_dro` does, with

        L_kj = mean over cell (k, j) of −log softmax(δ[:, j] ⊙ z + l[:, j])_k

    and l and δ of :func:`~autobalance.losses.presets.group_vs`. At τ = γ = 0 it is GroupDRO. The
    plain logits z decide, on the folds too. The authors' code runs it without the group adjustment
    (C = 0) and gives both logits the values of the example's own cell, so that there the additive
    part cancels; here each class has its own, as in eq. 4.2 of AutoBalance.

    Parameters
    ----------
    bench
        Data, folds, objective and settings. Without groups the cells are the classes, and the loss
        is :func:`~autobalance.losses.presets.vs`.
    name
        What the result is called.
    """

    def design(values: Values) -> LossDesign:
        return group_vs(bench.counts, values["tau"], values["gamma"])

    train = worst_cell_training(bench, design)
    return tune(bench, name, train, partial(compass_search, strengths=STRENGTHS))
