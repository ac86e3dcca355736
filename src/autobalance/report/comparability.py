"""Which figures of several runs may be held against each other, and which may not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from autobalance.report import wording

_EVERY_EXAMPLE = ("test split", "outer folds")
"""Where the examples measured do not depend on a seed."""


@dataclass(frozen=True)
class Comparability:
    """What runs have in common.

    Parameters
    ----------
    samples
        A letter for each run; runs of one letter were measured on the same examples.
    one_objective
        Whether all were asked for the same.
    cautions
        Sentences that say what must not be compared; none if everything may be.
    """

    samples: tuple[str, ...]
    one_objective: bool
    cautions: tuple[str, ...]

    @property
    def one_sample(self) -> bool:
        """Whether all were measured on the same examples."""
        return len(set(self.samples)) == 1


def comparability(names: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> Comparability:
    """Look at what runs were measured on and asked for.

    Parameters
    ----------
    names
        Of the runs.
    runs
        Their metrics.
    """
    keys = [json.dumps(_sample(run), sort_keys=True) for run in runs]
    letters = [_letter(list(dict.fromkeys(keys)).index(key)) for key in keys]
    objectives = {json.dumps([run["objective"], run.get("costs")]) for run in runs}
    cautions = [
        _other_examples(letters, runs),
        _other_objectives(objectives),
        *_other_meanings(letters, runs),
        _flattered(names, runs),
    ]
    return Comparability(tuple(letters), len(objectives) == 1, tuple(filter(None, cautions)))


def _sample(run: Mapping[str, Any]) -> list[Any]:
    """What the examples measured are told by; groups only divide them differently."""
    data, basis = run["data"], run["basis"]
    told = [data["source"], run["classes"], data["measured"], basis]
    if basis == "test split":
        return told
    per_class = [sum(row) for row in data["counts"]]
    return [*told, per_class, None if basis in _EVERY_EXAMPLE else run["settings"].get("seed")]


def _letter(index: int) -> str:
    """A to Z, then AA, AB and so on."""
    before, last = divmod(index, len(ascii_uppercase))
    return (_letter(before - 1) if before else "") + ascii_uppercase[last]


def _other_examples(letters: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> str:
    first = dict(zip(reversed(letters), reversed(runs), strict=True))
    if len(first) == 1:
        return ""
    described = "; ".join(
        f"{letter}: {wording.readable(run['data']['source'])}, {run['basis']}, "
        f"{run['data']['measured']:,} examples"
        for letter, run in sorted(first.items(), key=lambda item: letters.index(item[0]))
    )
    return (
        "The runs were not all measured on the same examples: compare figures only between runs "
        f"with the same letter ({described})."
    )


def _other_objectives(objectives: set[str]) -> str:
    if len(objectives) == 1:
        return ""
    return (
        "The runs were asked for different objectives or costs, so “before and after” are figures "
        "of different kinds; compare the runs under “every objective”."
    )


def _other_meanings(letters: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What differs between runs that were measured on the same examples."""

    def differs(what: Sequence[Any]) -> bool:
        values: dict[str, set[str]] = {}
        for letter, value in zip(letters, what, strict=True):
            if value is not None:
                values.setdefault(letter, set()).add(json.dumps(value))
        return any(len(found) > 1 for found in values.values())

    notes = []
    grouped = [
        None if run["groups"] is None else [run["groups"], run["group_columns"]] for run in runs
    ]
    if differs(grouped):
        notes.append("The groups differ, so objectives about groups must not be compared.")
    if differs([run["positive_class"] for run in runs]):
        notes.append("The positive class differs, so equal-opportunity gaps must not be compared.")
    return notes


def _flattered(names: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> str:
    flattered = [
        name for name, run in zip(names, runs, strict=True) if run["basis"] == "held-out folds"
    ]
    if not flattered:
        return ""
    return (
        f"The figures of {', '.join(flattered)} come from the folds that also chose the losses, "
        "and flatter these."
    )
