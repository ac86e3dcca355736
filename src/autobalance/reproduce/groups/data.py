"""Fixed features of the Waterbirds images, in their official parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray

from autobalance.counts import Counts
from autobalance.data.images.waterbirds import BIRDS, PLACES
from autobalance.data.splits import part_of_value
from autobalance.data.tables import Table, read_table
from autobalance.data.wording import listing
from autobalance.errors import DataError
from autobalance.reproduce.sealed import Sealed

WATERBIRDS = "waterbirds"
_PREFIX, _SUFFIX = "features_", ".npz"
_FEATURES, _PLACE, _SPLIT = "features", "place", "split"
_BIRD = ("y", "target")
_OFFICIAL: Mapping[str, int] = MappingProxyType({"train": 4795, "validation": 1199, "test": 5794})


@dataclass(frozen=True, eq=False)
class Part:
    """Features with codes of class and group."""

    features: Float[ndarray, "N D"]
    y: Int[ndarray, "N"]
    g: Int[ndarray, "N"]


@dataclass(frozen=True, eq=False)
class GroupedFeatures:
    """What is trained on, and what is scored.

    Parameters
    ----------
    backbone
        The network behind the features.
    train
        The official training part.
    counts
        Of the training part.
    test
        The part that is scored, sealed.
    digest
        Of features, labels and parts.
    deviations
        In what the data are not the paper's.
    """

    backbone: str
    train: Part
    counts: Counts
    test: Sealed
    digest: str
    deviations: tuple[str, ...]


def read_features(data_dir: Path, scored: str = "test") -> GroupedFeatures:
    """Read ``waterbirds/features_BACKBONE.npz``.

    Its arrays are ``features``, ``y`` (or ``target``), ``place`` and ``split``, as ``autobalance
    embed`` writes them for the images of Waterbirds.

    Parameters
    ----------
    data_dir
        The folder that holds the folder ``waterbirds``.
    scored
        The part to score: ``"test"``, or ``"validation"`` while something is developed.

    Raises
    ------
    DataError
        If the file is missing, damaged, holds other labels than those of Waterbirds, or lacks a
        part; the message names it.
    """
    path = _file(data_dir / WATERBIRDS)
    table = read_table(path, features=_FEATURES, required=(_PLACE, _SPLIT), optional=_BIRD)
    bird = next((name for name in _BIRD if name in table.names), None)
    if bird is None:
        raise DataError(f"{path} has no array 'y' or 'target' of the birds; make it again")
    with np.errstate(over="ignore"):  # what float32 cannot hold is not finite, which is checked
        features = table.vectors[_FEATURES].astype(np.float32)
    if not np.isfinite(features).all():
        raise DataError(f"{path} holds features that are not finite; make it again")
    y, g = _codes(table, bird, BIRDS), _codes(table, _PLACE, PLACES)
    split = _parts(table)
    parts = {}
    for name in _OFFICIAL:
        rows = split == name
        parts[name] = Part(features[rows], y[rows], g[rows])
    for name in ("train", scored):
        seen = np.bincount(2 * parts[name].y + parts[name].g, minlength=4)
        if not seen.all():
            raise DataError(
                f"the {name} part of {path} lacks birds of some kind in some place; make it again "
                "from all images"
            )
    train, test = parts["train"], parts[scored]
    counts = Counts.from_codes(train.y, train.g, tuple(BIRDS.values()), tuple(PLACES.values()))
    backbone = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return GroupedFeatures(
        backbone,
        train,
        counts,
        Sealed(test.features, test.y, test.g, (2, 2)),
        _digest(features, y, g, split),
        (
            f"fixed features of {backbone}, {features.shape[1]} numbers an image, where the paper "
            "has 512 of a ResNet-18",
            *_other_sizes({name: len(part.y) for name, part in parts.items()}),
        ),
    )


def feature_files(folder: Path) -> list[Path]:
    """The files of features in a folder, by their names."""
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")) if folder.is_dir() else []


def _file(folder: Path) -> Path:
    found = feature_files(folder)
    if not found:
        raise DataError(
            f"there is no {folder / (_PREFIX + 'BACKBONE' + _SUFFIX)}; make it from the images "
            f"with autobalance embed {folder} --backbone resnet18 --target y --group place "
            f"--split split --out {folder / (_PREFIX + 'resnet18' + _SUFFIX)}"
        )
    if len(found) > 1:
        raise DataError(
            f"{folder} holds features of several backbones, {listing([p.name for p in found])}; "
            "leave one there"
        )
    return found[0]


def _digest(*arrays: ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update((array.astype(str) if array.dtype == object else array).tobytes())
    return digest.hexdigest()[:16]


def _codes(table: Table, column: str, names: Mapping[int, str]) -> Int[ndarray, "N"]:
    """Codes of a column that holds codes or names."""
    codes = {name: code for code, name in names.items()} | {str(c): c for c in names}
    values = table.column(column).astype(str).str.removesuffix(".0")
    unknown = sorted(set(values) - set(codes))
    if unknown:
        raise DataError(
            f"array {column!r} of {table.source} holds {listing(unknown)} where Waterbirds has "
            f"{', '.join(f'{code} ({name})' for code, name in names.items())}; make it again"
        )
    return values.map(codes).to_numpy(dtype=np.int64)


def _parts(table: Table) -> ndarray:
    words = table.column(_SPLIT).astype(str).str.removesuffix(".0")
    parts = words.map({word: part_of_value(word) for word in set(words)})
    if parts.isna().any():
        unknown = sorted(set(words[pd.isna(parts)]))
        raise DataError(
            f"array {_SPLIT!r} of {table.source} holds {listing(unknown)}; use train, validation "
            "and test, or 0, 1 and 2"
        )
    return np.asarray(parts)


def _other_sizes(sizes: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        f"{sizes[name]:,} {name} images where the official part has {official:,}"
        for name, official in _OFFICIAL.items()
        if sizes[name] != official
    )
