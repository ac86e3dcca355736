"""Features of a user's images in a file that the other commands read as a table."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Shaped
from numpy import ndarray

from autobalance.data.images.image_set import ImageSet
from autobalance.data.images.read import read_images
from autobalance.data.images.unlabelled import read_unlabelled
from autobalance.data.wording import listing
from autobalance.embedding import embed
from autobalance.errors import ArtifactError, DataError
from autobalance.labels import as_label, label_text
from autobalance.models.backbones import DEFAULT, backbone
from autobalance.models.imported import told
from autobalance.runs.image_columns import ImageColumns
from autobalance.runs.watch import Watch
from autobalance.storage import write_bytes_atomically
from autobalance.training.pipeline import default_device

FEATURES, TARGET, SPLIT = "features", "target", "split"
"""Keys of the arrays; each group column keeps its name."""
_SUFFIX = ".npz"


@dataclass(frozen=True)
class EmbedRequest:
    """What to make features with.

    Parameters
    ----------
    columns
        Which column beside the images plays which role.
    backbone, weights
        As in :func:`~autobalance.models.backbones.backbone`.
    size, batch_size
        As in :func:`~autobalance.embedding.embed`.
    device
        Where the backbone computes; by default on a GPU if there is one.

    Raises
    ------
    DataError
        If a group column has the name of an array.
    """

    columns: ImageColumns
    backbone: str
    weights: str | Path = DEFAULT
    size: int = 224
    batch_size: int = 64
    device: str | None = None

    def __post_init__(self) -> None:
        for name in self.columns.groups:
            if name in (FEATURES, TARGET, SPLIT):
                raise DataError(
                    f"group column {name!r} has the name of another array of the file to write; "
                    "rename the column"
                )


def embed_images(
    path: Path, request: EmbedRequest, watch: Watch
) -> dict[str, Shaped[ndarray, "N *_"]]:
    """Features of the images at ``path``, beside the labels that are known of them.

    Parameters
    ----------
    path
        Images in any form that :func:`~autobalance.data.images.read.read_images` knows. Where
        nothing says what they show, and no column is named, they have no target: predictions need
        none.
    request
        What to make features with.
    watch
        Hears what is being done.

    Returns
    -------
    dict
        ``features`` of shape (N, D), float32; ``target``, a column for each named group, and
        ``split``, each of shape (N,), as far as they are known. Labels that are not all whole
        numbers are text.

    Raises
    ------
    DataError
        If the images, the backbone, its weights or the device cannot be used.
    """
    watch.stage(f"Reading {path.name}")
    images, labels = _read(path, request.columns, watch)
    device = _usable(request.device)
    watch.stage(f"Loading {request.backbone}")
    network = backbone(request.backbone, request.weights)
    features = embed(
        images.images,
        network,
        size=request.size,
        batch_size=request.batch_size,
        device=device,
        progress=lambda share: watch.stage("Embedding images", share),
    )
    return {FEATURES: features, **labels}


def write_embeddings(path: Path, request: EmbedRequest, out: Path, watch: Watch) -> list[str]:
    """Write what :func:`embed_images` gives into a new ``.npz`` file, whole or not at all.

    Returns
    -------
    list
        The names of the arrays.

    Raises
    ------
    ArtifactError
        If the file cannot be written; what can be seen of that is told before the work begins.
    DataError
        If it has another suffix, or as in :func:`embed_images`.
    """
    if out.suffix.lower() != _SUFFIX:
        raise DataError(f"embeddings cannot be written as {out.name}; name a file {_SUFFIX}")
    if out.is_dir() or not out.parent.is_dir():
        problem = "is a folder" if out.is_dir() else "would be in a folder that does not exist"
        raise ArtifactError(f"cannot write {out}, which {problem}; name another file")
    arrays = embed_images(path, request, watch)
    write_bytes_atomically(out, _archive(arrays))
    count, width = arrays[FEATURES].shape
    watch.say(
        f"{count:,} images of {width:,} features each; the arrays are {listing(arrays.keys())}"
    )
    return list(arrays)


def _archive(arrays: Mapping[str, Shaped[ndarray, "*_"]]) -> bytes:
    """What ``np.savez`` would write, which takes no array named ``file``."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
    return stream.getvalue()


def _read(
    path: Path, columns: ImageColumns, watch: Watch
) -> tuple[ImageSet, dict[str, Shaped[ndarray, "N"]]]:
    try:
        images = read_images(path, columns.target, columns.groups, columns.split)
    except DataError as error:
        if columns != ImageColumns():
            raise
        images = read_unlabelled(path)
        watch.say(f"The images get no target, which predictions do not need: {error}")
        return images, {}
    rows = columns.rows(images)
    arrays = {TARGET: _plain(rows.target)}
    if rows.groups is not None:
        arrays |= {str(name): _plain(rows.groups[name]) for name in rows.groups}
    if rows.split is not None:
        arrays[SPLIT] = _plain(rows.split)
    return images, arrays


def _plain(labels: pd.Series[Any]) -> Shaped[ndarray, "N"]:
    """Labels as an array that needs no pickle: whole numbers, or text."""
    values = [as_label(label) for label in labels]
    if all(type(value) is int for value in values):
        return np.array(values)
    return np.array([label_text(value) for value in values])


def _usable(name: str | None) -> torch.device:
    try:
        device = default_device(name)
        torch.zeros(1, device=device).cpu()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"device {name!r} cannot be used ({told(error).partition('. ')[0]}); use cpu or, with "
            "a GPU and a PyTorch built for it, cuda"
        ) from error
    return device
