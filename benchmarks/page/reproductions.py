"""Sections of what ``autobalance reproduce`` wrote: its tables and checks as they are."""

from __future__ import annotations

from benchmarks.page.markdown import Record, bold, table


def section(record: Record) -> str:
    """Title, deviations, tables and checks of a record."""
    parts = [f"## {record['title']}"]
    if record["deviations"]:
        parts.append("Not the paper's setting: " + "; ".join(record["deviations"]) + ".")
    for each in record["tables"]:
        rows = [
            bold(line["cells"]) if line["headline"] else line["cells"] for line in each["lines"]
        ]
        parts += [f"**{each['title']}**", table(each["columns"], rows), " ".join(each["notes"])]
    checks = [
        f"- {'pass' if check['passed'] else 'FAIL'}: {check['claim']} ({check['found']})"
        for check in record["checks"]
    ]
    return "\n\n".join(part for part in [*parts, "\n".join(checks)] if part)
