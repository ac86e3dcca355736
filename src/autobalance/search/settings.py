"""How a search takes its held-out objective, and when it stops."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from autobalance.errors import DataError
from autobalance.search.heldout import HELD_OUT_LOSSES

AUTO = "auto"
PRECISIONS = ("mixed", "double")
_OBSERVATIONS_FOR_ERRORS = 100
"""Held-out observations of an objective from which on its smooth error rate steers the search."""
_SHARPNESS = {"error": 60.0, "cross-entropy": 20.0}
_TOLERANCE = {"error": 2e-5, "cross-entropy": 1e-4}


@dataclass(frozen=True)
class SearchSettings:
    """How the held-out objective is taken and minimised.

    Parameters
    ----------
    held_out_loss
        ``"error"``, a smooth error rate; ``"cross-entropy"``, as in the paper; or ``"auto"``
        (default): the error where the objective rests on at least 100 held-out examples (one over
        the variance of its estimate), so that enough of them lie near the boundary to say where
        it should be, and cross-entropy, of which every example says something, where they are
        fewer.
        With constraints it is the error, so that limits are error rates. See
        :mod:`autobalance.search.heldout`.
    sharpness
        Sharpness κ of smooth maxima, per unit of that loss; by default 60 for errors, so that
        about two points count, and 20 for cross-entropy.
    shrinkage
        Pull of α towards the starting design; see
        :class:`~autobalance.search.exact.ExactProblem`.
    profile_temperature
        Fit one temperature on the held-out logits before taking the objective.
    required_gain
        Standard errors that a designed loss must gain on the folds to replace its closed-form
        start; 1 is the one-standard-error rule, ``None`` always takes the lowest point. See
        :mod:`autobalance.search.evidence`.
    max_evaluations, tolerance
        Limits of the search; see :func:`~autobalance.search.exact.exact_search`. The tolerance is
        by default 2e-5 for errors and 1e-4 for cross-entropy.
    precision
        ``"mixed"`` keeps features in float32 and takes Hessian products in float32, values and
        gradients in float64; ``"double"`` does everything in float64, at twice the memory for
        features, with tight tolerances.
    """

    held_out_loss: str = AUTO
    sharpness: float | None = None
    shrinkage: float = 1.0
    profile_temperature: bool = True
    required_gain: float | None = 1.0
    max_evaluations: int = 60
    tolerance: float | None = None
    precision: str = "mixed"

    def __post_init__(self) -> None:
        if self.held_out_loss not in (AUTO, *HELD_OUT_LOSSES):
            raise DataError(
                f"held_out_loss is {self.held_out_loss!r}; use {', '.join(HELD_OUT_LOSSES)} or auto"
            )
        for name in ("sharpness", "tolerance"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise DataError(f"{name} is {value}; it must be positive and finite")
        for name in ("shrinkage", "required_gain"):
            value = getattr(self, name)
            always = name == "required_gain" and value is None
            if not always and not 0 <= value < np.inf:
                raise DataError(f"{name} is {value}; it must be finite and not negative")
        if self.max_evaluations < 1 or self.max_evaluations != int(self.max_evaluations):
            raise DataError(
                f"max_evaluations is {self.max_evaluations}; use a whole number of at least 1"
            )
        if self.precision not in PRECISIONS:
            raise DataError(f"precision is {self.precision!r}; use one of {', '.join(PRECISIONS)}")

    def for_data(self, observations: float, constrained: bool) -> SearchSettings:
        """These settings with the held-out loss that suits so many held-out examples."""
        if self.held_out_loss != AUTO:
            return self
        steady = constrained or observations >= _OBSERVATIONS_FOR_ERRORS
        return replace(self, held_out_loss="error" if steady else "cross-entropy")

    @property
    def sharpness_used(self) -> float:
        """The sharpness given, or the default for the held-out loss."""
        return _SHARPNESS[self.held_out_loss] if self.sharpness is None else self.sharpness

    @property
    def tolerance_used(self) -> float:
        """The tolerance given, or the default for the held-out loss."""
        return _TOLERANCE[self.held_out_loss] if self.tolerance is None else self.tolerance

    @property
    def dtype(self) -> torch.dtype:
        """Of features and Hessian products."""
        return torch.float32 if self.precision == "mixed" else torch.float64
