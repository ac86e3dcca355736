"""Tiny images, and what writes them."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """An image of one colour, encoded without loss."""

    def encode(colour=(10, 20, 30), size=(4, 4), mode="RGB", form="PNG") -> bytes:
        stream = io.BytesIO()
        Image.new(mode, size[::-1], colour).save(stream, form)
        return stream.getvalue()

    return encode


@pytest.fixture
def plant(png) -> Callable[..., Path]:
    """Writes an image file of one colour, and the folders above it."""

    def write(path: Path, colour=(10, 20, 30), **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(colour, **options))
        return path

    return write


@pytest.fixture(scope="session")
def first_pixel() -> Callable[..., list[list[int]]]:
    """The corner of every image: what tells images of one colour apart."""

    def corners(images) -> list[list[int]]:
        return [images[position][:, 0, 0].tolist() for position in range(len(images))]

    return corners


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """Random pixels of a shape."""
    return lambda *shape: np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="session")
def parquet() -> Callable[..., Path]:
    """Writes encoded images and further columns as the Hub does."""

    def write(path: Path, images, features=None, column="image", **columns) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = [{"bytes": image, "path": None} for image in images]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({column: pa.array(cells, kind), **columns})
        if features is not None:
            note = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": note})
        pq.write_table(table, path)
        return path

    return write
