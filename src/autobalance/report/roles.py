"""Who plays which part in a run: the method before, the one after, and the designed loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OURS = "AutoBalance"
BASELINE = "Cross-entropy"
DECISION_RULE = "decision rule"

BASES = {
    "test split": "the {} examples of the test split, which played no part in any choice",
    "outer folds": "{} examples, each of them left out once while everything was chosen and "
    "trained on the others",
    "untouched part": "the {} examples of a part that was left untouched while everything was "
    "chosen and trained on the rest",
    "held-out folds": "{} examples, by the folds that also chose the losses: the figures flatter "
    "whatever was tuned on them, AutoBalance most",
}
"""Where figures can have been measured, in words; the number of examples goes in."""


@dataclass(frozen=True)
class Roles:
    """The methods that a page talks about most, as the metrics hold them.

    Parameters
    ----------
    methods
        All methods by name.
    kept
        The one that the run predicts with.
    baseline, changed
        Names of the method before and of the change that the page is about: for a fit plain
        cross-entropy and the designed loss.
    """

    methods: Mapping[str, Mapping[str, Any]]
    kept: Mapping[str, Any]
    baseline: str = BASELINE
    changed: str = OURS

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> Roles:
        """Read them from the metrics of a run."""
        methods = {method["name"]: method for method in metrics["methods"]}
        return cls(methods, methods[metrics["kept"]])

    @property
    def ours(self) -> Mapping[str, Any]:
        """The designed loss, or what else the page is about."""
        return self.methods[self.changed]

    @property
    def before(self) -> Mapping[str, Any]:
        """What every change is counted from."""
        return self.methods[self.baseline]

    @property
    def after(self) -> Mapping[str, Any]:
        """The kept method, or the designed loss if plain cross-entropy itself was kept."""
        return self.ours if self.kept is self.before else self.kept

    @property
    def beside(self) -> Mapping[str, Any] | None:
        """The designed loss where another change was kept, to be shown beside it."""
        return None if self.after is self.ours else self.ours

    @property
    def ranked(self) -> list[Mapping[str, Any]]:
        """All methods, the lowest error first."""
        return sorted(self.methods.values(), key=lambda method: float(method["value"]))


def measured_on(metrics: Mapping[str, Any]) -> str:
    """What the figures of the methods were measured on, in words."""
    return BASES[metrics["basis"]].format(f"{metrics['data']['measured']:,}")
