"""Test examples that score and never choose.

A method of a reproduction is given training examples alone; what it returns is scored here. Nothing
that tunes, searches or stops can take a sealed set: it has no length, no items and no arrays. The
one baseline that the paper tunes on what it is scored on says so by :meth:`Sealed.opened`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, Shaped
from numpy import ndarray

from autobalance.bootstrap import Estimate
from autobalance.counts import Counts
from autobalance.evaluation import cell_errors
from autobalance.objectives import BoundObjective
from autobalance.paired import mean_paired_difference

Codes = Integer[ndarray, "N"]


class Sealed:
    """Inputs, classes and groups of test examples, to be predicted by trained models.

    Parameters
    ----------
    inputs
        What a model's ``predict`` takes.
    y, g
        Codes of class and group.
    shape
        (K, G).
    """

    def __init__(self, inputs: Any, y: Codes, g: Codes | None, shape: tuple[int, int]) -> None:
        self.__inputs, self.__y, self.__g, self.__shape = inputs, y, g, shape

    def predictions(self, predict: Callable[[Any], Codes]) -> Codes:
        """What a trained model says of every example."""
        return np.asarray(predict(self.__inputs))

    def errors(self, predicted: Codes) -> Float[ndarray, "K G"]:
        """Error rate of every cell."""
        return cell_errors(self.__y, predicted, self.__g, *self.__shape)

    def mean_difference(
        self,
        objective: BoundObjective,
        counts: Counts,
        predicted: Shaped[ndarray, "runs N"],
        reference: Shaped[ndarray, "runs N"],
    ) -> Estimate:
        """How much larger the error of ``predicted`` is, over the runs, with a paired interval."""
        g = np.zeros_like(self.__y) if self.__g is None else self.__g
        return mean_paired_difference(objective, counts, self.__y, g, predicted, reference)

    def opened(self) -> tuple[Any, Codes, Codes | None]:
        """Inputs and codes, for the one baseline that was published tuned on what it is scored on.

        Rows that come of it take part in no comparison.
        """
        return self.__inputs, self.__y, self.__g

    def __repr__(self) -> str:
        return "Sealed()"
