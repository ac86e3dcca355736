"""The parameters of the kept loss, and of the designed one beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.report import figures, wording
from autobalance.report.picture import picture
from autobalance.report.roles import Roles
from autobalance.report.units import Unit, design_units

_Kind = tuple[str, str, str, float]
_KINDS: tuple[_Kind, ...] = (
    ("w", "weight", "weight w", 1.0),
    ("l", "additive", "additive l", 0.0),
    ("δ", "multiplicative", "multiplicative δ", 1.0),
)


def losses(design: LossDesign, roles: Roles) -> dict[str, Any]:
    """The loss after the change and, if another was kept, AutoBalance's beside it.

    Parameters
    ----------
    design
        The kept design, which knows labels and counts.
    roles
        Who was kept.
    """
    designs = {
        "after": design if roles.after is roles.kept else method_design(roles.after, design.counts)
    }
    if roles.beside is not None:
        designs["beside"] = method_design(roles.beside, design.counts)
    tables = [getattr(each, name) for each in designs.values() for _, name, _, _ in _KINDS]
    units = design_units(design.counts, *tables)
    shown = [kind for kind in _KINDS if not all(_is_plain(each, kind) for each in designs.values())]
    values = {
        (sign, part): _by_unit(getattr(each, name), units)
        for sign, name, _, _ in shown
        for part, each in designs.items()
    }
    panels = [
        figures.Panel(heading, values[sign, "after"], neutral, values.get((sign, "beside")))
        for sign, _, heading, neutral in shown
    ]
    return {
        "of": "class" if units[0].group_index is None else "class and group",
        "neutral": [kind[0] for kind in _KINDS if kind not in shown],
        "plain": all(_is_plain(designs["after"], kind) for kind in _KINDS),
        "ridges": [
            (wording.readable(getattr(roles, part)["name"]), each.ridge)
            for part, each in designs.items()
        ],
        "columns": list(values),
        "rows": [
            (unit.name, unit.examples, [column[i] for column in values.values()])
            for i, unit in enumerate(units)
        ],
        "by_rank": len(units) > figures.MOST_ROWS,
        "figure": _picture(units, panels) if panels else None,
    }


def method_design(method: Mapping[str, Any], counts: Counts) -> LossDesign:
    """The design of a method as the metrics hold it.

    Raises
    ------
    DesignError
        If it does not fit the classes and groups, or holds values that no design has.
    """
    weight, additive, multiplicative = (
        np.array(method["design"][name], dtype=np.float64) for _, name, _, _ in _KINDS
    )
    return LossDesign(counts, weight, additive, multiplicative, method["ridge"])


def parameter_spans(design: LossDesign) -> list[tuple[str, tuple[float, float] | None]]:
    """Of each kind of parameter its sign, and its values for the most frequent and rarest unit.

    ``None`` in place of the values says that the parameter changes nothing anywhere.
    """
    spans: list[tuple[str, tuple[float, float] | None]] = []
    for kind in _KINDS:
        sign, name, _, _ = kind
        values = getattr(design, name)
        by_unit = _by_unit(values, design_units(design.counts, values))
        spans.append((sign, None if _is_plain(design, kind) else (by_unit[0], by_unit[-1])))
    return spans


def _is_plain(design: LossDesign, kind: _Kind) -> bool:
    """Whether a parameter changes nothing anywhere."""
    _, name, _, neutral = kind
    return bool((getattr(design, name) == neutral).all())


def _by_unit(values: Float[ndarray, "K G"], units: Sequence[Unit]) -> list[float]:
    entries = values.tolist()
    return [float(unit.of_cell(entries)) for unit in units]


def _picture(units: Sequence[Unit], panels: Sequence[figures.Panel]) -> Markup:
    names = [unit.name for unit in units]

    def draw(width: int) -> Figure:
        if len(units) > figures.MOST_ROWS:
            return figures.parameter_ranks(panels, width)
        return figures.parameter_rows(names, panels, width)

    headings = ", ".join(panel.heading for panel in panels)
    return picture(
        draw,
        "parameters",
        "Parameters of the loss, most frequent first",
        f"{headings}. The table below holds the numbers.",
    )
