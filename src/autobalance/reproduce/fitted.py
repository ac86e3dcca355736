"""What a method of a reproduction gives back: something that predicts, and how it came about."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Integer
from numpy import ndarray

PUBLISHED, TUNED, POST_HOC, DESIGNED = "as published", "tuned", "post-hoc", "designed"
PEEKING = "tuned on the data it is scored on, as published"
"""Kinds of rows, by how their numbers were chosen. A peeking one takes part in no comparison."""


@dataclass(frozen=True)
class Fitted:
    """A trained classifier.

    Parameters
    ----------
    predict
        From inputs to codes of classes.
    seconds
        Of training, with all tuning and searching.
    facts
        What was chosen, as plain values.
    """

    predict: Callable[[Any], Integer[ndarray, "N"]]
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Rounded to milliseconds."""
        return round(time.perf_counter() - self._started, 3)
