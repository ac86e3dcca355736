"""The augmentation policy: images before and after it, its values, and what it does in words."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from autobalance.augmentation.operations import IMAGES
from autobalance.augmentation.policy import Policy
from autobalance.augmentation.wording import Cell, Entry, cells_by_count, entries, extent, summary
from autobalance.counts import Counts
from autobalance.data.wording import amount
from autobalance.report import wording

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_ENTRIES = 4


def augmentation(document: Mapping[str, Any] | None, counts: Counts) -> dict[str, Any] | None:
    """What a policy does to examples of a few cells; ``None`` if there is no policy.

    Parameters
    ----------
    document
        The parsed ``augmentation.json`` of the run, if it has one.
    counts
        Training examples and labels.

    Raises
    ------
    AutoBalanceError
        If the policy is damaged.
    ValueError
        If a picture is no PNG file, or of no cell.
    """
    if document is None:
        return None
    policy = Policy.from_plain(document["policy"])
    if policy.cells != counts.values.shape:
        raise ValueError(f"the policy is for {policy.cells} cells")
    told = entries(policy, counts)
    shown = [_shown(strips, told, counts) for strips in document["strips"]]
    if not shown:
        shown = [{"cell": each.cells[0], **_words(each, counts)} for each in told[:_MOST_ENTRIES]]
    for each in shown:
        if len(told) > len(shown):  # a name of its own, though others may read the same
            each["name"] = wording.readable(counts.cell_name(*each["cell"]))
    return {
        "of_images": policy.takes == IMAGES,
        "sub_policies": policy.shape[0],
        "operations": policy.shape[1],
        "summary": wording.readable(summary(policy, counts)),
        "shown": [{**each, "rank": _rank(each["cell"], counts, len(told))} for each in shown],
        "all_shown": len(told) == len(shown),
        "rows": _rows(policy, [each["cell"] for each in shown]),
    }


def _shown(strips: Mapping[str, Any], told: Sequence[Entry], counts: Counts) -> dict[str, Any]:
    """The pictures of a cell with its words."""
    k, j = (int(code) for code in strips["cell"])
    (entry,) = (each for each in told if (k, j) in each.cells)
    number = int(strips["images"])
    width, height = int(strips["width"]), int(strips["height"])
    return {
        "cell": (k, j),
        **_words(entry, counts),
        "images": amount(number, "image"),
        "number": number,
        "small": max(width, height) <= 64,
        **{name: _data_uri(strips[name]) for name in ("before", "after")},
    }


def _words(entry: Entry, counts: Counts) -> dict[str, Any]:
    examples = sum(float(counts.values[cell]) for cell in entry.cells)
    return {
        "name": wording.readable(entry.name),
        "examples": examples,
        "lines": [wording.readable(line) for line in entry.lines],
    }


def _rank(cell: Cell, counts: Counts, entries_told: int) -> str:
    """Where the cell stands, if cells differ."""
    cells = cells_by_count(counts)
    if entries_told == 1:
        return ""
    return {cells[0]: "the most frequent", cells[-1]: "the rarest"}.get(cell, "")


def _rows(policy: Policy, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """An operation a row: how often it is applied, and what it then does, for each cell."""
    rows = []
    for s, chain in enumerate(policy.operations):
        for place, what in enumerate(chain):
            values = [
                (
                    float(policy.probability[(*cell, s, place)]),
                    float(policy.magnitude[(*cell, s, place)]),
                )
                for cell in cells
            ]
            rows.append(
                {
                    "name": what.name,
                    "first": place == 0,
                    "values": [
                        (f"{probability:.0%}", extent(what, magnitude))
                        for probability, magnitude in values
                    ],
                }
            )
    return rows


def _data_uri(text: str) -> str:
    """The address of a picture inside the page."""
    if not base64.b64decode(text, validate=True).startswith(_PNG):
        raise ValueError("a picture is no PNG file")
    return f"data:image/png;base64,{text}"
