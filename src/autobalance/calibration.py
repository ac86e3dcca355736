"""Probabilities for a stated prior: how often each class occurs where the model will be used.

A head trained for a balanced objective scores classes as if they were equally likely, and one
trained on cross-entropy as often as they were in training. Neither is what a user needs who knows
how often the classes occur. Two calibrators are therefore fitted on held-out logits, one for the
class shares of the training data and one for equally likely classes; any other prior π' follows
from the first by Bayes' rule, p ∝ p_train · π' / π_train (label shift: Saerens, Latinne and
Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", *Neural
Computation* 14, 2002).

Groups play no part: a calibrator sees logits, as a prediction does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from autobalance.design import LossDesign
from autobalance.errors import DataError

TRAIN = "train"
BALANCED = "balanced"
_MAX_STEPS = 100
_GRADIENT = 1e-8
"""Size of the gradient, in nats, at which a fit ends: far below what examples can tell."""
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Calibrator:
    """Probabilities softmax(slope ⊙ log softmax(z + shift) + bias) of logits z.

    Parameters
    ----------
    shift
        Shape (K,): what theory adds to the logits for the prior.
    slope, bias
        Shape (K,): what held-out examples change; slopes are positive, 1 and 0 change nothing.
    """

    shift: Float[ndarray, "K"]
    slope: Float[ndarray, "K"]
    bias: Float[ndarray, "K"]

    def __call__(self, logits: Float[ndarray, "N K"]) -> Float[ndarray, "N K"]:
        """Log-probabilities, up to a constant per row."""
        return np.asarray(self.slope * log_softmax(logits + self.shift, axis=1) + self.bias)

    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return {name: getattr(self, name).tolist() for name in ("shift", "slope", "bias")}

    @classmethod
    def from_state(cls, state: Any, n_classes: int) -> Calibrator:
        """Inverse of :meth:`to_state`; raises KeyError, TypeError or ValueError if damaged."""
        found = cls(
            *(np.asarray(state[name], dtype=np.float64) for name in ("shift", "slope", "bias"))
        )
        for values in (found.shift, found.slope, found.bias):
            if values.shape != (n_classes,) or not np.isfinite(values).all():
                raise ValueError("a calibrator has not one finite number per class")
        if (found.slope <= 0).any():
            raise ValueError("a calibrator has a slope that is not positive")
        return found


@dataclass(frozen=True, eq=False)
class Calibration:
    """From logits to probabilities for a stated prior.

    Parameters
    ----------
    shares
        Shape (K,): how often each class occurs in the training data, by weight.
    train, balanced
        Calibrators for these shares and for equally likely classes.
    """

    shares: Float[ndarray, "K"]
    train: Calibrator
    balanced: Calibrator

    def for_prior(self, prior: Any) -> Calibrator:
        """The calibrator of a prior, whose bias is minus infinity where the share is 0.

        Parameters
        ----------
        prior
            ``"train"``, ``"balanced"``, or K shares in the order of the classes, which are
            normalised. K equal shares are corrected from ``"train"`` as all shares are;
            ``"balanced"`` was fitted for its purpose.

        Raises
        ------
        DataError
            If the prior is none of these.
        """
        if isinstance(prior, str):
            if prior not in (TRAIN, BALANCED):
                raise DataError(
                    f"prior {prior!r} is unknown; use {TRAIN!r}, {BALANCED!r} or one share per "
                    "class"
                )
            return self.train if prior == TRAIN else self.balanced
        shares = check_shares(prior, len(self.shares))
        with np.errstate(divide="ignore"):
            shift = np.log(shares) - np.log(self.shares)
        return replace(self.train, bias=self.train.bias + shift)

    def log_probabilities(self, logits: Float[ndarray, "N K"], prior: Any) -> Float[ndarray, "N K"]:
        """Log-probabilities under a prior of :meth:`for_prior`, minus infinity where it is 0."""
        return np.asarray(log_softmax(self.for_prior(prior)(logits), axis=1))

    def probabilities(self, logits: Float[ndarray, "N K"], prior: Any) -> Float[ndarray, "N K"]:
        """Probabilities under ``prior``; see :meth:`log_probabilities`."""
        return np.asarray(np.exp(self.log_probabilities(logits, prior)))

    def to_state(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return {
            "shares": self.shares.tolist(),
            TRAIN: self.train.to_state(),
            BALANCED: self.balanced.to_state(),
        }

    @classmethod
    def from_state(cls, state: Any, n_classes: int) -> Calibration:
        """Inverse of :meth:`to_state`; raises KeyError, TypeError or ValueError if damaged."""
        shares = np.asarray(state["shares"], dtype=np.float64)
        if (check_shares(shares, n_classes) <= 0).any():
            raise ValueError("a class has no share of the training data")
        return cls(
            shares, *(Calibrator.from_state(state[name], n_classes) for name in (TRAIN, BALANCED))
        )


def check_shares(prior: Any, n_classes: int) -> Float[ndarray, "K"]:
    """A prior as K shares that sum to 1.

    Raises
    ------
    DataError
        If it is not K finite numbers, one is negative, or all are 0.
    """
    try:
        shares = np.asarray(prior, dtype=np.float64)
    except (TypeError, ValueError):
        shares = np.full(0, np.nan)
    if shares.shape != (n_classes,):
        raise DataError(
            f"the prior is neither {TRAIN!r} nor {BALANCED!r} nor a list of {n_classes} numbers; "
            "give one share per class in the order of the classes"
        )
    wrong = ~np.isfinite(shares) | (shares < 0)
    if wrong.any():
        raise DataError(
            f"a share of the prior is {shares[wrong.argmax()]:g}; shares must be finite and not "
            "negative"
        )
    if not shares.any():
        raise DataError("all shares of the prior are 0; give at least one class a positive share")
    shares = shares / shares.max()  # or large shares could overflow in the sum
    return np.asarray(shares / shares.sum())


def fit_calibration(
    logits: Float[ndarray, "M K"],
    y: Integer[ndarray, "M"],
    weight: Float[ndarray, "M"],
    shares: Float[ndarray, "K"],
    offset: Float[ndarray, "K"],
    row: Integer[ndarray, "M"] | None = None,
) -> Calibration:
    """Fit both calibrators on held-out examples.

    For a prior q theory gives, without looking at any example, the log-probabilities

        φ = log softmax(z + r),        r = offset + log(q / π_train),

    of a head that minimises its training loss in the population (:func:`design_offset`). Trained
    heads depart from theory: their logits are stretched or squeezed, and more on one side than on
    the other where the truth is not linear in the features. So slopes a and biases b are fitted,
    softmax(a ⊙ φ + b): for two classes this is beta calibration (Kull, Silva Filho and Flach,
    AISTATS 2017), for more the diagonal case of Dirichlet calibration (Kull et al., NeurIPS 2019).
    Equal slopes are a temperature, and biases then the bias-corrected temperature scaling that
    label shift is best corrected with (Alexandari, Kundaje and Shrikumar, ICML 2020). What is
    minimised is convex in (a, b), the cross-entropy of the held-out examples under the prior and a
    penalty:

        Σ_k q_k · mean_{i in class k} CE(a ⊙ φ_i + b, k)
            + λ [½ Σ_k β_k² + ½ Σ_k v_k (a_k − ā)² + mean_k (a_k − 1 − log a_k)]

    The penalty keeps the few examples of a rare class from deciding its numbers. λ = Σ_k q_k² / n_k
    with n_k examples of class k is one over the number of observations that the weighted mean rests
    on (Kish's effective size); for two classes of which one is rare that is four times the examples
    of the rare one. The first term then is a standard normal prior in logits against that many
    observations, the strength with which the search shrinks a design too. The second is the same
    for the unequal part of the slopes: v_k is the variance of φ_k, so √v_k (a_k − ā) is what it
    typically adds to a logit, with ā the mean of the slopes weighted by v. It acts around the mean
    μ_k of φ_k, so the first term takes β = b + (a − ā) ⊙ μ for the bias. The third term counts as
    one observation for the common size of the slopes, keeps them positive, and finite where the
    classes separate.

    Parameters
    ----------
    logits
        Of M held-out examples, each from a head that was trained without it.
    y
        Their class codes. A class that is not among them keeps its share out of the fit, and its
        bias near theory.
    weight
        Their weights, not negative.
    shares
        π_train, the share of each class in the training data.
    offset
        What the training loss does to the logits; see :func:`design_offset`.
    row
        Which example each is, where some validate more than once: repetitions share its weight and
        count as one observation. By default all are distinct.
    """
    uniform = np.full(len(shares), 1 / len(shares))
    return Calibration(
        shares,
        *(
            fit_calibrator(logits, y, weight, prior, offset + np.log(prior / shares), row)
            for prior in (shares, uniform)
        ),
    )


def fit_calibrator(
    logits: Float[ndarray, "M K"],
    y: Integer[ndarray, "M"],
    weight: Float[ndarray, "M"],
    prior: Float[ndarray, "K"],
    shift: Float[ndarray, "K"],
    row: Integer[ndarray, "M"] | None = None,
) -> Calibrator:
    """Fit one calibrator, for classes as frequent as a prior says; see :func:`fit_calibration`.

    Parameters
    ----------
    logits, y, weight, row
        As there.
    prior
        Shape (K,): shares that sum to 1. Those of classes without an example fall to the others.
    shift
        Shape (K,): what is added to the logits before anything is fitted.
    """
    weight, often = share_weight(weight, row)
    totals = np.bincount(y, weight, len(prior))
    squares = np.bincount(y, often * weight**2, len(prior))
    inverse_size = np.divide(squares, totals**2, out=np.zeros(len(prior)), where=totals > 0)
    penalty = float((prior**2 * inverse_size).sum())
    return _fit(logits, y, weight_for(prior, y, weight), shift, penalty)


def design_offset(design: LossDesign) -> Float[ndarray, "K"]:
    """The shift a at which softmax(z + a) has the class shares of training, for an optimal head.

    Without groups the loss −w_y log softmax(z + l)_y is least, over all functions z of x, where
    softmax(z + l)_k ∝ w_k P(k|x), so P(k|x) ∝ exp(z_k + l_k − log w_k): logit adjustment by log π
    has the offset log π, as has weighting by 1/π, and cross-entropy none. With groups the same
    holds within each, and as a prediction knows no group, the offset averages over them what z = 0
    stands for: log Σ_g π_g softmax(l[:, g] − log w[:, g]). The multipliers δ only stretch z, which
    the slopes of a calibrator take up.
    """
    within = log_softmax(design.additive - np.log(design.weight), axis=0)
    groups = design.counts.values.sum(axis=0)
    return np.asarray(logsumexp(within, axis=1, b=groups / groups.sum()))


def share_weight(
    weight: Float[ndarray, "M"], row: Integer[ndarray, "M"] | None
) -> tuple[Float[ndarray, "M"], Integer[ndarray, "M"]]:
    """Weights with each example's divided among its repetitions, and how often it is repeated."""
    if row is None:
        return weight, np.ones(len(weight), dtype=np.int64)
    _, example, times = np.unique(row, return_inverse=True, return_counts=True)
    often = times[example]
    return weight / often, often


def weight_for(
    prior: Float[ndarray, "K"], y: Integer[ndarray, "M"], weight: Float[ndarray, "M"]
) -> Float[ndarray, "M"]:
    """Weights that sum to 1 and give the classes the shares of ``prior``.

    Shares of classes without any weight fall to the others in proportion.
    """
    totals = np.bincount(y, weight, len(prior))
    per_unit = np.divide(prior, totals, out=np.zeros(len(prior)), where=totals > 0)
    weight = per_unit[y] * weight
    return np.asarray(weight / weight.sum())


def _fit(
    logits: Float[ndarray, "M K"],
    y: Integer[ndarray, "M"],
    weight: Float[ndarray, "M"],
    shift: Float[ndarray, "K"],
    penalty: float,
) -> Calibrator:
    """Minimise the penalised cross-entropy over slopes and biases, by Newton's method."""
    phi = log_softmax(logits + shift, axis=1)
    examples, K = np.arange(len(y)), len(shift)
    quadratic = _quadratic_penalty(phi, weight)

    def value_and_gradient(point: Float[ndarray, "P"]) -> tuple[float, Float[ndarray, "P"]]:
        slope, bias = point[:K], point[K:]
        if (slope <= 0).any():
            return np.inf, np.zeros_like(point)
        log_p = log_softmax(slope * phi + bias, axis=1)
        pull = quadratic @ point
        pull[:K] += (1 - 1 / slope) / K
        value = point @ quadratic @ point / 2 + (slope - 1 - np.log(slope)).mean()
        residual = np.exp(log_p)
        residual[examples, y] -= 1
        residual *= weight[:, None]
        gradient = np.concatenate([(residual * phi).sum(axis=0), residual.sum(axis=0)])
        return float(penalty * value - weight @ log_p[examples, y]), gradient + penalty * pull

    def hessian(point: Float[ndarray, "P"]) -> Float[ndarray, "P P"]:
        slope, bias = point[:K], point[K:]
        p = softmax(slope * phi + bias, axis=1)
        weighted = weight[:, None] * p
        moments = [np.diag((weighted * phi**power).sum(axis=0)) for power in range(3)]
        own = np.block([[moments[2], moments[1]], [moments[1], moments[0]]])
        both = np.hstack([p * phi, p])
        barrier = np.diag(np.concatenate([slope**-2.0 / K, np.zeros(K)]))
        return np.asarray(own - both.T @ (weight[:, None] * both) + penalty * (quadratic + barrier))

    outcome = minimize(
        value_and_gradient,
        np.repeat([1.0, 0.0], K),
        jac=True,
        hess=hessian,
        method="trust-exact",
        options={"gtol": _GRADIENT, "maxiter": _MAX_STEPS},
    )
    return Calibrator(shift, outcome.x[:K], outcome.x[K:])


def _quadratic_penalty(
    phi: Float[ndarray, "M K"], weight: Float[ndarray, "M"]
) -> Float[ndarray, "P P"]:
    """The matrix Q of ½ Σ β² + ½ Σ v (a − ā)² = ½ (a, b) Q (a, b)."""
    identity = np.eye(phi.shape[1])
    mean = weight @ phi
    spread = weight @ (phi - mean) ** 2 + _TINY  # constant log-probabilities have a mean slope too
    unequal = identity - spread / spread.sum()  # a − ā = unequal @ a
    centred_bias = np.hstack([mean[:, None] * unequal, identity])
    bend = np.hstack([np.sqrt(spread)[:, None] * unequal, 0 * identity])
    return np.asarray(centred_bias.T @ centred_bias + bend.T @ bend)
