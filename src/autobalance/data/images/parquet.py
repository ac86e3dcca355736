"""Parquet files with a column of encoded images, as the Hugging Face Hub keeps data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autobalance.data.images.columns import read_columns
from autobalance.data.images.image_set import ImageSet, as_objects, join_sets
from autobalance.data.images.sources import EncodedImages
from autobalance.data.splits import part_of_word
from autobalance.data.wording import listing
from autobalance.errors import DataError
from autobalance.optional import need

if TYPE_CHECKING:
    from autobalance.data.tables import Table

_SHARD = re.compile(r"(?P<stem>.*?)-(?P<number>\d{5,})-of-(?P<total>\d{5,})(-[0-9a-f]+)?")
_IMAGE_NAMES = ("image", "img")
_DAMAGE = (LookupError, OSError, RuntimeError, TypeError, ValueError)
_DATA = "data"
"""The folder in which the Hub puts shards."""


def read_parquet(
    path: Path, target: str | None = None, groups: Sequence[str] = (), split: str | None = None
) -> ImageSet:
    """Read a Parquet file of images.

    The image column is found by its type: a struct with ``bytes``, as the Hub has it, else binary.
    Integer classes get the names that the Hub's metadata list.

    Parameters
    ----------
    path
        The file.
    target, groups, split
        Columns, as in :func:`~autobalance.data.images.columns.read_columns`.

    Raises
    ------
    DataError
        If the file is missing or damaged, has no column of images or several, or the columns are
        refused.
    """
    table, images = read_image_column(path)
    labels = read_columns(table, target, groups, split)
    return ImageSet(str(path), images, *labels)


def read_image_column(path: Path) -> tuple[Table, EncodedImages]:
    """The other columns of a Parquet file, and its images.

    Raises
    ------
    DataError
        If the file is missing, empty or damaged, or has no column of images or several.
    """
    parquet = need("pyarrow.parquet", "cli", f"reading {path}")
    compute = need("pyarrow.compute", "cli", f"reading {path}")
    need("pandas", "cli", f"reading {path}")
    from autobalance.data.tables import Table, refuse_repeated

    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file; check the path")
    try:
        with parquet.ParquetFile(path) as file:
            arrow = file.read()
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise DataError(f"cannot read {path} as Parquet ({reason}); download it again") from error
    refuse_repeated(path, arrow.column_names)
    if not len(arrow):
        raise DataError(f"{path} has columns but no rows; download it again")
    name = _image_column(path, arrow.schema)
    column = arrow.column(name)
    if _holds_struct(column.type):
        column = compute.struct_field(column, "bytes")
    frame = arrow.drop_columns([name]).to_pandas(ignore_metadata=True)  # no column as the index
    for label, names in _class_names(path, arrow.schema.metadata).items():
        if label in frame:
            named = dict(enumerate(names))
            frame[label] = frame[label].map(named)  # the Hub marks an unknown class with -1
    return Table(str(path), frame, {}), EncodedImages(_Column(str(path), column), str(path))


def read_shards(
    folder: Path, target: str | None = None, groups: Sequence[str] = (), split: str | None = None
) -> ImageSet:
    """Read the Parquet files of a folder, or of its ``data``, as one data set.

    Files named after a part, such as ``train-00000-of-00002.parquet`` or ``test.parquet``, are that
    part, unless a column is named in ``split``.

    Raises
    ------
    DataError
        As for one file; and if there is none, a shard is missing, or some files name their part but
        others do not.
    """
    paths = shards(folder)
    if not paths:
        raise DataError(f"{folder} has no Parquet file; check the folder")
    _refuse_missing(paths)
    sets = []
    for path in paths:
        part = part_of_word(_stem(path)) if split is None else None
        found = read_parquet(path, target, groups, split)
        sets.append(
            found if part is None else replace(found, split=as_objects([part] * len(found)))
        )
    return join_sets(str(folder), sets)


def shards(folder: Path) -> list[Path]:
    """The Parquet files of a folder, or else those of the folder ``data`` in it, by name."""
    here = sorted(folder.glob("*.parquet"))
    return here or sorted((folder / _DATA).glob("*.parquet"))


def has_image_column(path: Path) -> bool:
    """Whether a Parquet file has a column of images; only the schema is read.

    False also if the file is damaged: who reads it as a table will say so.
    """
    parquet = need("pyarrow.parquet", "cli", f"reading {path}")
    try:
        return bool(_image_columns(parquet.read_schema(path)))
    except _DAMAGE:
        return False


@dataclass(frozen=True, eq=False)
class _Column:
    """A binary Arrow column as a sequence of bytes, none of which is copied before it is asked."""

    source: str
    values: Any

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, position: int, /) -> bytes:
        value = self.values[position].as_py()
        if not isinstance(value, bytes):
            raise DataError(
                f"image {position} of {self.source} has no bytes; save the data set with its "
                "images embedded"
            )
        return value


def _image_columns(schema: Any) -> list[str]:
    structs = [field.name for field in schema if _holds_struct(field.type)]
    return structs or [field.name for field in schema if _is_binary(field.type)]


def _image_column(path: Path, schema: Any) -> str:
    found = _image_columns(schema)
    if len(found) > 1:
        found = [name for name in _IMAGE_NAMES if name in found] or found
    if not found:
        raise DataError(
            f"{path} has no column of images (a struct with bytes, or binary); it has "
            f"{listing(schema.names)}"
        )
    if len(found) > 1 and found[0] not in _IMAGE_NAMES:
        raise DataError(
            f"{path} has several columns of images, {listing(found)}; name the one that is meant "
            "'image'"
        )
    return found[0]


def _holds_struct(kind: Any) -> bool:
    types = need("pyarrow", "cli", "reading Parquet").types
    if not types.is_struct(kind):
        return False
    place = kind.get_field_index("bytes")
    return place >= 0 and _is_binary(kind.field(place).type)


def _is_binary(kind: Any) -> bool:
    types = need("pyarrow", "cli", "reading Parquet").types
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _class_names(path: Path, metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of integer classes, by column, from what the Hub's ``datasets`` writes."""
    text = (metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        features = json.loads(text)["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"the huggingface metadata of {path} are damaged ({error}); save the file again"
        ) from error


def _stem(path: Path) -> str:
    shard = _SHARD.fullmatch(path.stem)
    return shard["stem"] if shard else path.stem


def _refuse_missing(paths: Sequence[Path]) -> None:
    there = {path.name for path in paths}
    for path in paths:
        shard = _SHARD.fullmatch(path.stem)
        if shard is None or shard[4]:  # a hash in the names hides those of the other shards
            continue
        for number in range(int(shard["total"])):
            name = f"{shard['stem']}-{number:05d}-of-{shard['total']}.parquet"
            if name not in there:
                raise DataError(f"{path.parent} has no {name}; put it beside the other shards")
