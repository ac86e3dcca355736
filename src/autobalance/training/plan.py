"""How much of a training's data and time a search beside it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral

from autobalance.errors import DataError
from autobalance.search.online_settings import OnlineSettings

_STEPS_BETWEEN_MOVES = 5


@dataclass(frozen=True)
class _Course:
    """When the loss moves, how often, and how far at a time."""

    warm_up: float
    moves: int
    learning_rate: float


_ALONG_EMPHASIS = _Course(warm_up=0.8, moves=40, learning_rate=0.15)
_FREELY = _Course(warm_up=0.4, moves=80, learning_rate=0.05)


@dataclass(frozen=True)
class SearchPlan:
    """How much of the data and the time a search takes.

    What is ``None`` follows from what is searched. Emphasis alone moves in the last fifth of the
    epochs, since a network that has not yet fitted its training examples asks for other weights
    than the one at the end of the schedule (docs/images.md has the measurements), and in fewer and
    larger steps, since no point of its line is wrong for an ideal classifier. Everything else moves
    as in the paper; larger and later steps of l and δ followed the held-out examples too far.

    Parameters
    ----------
    held_out
        Share of the examples that is held out, stratified by cell; the paper's 0.2.
    warm_up
        Share of the search's epochs before the loss first moves: 0.8 for emphasis alone, otherwise
        the paper's 0.4 (120 of 300).
    moves
        About how often the loss moves in the rest, evenly spaced: 40 for emphasis alone, otherwise
        80. A move costs about 20 training steps, so there are at least 5 of them in between: short
        trainings would do little else.
    learning_rate
        Of α's optimizer at its first move, from where it falls with a cosine: about how far an
        adjusted logit, or a log weight, moves at a time. 0.15 for emphasis alone, otherwise 0.05.
    batch_size
        Held-out examples in a move's batch, stratified by cell.
    settings
        Everything else; its ``warm_up``, ``every`` and ``learning_rate`` follow from the above.
    """

    held_out: float = 0.2
    warm_up: float | None = None
    moves: int | None = None
    learning_rate: float | None = None
    batch_size: int = 512
    settings: OnlineSettings = field(default_factory=OnlineSettings)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise DataError(f"held_out is {self.held_out}; it must be a share between 0 and 1")
        if self.warm_up is not None and not 0 <= self.warm_up <= 1:
            raise DataError(f"warm_up is {self.warm_up}; it must be a share from 0 to 1")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise DataError(
                f"learning_rate is {self.learning_rate}; it must be a finite number above 0"
            )
        for name in ("moves", "batch_size"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, Integral) or value < 1):
                raise DataError(f"{name} is {value}; use a whole number of at least 1")

    def for_steps(self, steps: int, parameters: Sequence[str]) -> OnlineSettings:
        """The settings of a search of these parameters over so many optimizer steps."""
        usual = _ALONG_EMPHASIS if tuple(parameters) == ("emphasis",) else _FREELY
        share = usual.warm_up if self.warm_up is None else self.warm_up
        moves = usual.moves if self.moves is None else self.moves
        rate = usual.learning_rate if self.learning_rate is None else self.learning_rate
        warm_up = round(share * steps)
        every = max(_STEPS_BETWEEN_MOVES, round((steps - warm_up) / moves))
        return replace(self.settings, warm_up=warm_up, every=every, learning_rate=rate)
