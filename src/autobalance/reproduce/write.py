"""The files of an outcome: its record as JSON, a page as Markdown and HTML, and its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from autobalance.errors import ArtifactError
from autobalance.provenance import provenance, without_folders
from autobalance.reproduce.outcome import Outcome
from autobalance.reproduce.pages import file_name, markdown, page, png
from autobalance.storage import write_bytes_atomically, write_text_atomically


def write_outcome(outcome: Outcome, folder: Path, arguments: Sequence[str]) -> list[Path]:
    """Write everything into ``folder``, in the place of an earlier outcome of the same name.

    Parameters
    ----------
    outcome
        What to show.
    folder
        Made if need be.
    arguments
        Of the command line after ``autobalance``, for the record.

    Returns
    -------
    list
        The record, the Markdown, the HTML page, and the pictures.

    Raises
    ------
    ArtifactError
        If the folder cannot be written.
    """
    record = {
        "reproduction": outcome.name,
        "title": outcome.title,
        **provenance(" ".join(["autobalance", *without_folders(arguments)])),
        "conditions": dict(outcome.conditions),
        "deviations": list(outcome.deviations),
        "checks": [asdict(check) for check in outcome.checks],
        "tables": [asdict(table) for table in outcome.tables],
        **outcome.facts,
        "rows": [dict(row) for row in outcome.rows],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"cannot write {folder} ({error.strerror}); choose another folder with --out"
        ) from error
    texts = {
        ".json": json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        ".md": markdown(outcome, record),
        ".html": page(outcome, record),
    }
    paths = []
    for suffix, text in texts.items():
        paths.append(folder / f"{outcome.name}{suffix}")
        write_text_atomically(paths[-1], text)
    for each in outcome.pictures:
        paths.append(folder / file_name(outcome, each))
        write_bytes_atomically(paths[-1], png(each))
    return paths
