"""Policies in words: what happens to the examples of which classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.augmentation.operations import IMAGES, Operation
from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.data.wording import listing
from autobalance.labels import label_text

Cell = tuple[int, int]

NEGLIGIBLE = 0.005
"""Operations of a lower probability are not told."""
_FURTHEST = 2
"""How many operations a comparison names."""


@dataclass(frozen=True)
class Entry:
    """What happens to the examples of some cells, which all read the same.

    Parameters
    ----------
    cells
        Codes of class and group, the most frequent first.
    name
        Of the cells, such as ``class 'shirt'``.
    lines
        One for each sub-policy.
    """

    cells: tuple[Cell, ...]
    name: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """The name, and the lines below it."""
        return "\n".join([f"{self.name}:", *(f"  {line}" for line in self.lines)])


def entries(policy: Policy, counts: Counts) -> tuple[Entry, ...]:
    """A policy in sentences, cells that read the same told at once, the most frequent first.

    Cells without examples are left out.

    Parameters
    ----------
    policy
        Of as many classes and groups as the counts.
    counts
        Labels, and how many examples there are of each.
    """
    alike: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells_by_count(counts):
        alike.setdefault(lines(policy, cell), []).append(cell)
    return tuple(Entry(tuple(cells), _name(cells, counts), text) for text, cells in alike.items())


def lines(policy: Policy, cell: Cell) -> tuple[str, ...]:
    """What each sub-policy does to the examples of a cell.

    Such as ``rotate by up to 14° with probability 0.6, then invert with probability 0.1``.
    """
    texts = []
    for s, chain in enumerate(policy.operations):
        told = [
            text
            for place, each in enumerate(chain)
            if (text := step(each, *_values(policy, cell, s, place)))
        ]
        texts.append(", then ".join(told) or _nothing(policy))
    return tuple(texts)


def step(what: Operation, probability: float, magnitude: float) -> str:
    """One operation, or nothing if it hardly happens or does not show."""
    described = what.described(magnitude)
    if probability < NEGLIGIBLE or (what.largest > 0 and described == what.described(0.0)):
        return ""
    if probability >= 1 - NEGLIGIBLE:
        return described
    return f"{described} with probability {rounded(probability)}"


def extent(what: Operation, magnitude: float) -> str:
    """A magnitude alone, such as ``14°``; nothing for an operation without one."""
    start = what.wording.find("{")
    return "" if start < 0 else what.wording[start:].format(magnitude * what.unit)


def summary(policy: Policy, counts: Counts) -> str:
    """How the policy treats the rarest class, or cell, and the most frequent, in sentences."""
    told = entries(policy, counts)
    cells = cells_by_count(counts)
    most, rarest = cells[0], cells[-1]
    if len(told) == 1 and policy.takes == IMAGES:
        return f"All are treated alike, with {_often(policy, most)} operations an image on average."
    if len(told) == 1:
        return f"All are treated alike: {told[0].lines[0]}."
    names = [f"{counts.cell_name(*rarest)}, the rarest,"]
    names.append(f"{counts.cell_name(*most)}, the most frequent,")
    if policy.takes != IMAGES:
        return " ".join(
            f"Examples of {name} {lines(policy, cell)[0]}."
            for name, cell in zip(names, (rarest, most), strict=True)
        )
    of_both = [
        f"{_often(policy, cell)} operations on average, at {_strength(policy, cell)} of the "
        "largest strengths"
        for cell in (rarest, most)
    ]
    told_apart = (
        f"Images of {names[0]} get {of_both[0]}, and those of {names[1]} {of_both[1]}"
        if of_both[0] != of_both[1]
        else f"Images of {names[0]} and of {names[1]} get {of_both[0]}"
    )
    return f"{told_apart}. Furthest apart are {_furthest(policy, rarest, most)}."


def cells_by_count(counts: Counts) -> list[Cell]:
    """Cells that hold examples, the most frequent first, ties by index."""
    sizes = counts.values.ravel()
    order = np.argsort(-sizes, kind="stable")
    return [divmod(int(at), counts.n_groups) for at in order if sizes[at] > 0]


def rounded(probability: float) -> str:
    """To two decimals at most: ``0.6``, ``0.35``, ``1``."""
    return f"{probability:.2f}".rstrip("0").rstrip(".")


def _name(cells: Sequence[Cell], counts: Counts) -> str:
    """Of one cell, of all, or of some."""
    if len(cells) == 1:
        return counts.cell_name(*cells[0])
    if len(cells) == int(counts.present.sum()):
        return "all classes" if counts.groups is None else "all classes in all groups"
    classes = list(dict.fromkeys(k for k, _ in cells))
    if len(cells) == int(counts.present[classes].sum()):
        noun = "class" if len(classes) == 1 else "classes"
        return f"{noun} {listing([label_text(counts.classes[k]) for k in classes])}"
    labels = [
        f"{label_text(counts.classes[k])} · {label_text((counts.groups or ('',))[j])}"
        for k, j in cells
    ]
    return f"classes in groups {listing(labels)}"


def _nothing(policy: Policy) -> str:
    return f"leave the {'image' if policy.takes == IMAGES else 'example'} as it is"


def _values(policy: Policy, cell: Cell, s: int, place: int) -> tuple[float, float]:
    at = (*cell, s, place)
    return float(policy.probability[at]), float(policy.magnitude[at])


def _often(policy: Policy, cell: Cell) -> str:
    """Operations that an example gets on average: one sub-policy is drawn of all."""
    return f"{policy.probability[cell].sum() / policy.shape[0]:.1f}"


def _strength(policy: Policy, cell: Cell) -> str:
    """Magnitude as a share of the largest, on average over what is applied and has one."""
    probability, having = policy.probability[cell], policy.has_magnitude
    share = _reach(policy, cell)[having]
    total = float(probability[having].sum())
    return f"{float(share.sum()) / total if total else 0.0:.0%}"


def _reach(policy: Policy, cell: Cell) -> Float[ndarray, "S L"]:
    """Probability times magnitude, as a share of the largest possible."""
    having = policy.has_magnitude
    largest = np.where(having, policy.largest, 1.0)
    share = np.where(having, policy.magnitude[cell] / largest, 1.0)
    return np.asarray(policy.probability[cell] * share)


def _furthest(policy: Policy, one: Cell, other: Cell) -> str:
    """The operations that the two cells get most differently."""
    apart = np.abs(_reach(policy, one) - _reach(policy, other))
    told = []
    for at in np.argsort(-apart.ravel(), kind="stable")[:_FURTHEST]:
        s, place = divmod(int(at), policy.shape[1])
        largest = float(policy.largest[s, place])
        (p, m), (q, n) = (_values(policy, cell, s, place) for cell in (one, other))
        strengths = ("", "")
        if largest:
            strengths = f" at {m / largest:.0%} of its largest strength", f" at {n / largest:.0%}"
        told.append(
            f"{policy.sub_policies[s][place]} ({p:.0%} of the time{strengths[0]}, against "
            f"{q:.0%}{strengths[1]})"
        )
    return " and ".join(told)
