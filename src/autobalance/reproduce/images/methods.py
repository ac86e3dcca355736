"""The rows of table 1: from training images to a network, without a look at the scored ones.

A method trains on everything in the end, and its network after the last epoch counts. What it tunes
or searches, it does on a split of the training examples, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import nn

from autobalance.design import LossDesign
from autobalance.posthoc import logit_adjustment_bias, tune_bias
from autobalance.reproduce.fitted import DESIGNED, PUBLISHED, TUNED, Fitted, Stopwatch
from autobalance.reproduce.images.interpolation import interpolated
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.settings import Course
from autobalance.search.online import OnlineSearch

Start = str | Callable[[ImageLab], LossDesign]
_POINTS = 60
"""Points of the course of a loss that are kept, at most."""


@runtime_checkable
class Method(Protocol):
    """A row of the table, or several that share their trainings."""

    @property
    def names(self) -> Mapping[str, str]:
        """For each row its key, on the command line and in files, and its name."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """For each row how its numbers were chosen."""

    def fit(self, lab: ImageLab) -> dict[str, Fitted]:
        """Train; there is nothing in the lab to score on."""


@dataclass(frozen=True)
class Row:
    """One row's key and name."""

    key: str
    name: str
    kind: str = PUBLISHED

    @property
    def names(self) -> Mapping[str, str]:
        """The one row."""
        return {self.key: self.name}

    @property
    def kinds(self) -> Mapping[str, str]:
        """The one row's."""
        return {self.key: self.kind}


@dataclass(frozen=True)
class ClosedForm(Row):
    """A loss that needs no tuning, with classes drawn by a power of their size or as they are.

    Parameters
    ----------
    loss
        From the lab to a design or a module.
    exponent
        As :class:`~autobalance.training.resampling.ResampledBatches` takes it.
    cosines
        Whether logits are cosines.
    """

    loss: Callable[[ImageLab], LossDesign | nn.Module] = field(kw_only=True)
    exponent: float | None = field(kw_only=True, default=None)
    cosines: bool = field(kw_only=True, default=False)

    def fit(self, lab: ImageLab) -> dict[str, Fitted]:
        """Train with it."""
        watch = Stopwatch()
        model = lab.train(self.loss(lab), cosines=self.cosines, exponent=self.exponent)
        return {self.key: Fitted(lab.network(model), watch.seconds, {"trainings": 1})}


@dataclass(frozen=True)
class CrossEntropyAndPostHoc:
    """Cross-entropy; its network with logits adjusted by the prior; and with a tuned bias.

    The tuned bias comes from a network that has not seen the held-out examples, and goes to the one
    that was trained on everything.
    """

    plain: Row
    adjusted: Row
    tuned: Row

    @property
    def names(self) -> Mapping[str, str]:
        """Three rows."""
        return {row.key: row.name for row in (self.plain, self.adjusted, self.tuned)}

    @property
    def kinds(self) -> Mapping[str, str]:
        """Three rows'."""
        return {row.key: row.kind for row in (self.plain, self.adjusted, self.tuned)}

    def fit(self, lab: ImageLab) -> dict[str, Fitted]:
        """Train on everything and on the split."""
        watch = Stopwatch()
        design = lab.preset("cross-entropy")
        model = lab.train(design)
        seconds = watch.seconds
        prior = logit_adjustment_bias(lab.counts)
        split = lab.train(design, lab.parts[0])
        bias = tune_bias(lab.held_out_risk(), lab.held_out_logits(split))
        once, twice = {"trainings": 1}, {"trainings": 2, "bias": bias.tolist()}
        return {
            self.plain.key: Fitted(lab.network(model), seconds, once),
            self.adjusted.key: Fitted(lab.network(model, prior), seconds, once),
            self.tuned.key: Fitted(lab.network(model, bias), watch.seconds, twice),
        }


