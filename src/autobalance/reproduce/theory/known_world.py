r"""A world with finitely many inputs, whose population risks are exact sums.

An input takes one of M values, so that a risk is a sum over the M·K pairs of input and class, and a
validation set is a table of counts. The training set is such a table too. Training minimises the
parametric loss over all functions of the input, which has the closed form of lemma 1,
:math:`f_\alpha = (\log \tilde\eta - l) / \delta` with the smoothed frequencies
:math:`\tilde\eta` of the training set. The hyperparameters α in the unit ball of dimension h are
the coefficients of l and log δ, in turns, in smooth functions of the class's frequency rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.fft import dct
from scipy.special import log_softmax, softmax
from scipy.stats import norm, qmc

from autobalance.reproduce.theory.population import closed_form

N_CLASSES = 8
N_INPUTS = 64
N_TRAINING = 1000
_TAIL = 10.0
"""How much more frequent the first class is than the last."""
_SIGNAL = 1.5
_REACH, _LOG_REACH = 2.0, 0.5
"""Largest l and log δ along one function of the rank."""


@dataclass(frozen=True)
class KnownWorld:
    """Probabilities of inputs and classes, and what the training set says of them.

    Parameters
    ----------
    joint
        P(x, y).
    trained
        Smoothed frequencies η̃ of the classes at each input.
    """

    joint: Float[ndarray, "M K"]
    trained: Float[ndarray, "M K"]

    def losses(self, alpha: Float[ndarray, "A H"]) -> Float[ndarray, "A M K"]:
        """Brier score ½‖softmax f_α(x) − e_y‖² in [0, 1] of each (x, y), for A vectors α."""
        ranks = dct(np.eye(N_CLASSES), axis=1)[:, 1:] / 2  # without the constant
        additive, steps = (
            values @ ranks[:, : values.shape[1]].T for values in (alpha[:, ::2], alpha[:, 1::2])
        )
        scores = closed_form(self.trained, _REACH * additive, np.exp(_LOG_REACH * steps))
        share = softmax(scores, axis=2)
        return np.asarray(((share**2).sum(2, keepdims=True) + 1 - 2 * share) / 2)

    def validation_sets(
        self, size: int, repeats: int, random: np.random.Generator
    ) -> Float[ndarray, "S M K"]:
        """Frequencies of (x, y) in S sets of n examples."""
        counts = random.multinomial(size, self.joint.ravel(), size=repeats)
        return counts.reshape(repeats, *self.joint.shape) / size


def known_world(seed: int) -> KnownWorld:
    """Long-tailed classes, inputs that tell something about them, and one training set."""
    random = np.random.default_rng(seed)
    prior = _TAIL ** -np.linspace(0, 1, N_CLASSES)
    evidence = _SIGNAL * random.normal(size=(N_INPUTS, N_CLASSES))
    joint = np.exp(log_softmax(np.log(prior) + evidence, axis=1)) / N_INPUTS
    counts = random.multinomial(N_TRAINING, joint.ravel()).reshape(joint.shape) + 1
    return KnownWorld(joint, counts / counts.sum(1, keepdims=True))


def ball_cover(dimension: int, size: int) -> Float[ndarray, "A H"]:
    """Points that fill the unit ball evenly, by a Sobol sequence.

    Parameters
    ----------
    dimension
        h.
    size
        A power of 2.
    """
    even = qmc.Sobol(dimension + 1, scramble=False).random(size) + 0.5 / size
    direction = norm.ppf(even[:, 1:])
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(direction * even[:, :1] ** (1 / dimension))


def class_blocks(n_objectives: int) -> Integer[ndarray, "K"]:
    """Which objective each class belongs to: as many classes each, by rank."""
    return np.arange(N_CLASSES) * n_objectives // N_CLASSES
