"""Deep feature reweighting on fixed features: sparse heads on group-balanced subsets, averaged."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import sklearn
import torch
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from autobalance.baselines.direct_search import Strength, Values, compass_search
from autobalance.baselines.tuning import TunedHead, tune
from autobalance.data.features import FeatureMatrix
from autobalance.evaluation import cell_codes
from autobalance.workbench import Workbench

DRAWS = 10
STRENGTHS = {"lasso": Strength(start=0.02, step=4.0, low=1e-5, high=1.0)}
_MAX_ITERATIONS = 1000
# scikit-learn 1.8 gave the penalty's name to l1_ratio
_LASSO = (
    {"l1_ratio": 1.0}
    if tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)
    else {"penalty": "l1"}
)


def dfr(
    bench: Workbench, name: str = "DFR", draws: int = DRAWS, random_state: int = 0
) -> TunedHead:
    """Average ℓ1 logistic regressions on subsets in which every cell is as large as the rarest.

    Kirichenko, Izmailov and Wilson, "Last layer re-training is sufficient for robustness to
    spurious correlations", ICLR 2023: DFR on the training data. From each of ``draws`` random
    subsets S, which hold as many examples of every (class, group) cell as there are of the rarest::

        θ_S = argmin mean_{i∈S} cross-entropy_i + λ ‖θ‖₁,

    on features of variance 1, and the head is the mean of the θ_S. As in the authors' code the
    solver is liblinear for two classes, which penalises the intercept like a coefficient; for more
    classes it is SAGA on the multinomial cross-entropy. λ, which is 1/(C n) in scikit-learn's
    terms for n examples in S, is tuned; it multiplies the mean loss, so its value carries over from
    the folds.

    Parameters
    ----------
    bench
        Data, folds, objective and settings. Without groups the cells are the classes.
    name
        What the result is called.
    draws
        Number of subsets.
    random_state
        Seed of the subsets, which are the same for every λ.
    """
    cell = cell_codes(bench.y, bench.g, *bench.counts.values.shape)
    x, scale = _on_own_axes(bench.features, bench.sample_weight)

    def train(
        values: Values,
        train_weight: Float[Tensor, "F N"],
        start: Float[Tensor, "F K E"] | None,
    ) -> Float[Tensor, "F K E"]:
        heads = []
        for number, weight in enumerate(train_weight.numpy()):
            rng = np.random.default_rng([random_state, number])
            thetas = [
                _sparse_head(x[rows], bench.y[rows], weight[rows], values["lasso"])
                for rows in balanced_subsets(cell, weight > 0, draws, rng)
            ]
            heads.append(torch.from_numpy(np.mean(thetas, 0)))
        theta = torch.stack(heads)
        slopes = theta[..., :-1] / scale
        if bench.features.rotation is not None:
            slopes = slopes @ bench.features.rotation
        return torch.cat([slopes, theta[..., -1:]], 2)

    return tune(bench, name, train, partial(compass_search, strengths=STRENGTHS))


def balanced_subsets(
    cell: Integer[ndarray, "N"],
    eligible: Bool[ndarray, "N"],
    draws: int,
    rng: np.random.Generator,
) -> list[Integer[ndarray, "S"]]:
    """Random subsets of the eligible examples with as many of each cell as there are of the rarest.

    Cells without an eligible example are left out.
    """
    members = [np.flatnonzero(eligible & (cell == code)) for code in np.unique(cell[eligible])]
    size = min(map(len, members))
    return [
        np.concatenate([rng.choice(rows, size, replace=False) for rows in members])
        for _ in range(draws)
    ]


def _sparse_head(
    x: Float[ndarray, "S D"], y: Integer[ndarray, "S"], weight: Float[ndarray, "S"], lasso: float
) -> Float[ndarray, "K E"]:
    """Coefficients and intercept of every class."""
    two = y.max() == 1
    model = LogisticRegression(
        C=1 / (lasso * len(x)),
        solver="liblinear" if two else "saga",
        max_iter=_MAX_ITERATIONS,
        random_state=0,
        **_LASSO,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near 0 the penalty decides nothing
        model.fit(x.astype(np.float64), y, sample_weight=weight / weight.mean())
    theta = np.column_stack([model.coef_, model.intercept_])
    return np.concatenate([-theta, theta]) / 2 if two else theta


def _on_own_axes(
    features: FeatureMatrix, sample_weight: Float[ndarray, "N"]
) -> tuple[Float[ndarray, "N D"], Float[Tensor, "D"]]:
    """Prepared features on the axes they were handed in on, and by what they were divided.

    Unlike the ridge, ℓ1 depends on the axes and on the scale of each feature, here variance 1.
    """
    x = features.values[:, :-1]
    if features.rotation is not None:
        x = x @ features.rotation.T.to(x.dtype)
    share = torch.from_numpy(sample_weight / sample_weight.sum()).to(x.dtype)
    scale = torch.where(features.scale.isinf(), torch.inf, share @ x.square()).sqrt()
    return (x / scale).numpy(), scale.double()
