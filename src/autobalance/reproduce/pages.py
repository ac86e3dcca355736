"""An outcome as Markdown and as one self-contained HTML page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib import style

from autobalance.report.page import fill
from autobalance.report.picture import picture
from autobalance.report.wording import capitalized
from autobalance.reproduce.outcome import Line, Outcome, Picture, Table

_WIDTH = 760
_FINE = 2
"""Pixels of a PNG for each of the page's."""


def conditions_of(outcome: Outcome, record: Mapping[str, Any]) -> dict[str, str]:
    """What the figures depend on, hardware and command included."""
    hardware, versions = record["hardware"], record["versions"]
    machine = f"{hardware['processor']}, {hardware['cores']} cores" + (
        f", {hardware['gpu']}" if "gpu" in hardware else ""
    )
    return {
        **{capitalized(name): value for name, value in outcome.conditions.items()},
        "Hardware": machine,
        "Versions": f"Python {versions['python']}, PyTorch {versions['torch']}",
        "Command": record["command"],
    }


def markdown(outcome: Outcome, record: Mapping[str, Any]) -> str:
    """The outcome as Markdown; its pictures lie beside it as PNG files."""
    parts = [f"# {outcome.title}"]
    if outcome.deviations:
        parts.append("**Not the paper's setting:** " + "; ".join(outcome.deviations) + ".")
    parts += [_list(f"{check}" for check in outcome.checks)] if outcome.checks else []
    for table in outcome.tables:
        parts += [f"## {table.title}", _table(table), *table.notes]
    for each in outcome.pictures:
        parts += [f"![{each.description}]({file_name(outcome, each)})", f"*{each.caption}*"]
    facts = conditions_of(outcome, record)
    parts += ["## How it was made", _list(f"{name}: {value}" for name, value in facts.items())]
    return "\n\n".join(parts) + "\n"


def file_name(outcome: Outcome, each: Picture) -> str:
    """Of a picture, beside the other files."""
    return f"{outcome.name}_{each.name}.png"


def png(each: Picture) -> bytes:
    """A picture for a Markdown page, on white."""
    stream = io.BytesIO()
    with style.context("default"):
        each.draw(_WIDTH).savefig(stream, format="png", dpi=72 * _FINE, facecolor="white")
    return stream.getvalue()


def page(outcome: Outcome, record: Mapping[str, Any]) -> str:
    """The outcome as HTML."""
    drawings = [
        (each.caption, picture(each.draw, each.name, each.caption, each.description))
        for each in outcome.pictures
    ]
    content = {
        "outcome": outcome,
        "record": record,
        "drawings": drawings,
        "conditions": conditions_of(outcome, record),
    }
    return fill("reproduction.html.j2", content)


def _table(table: Table) -> str:
    lines: list[tuple[str, ...]] = [table.columns]
    lines.append(("---", *["---:"] * (len(table.columns) - 1)))
    lines += [_set_off(line) for line in table.lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _set_off(line: Line) -> tuple[str, ...]:
    return tuple(cell and f"**{cell}**" for cell in line.cells) if line.headline else line.cells


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
