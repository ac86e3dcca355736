"""Files that are either whole or absent, and JSON documents that say what they are."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from autobalance.errors import ArtifactError, AutoBalanceError

FORMAT_PREFIX = "autobalance-"
"""What the ``format`` of every JSON document we write begins with."""
DAMAGED = (
    *(AttributeError, IndexError, KeyError, OverflowError, RecursionError),
    *(TypeError, ValueError),
)
"""What taking a document apart raises if it is valid JSON but not what it should hold."""


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 beside ``path`` and rename it into place.

    Raises
    ------
    ArtifactError
        If the folder cannot be written (missing, no permission, no space) or the text holds
        something that UTF-8 cannot.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArtifactError(
            f"cannot write {path} ({error.reason}: {error.object[error.start]!r}); "
            "replace that character in the labels"
        ) from error
    write_bytes_atomically(path, data)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and rename it into place, so that it outlasts a power failure.

    Raises
    ------
    ArtifactError
        If it is a folder, or that it lies in cannot be written (missing, no permission, no space).
    """
    if not path.name:  # of "" and "."
        raise ArtifactError(f"cannot write {path} (it is a folder); name a file to write")
    temporary = path.with_name(temporary_name(path.name, os.getpid()))
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ArtifactError(
            f"cannot write {path} ({error.strerror}); choose a folder with space and permission"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    with suppress(OSError):  # not every system can sync a folder
        _sync_folder(path.parent)


def temporary_name(name: str, process: object) -> str:
    """Name of what ``process`` writes before it becomes ``name``; ``"*"`` makes it a pattern."""
    return f".{name}.{process}.part"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def folder_written_at_once(target: Path, marker: str) -> Iterator[Path]:
    """Yield a fresh temporary folder that becomes ``target`` if the block ends well.

    An existing ``target`` is replaced as a whole, but only if it is empty or our own earlier
    output; it is left untouched if the block fails. A link is followed.

    Parameters
    ----------
    target
        The folder to appear. Parents are made as needed.
    marker
        Name of a JSON file that every such folder holds, such as ``metrics.json``. A folder with
        anything in it counts as ours only if that file says so in its ``format``: other tools
        write files of that name too.

    Raises
    ------
    ArtifactError
        If the parent folder cannot be written, or ``target`` is a file, the working directory, or
        a folder that we did not write. The last three are noticed before the block runs.
    """
    missing: list[Path] = []
    try:
        target = Path(os.path.realpath(target))  # resolve() has an error of its own for circles
        _refuse_what_is_not_ours(target, marker)
        missing = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name}.", dir=target.parent, ignore_cleanup_errors=True
        ) as workshop:
            fresh, retired = Path(workshop, "new"), Path(workshop, "old")
            fresh.mkdir()
            yield fresh
            _refuse_what_is_not_ours(target, marker)
            _swap(fresh, target, retired)
    except BaseException as error:
        for folder in missing:  # the innermost first
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, AutoBalanceError) or not isinstance(error, OSError):
            raise
        raise ArtifactError(
            f"cannot write {target} ({error.strerror or error}); "
            "choose a folder with space and permission"
        ) from error


def _refuse_what_is_not_ours(target: Path, marker: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise ArtifactError(f"{target} is a file; name a folder that is new or empty")
    if Path.cwd().is_relative_to(target):
        raise ArtifactError(f"{target} is the folder you are in; name a new folder inside it")
    if any(target.iterdir()) and not _is_our_document(target / marker):
        raise ArtifactError(
            f"{target} holds files but no {marker} written by AutoBalance, so it will not be "
            "replaced; name a folder that is new or empty"
        )


def _is_our_document(path: Path) -> bool:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and str(document.get("format")).startswith(FORMAT_PREFIX)


def _swap(fresh: Path, target: Path, retired: Path) -> None:
    """Put ``fresh`` in the place of ``target``, which moves to ``retired``; undone on failure."""
    if target.exists():
        os.replace(target, retired)
    try:
        os.replace(fresh, target)
    except BaseException:
        if retired.exists():
            os.replace(retired, target)
        raise


def read_text(path: Path, error_type: type[AutoBalanceError], remedy: str) -> str:
    """The text of a file of ours, in UTF-8; an editor may have put a mark before it.

    Raises
    ------
    error_type
        If it cannot be read or is no text; ``remedy`` says what to do.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise error_type(f"cannot read {path} ({error.strerror}); {remedy}") from error
    except ValueError as error:
        raise error_type(f"{path} is not a text file; {remedy}") from error


def read_json(
    text: str, source: str, form: str, version: int, error_type: type[AutoBalanceError]
) -> dict[str, Any]:
    """Parse a JSON document and check that it is a ``form`` of a version that is understood.

    Raises
    ------
    error_type
        If it is not JSON (NaN and Infinity are not), is another kind of document, or is newer than
        ``version``.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise error_type(f"{source} is not valid JSON ({error}); restore the file") from error
    if not isinstance(document, dict) or document.get("format") != form:
        raise error_type(f"{source} is not an {form} file; check the path")
    found = document.get("version")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise error_type(f"{source} has no valid version number; restore the file")
    if found > version:
        raise error_type(
            f"{source} has version {found} but this AutoBalance reads up to {version}; upgrade it"
        )
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