@dataclass(frozen=True)
class TunedForm(Row):
    """A closed form with strengths, tuned one after the other by the held-out risk.

    Parameters
    ----------
    preset
        The loss.
    start
        The strengths that the first comparison keeps fixed.
    grid
        For each strength in turn, the values to compare; those chosen before stay.
    """

    preset: str = field(kw_only=True)
    start: Mapping[str, float] = field(kw_only=True, default_factory=dict)
    grid: Mapping[str, Sequence[float]] = field(kw_only=True)
    kind: str = TUNED

    def fit(self, lab: ImageLab) -> dict[str, Fitted]:
        """Train with each on the split, then with the best on everything."""
        watch = Stopwatch()
        risk = lab.held_out_risk()
        tried: dict[tuple[tuple[str, float], ...], float] = {}

        def held_out(strengths: Mapping[str, float]) -> float:
            key = tuple(strengths.items())
            if key not in tried:
                model = lab.train(lab.preset(self.preset, **strengths), lab.parts[0])
                tried[key] = float(risk(lab.held_out_logits(model)).total)
            return tried[key]

        best = dict(self.start)
        for name, values in self.grid.items():
            best = min(({**best, name: value} for value in values), key=held_out)
        model = lab.train(lab.preset(self.preset, **best))
        facts = {
            "trainings": len(tried) + 1,
            "choice": best,
            "tried": [{**dict(key), "held_out": value} for key, value in tried.items()],
        }
        return {self.key: Fitted(lab.network(model), watch.seconds, facts)}


@dataclass(frozen=True)
class Designed(Row):
    """A loss that is searched while a network trains on the split, and then trained with.

    Parameters
    ----------
    parameters
        What is searched.
    start
        The loss it starts from, a preset or one from the lab; by default the recipe's.
    dictionary
        Which classes share a value, one name or one for each parameter; by default the recipe's.
    course
        How α moves; by default as in the recipe.
    """

    parameters: tuple[str, ...] = field(kw_only=True)
    start: Start | None = field(kw_only=True, default=None)
    dictionary: str | Mapping[str, str] | None = field(kw_only=True, default=None)
    course: Course | None = field(kw_only=True, default=None)
    kind: str = DESIGNED

    def fit(self, lab: ImageLab) -> dict[str, Fitted]:
        """Search, then train with what was found."""
        watch = Stopwatch()
        search = self.search(lab)
        design = self.design(lab, search)
        model = lab.train(design)
        facts = {"design": values(design), "course": course_of(search, lab.steps_per_epoch)}
        return {self.key: Fitted(lab.network(model), watch.seconds, facts)}

    def search(self, lab: ImageLab, **options: Any) -> OnlineSearch:
        """The search at its end; ``options`` are those of :meth:`ImageLab.search`."""
        recipe = lab.recipe
        return lab.search(
            self.first(lab),
            self.parameters,
            self.dictionary or recipe.dictionary,
            self.course or recipe.course,
            **options,
        )

    def first(self, lab: ImageLab) -> LossDesign:
        """Where the search starts."""
        start = self.start or lab.recipe.start
        return lab.preset(start) if isinstance(start, str) else start(lab)

    def design(self, lab: ImageLab, search: OnlineSearch) -> LossDesign:
        """What the retraining takes."""
        used = self.dictionary or lab.recipe.dictionary
        kind, _, size = used.partition(":") if isinstance(used, str) else ("", "", "")
        if (self.course or lab.recipe.course).interpolated and kind == "cluster":
            return interpolated(search.design(), int(size))
        return search.design()


def values(design: LossDesign) -> dict[str, Any]:
    """A design's values by class, rounded for a record."""
    found: dict[str, Any] = {
        name: getattr(design, name)[:, 0].round(4).tolist()
        for name in ("weight", "additive", "multiplicative")
    }
    policy = design.policy
    if policy is not None:
        found["policy"] = {
            "sub_policies": [list(chain) for chain in policy.sub_policies],
            "probability": policy.probability[:, 0].round(3).tolist(),
            "magnitude": policy.magnitude[:, 0].round(3).tolist(),
        }
    return found


def course_of(search: OnlineSearch, steps_per_epoch: int) -> dict[str, Any]:
    """How the loss moved: training steps, and l and δ averaged over ten clusters of classes.

    A cluster is a tenth of the classes by frequency, or a class where there are no more than ten.
    """
    moves = search.history
    kept = [moves[place] for place in _spread(len(moves))]
    designs = [search.space.design(move.alpha) for move in kept]
    order = np.argsort(-search.space.counts.per_class, kind="stable")
    clusters = np.array_split(order, min(10, len(order)))
    return {
        "steps_per_epoch": steps_per_epoch,
        "steps": [move.iteration for move in kept],
        "classes": [len(cluster) for cluster in clusters],
        **{
            name: [
                [round(float(getattr(each, name)[cluster].mean()), 4) for cluster in clusters]
                for each in designs
            ]
            for name in ("additive", "multiplicative")
        },
    }


def _spread(number: int) -> list[int]:
    """At most so many places, evenly spaced, the last one included."""
    places = np.linspace(0, number - 1, min(number, _POINTS)).round()
    return [int(place) for place in places]
