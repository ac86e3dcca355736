"""CIFAR-10 and CIFAR-100 as their authors publish them, binary or for Python, packed or not."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from autobalance.data.images.cifar_pickle import batch_from_pickle, names_from_pickle
from autobalance.data.images.image_set import ImageSet, as_objects
from autobalance.data.images.sources import PixelArray
from autobalance.errors import DataError

_PIXELS = 3 * 32 * 32


def _batch_from_bytes(
    data: bytes, where: str, labels: str
) -> tuple[UInt8[ndarray, "N"], UInt8[ndarray, "N 3072"]]:
    """Records of one label byte, after a byte for the superclass in CIFAR-100, and the pixels."""
    label_bytes = 2 if labels == "fine_labels" else 1
    width = label_bytes + _PIXELS
    if not data or len(data) % width:
        raise DataError(
            f"{where} has {len(data):,} bytes, which is no multiple of the {width:,} of an image; "
            "download it again"
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)
    return records[:, label_bytes - 1], records[:, label_bytes:]


def _names_from_text(data: bytes, where: str, labels: str) -> list[str]:
    """One name a line; ``where`` and ``labels`` are what the reader of pickles needs."""
    return data.decode("utf-8", errors="replace").split()


@dataclass(frozen=True)
class _Layout:
    """One form of a data set: the archive, the folder in it and that folder's files.

    ``labels`` is the key of the labels in the pickles, which also tells the two data sets apart.
    """

    archive: str
    inner: str
    train: tuple[str, ...]
    test: str
    names: str
    labels: str
    batch: Callable[[bytes, str, str], tuple[ndarray, ndarray]]
    class_names: Callable[[bytes, str, str], list[str]]

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test, self.names)

    def find(self, folder: Path) -> Path | None:
        """The archive, or the folder that holds its files, if either is in ``folder``."""
        for place in (folder / self.inner, folder):
            if any((place / name).is_file() for name in self.files):
                return place
        return folder / self.archive if (folder / self.archive).is_file() else None


_TEN = tuple(f"data_batch_{number}" for number in range(1, 6))
_CIFAR10 = (
    _Layout(
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        tuple(f"{name}.bin" for name in _TEN),
        "test_batch.bin",
        "batches.meta.txt",
        "labels",
        _batch_from_bytes,
        _names_from_text,
    ),
    _Layout(
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        _TEN,
        "test_batch",
        "batches.meta",
        "labels",
        batch_from_pickle,
        names_from_pickle,
    ),
)
_CIFAR100 = (
    _Layout(
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        ("train.bin",),
        "test.bin",
        "fine_label_names.txt",
        "fine_labels",
        _batch_from_bytes,
        _names_from_text,
    ),
    _Layout(
        "cifar-100-python.tar.gz",
        "cifar-100-python",
        ("train",),
        "test",
        "meta",
        "fine_labels",
        batch_from_pickle,
        names_from_pickle,
    ),
)


def holds_cifar10(folder: Path) -> bool:
    """Whether a folder holds an archive of CIFAR-10, or any file of one."""
    return any(layout.find(folder) for layout in _CIFAR10)


def holds_cifar100(folder: Path) -> bool:
    """Whether a folder holds an archive of CIFAR-100, or any file of one."""
    return any(layout.find(folder) for layout in _CIFAR100)


def read_cifar10(folder: Path) -> ImageSet:
    """Read CIFAR-10: 32 × 32 RGB images of 10 classes, whose targets are their names.

    ``folder`` holds ``cifar-10-binary.tar.gz`` or ``cifar-10-python.tar.gz`` from
    https://www.cs.toronto.edu/~kriz/cifar.html, or what is in them. The binary form is preferred:
    the other one is a pickle, of which nothing but arrays, lists and text is let through.

    Raises
    ------
    DataError
        If no form is there, a file is missing or damaged, or a pickle asks for anything else.
    """
    return _read(folder, _CIFAR10)


def read_cifar100(folder: Path) -> ImageSet:
    """Read CIFAR-100 with its 100 fine classes; the files are as :func:`read_cifar10` says."""
    return _read(folder, _CIFAR100)


def _read(folder: Path, layouts: Sequence[_Layout]) -> ImageSet:
    found = ((layout, layout.find(folder)) for layout in layouts)
    layout, place = next(((form, path) for form, path in found if path), (layouts[0], None))
    if place is None:
        archives = " or ".join(form.archive for form in layouts)
        raise DataError(f"{folder} has no {archives}; put one of them there")
    files = _unpacked(place, layout) if place.is_dir() else _packed(place, layout)
    names = layout.class_names(files[layout.names], str(place / layout.names), layout.labels)
    codes, images, split = [], [], []
    for name in (*layout.train, layout.test):
        labels, values = layout.batch(files[name], str(place / name), layout.labels)
        if labels.max() >= len(names):
            raise DataError(
                f"{place / name} has a class {labels.max()} but {layout.names} names "
                f"{len(names)} classes; download the data set again"
            )
        codes.append(labels)
        images.append(values)
        split += ["test" if name == layout.test else "train"] * len(labels)
    return ImageSet(
        str(place),
        PixelArray(np.concatenate(images).reshape(-1, 3, 32, 32)),
        as_objects([names[code] for code in np.concatenate(codes).tolist()]),
        split=as_objects(split),
    )


def _unpacked(place: Path, layout: _Layout) -> dict[str, bytes]:
    files = {}
    for name in layout.files:
        try:
            files[name] = (place / name).read_bytes()
        except FileNotFoundError as error:
            raise DataError(f"{place} has no {name}; unpack {layout.archive} again") from error
        except OSError as error:
            raise DataError(
                f"cannot read {place / name} ({error.strerror}); unpack {layout.archive} again"
            ) from error
    return files


def _packed(place: Path, layout: _Layout) -> dict[str, bytes]:
    members = {f"{layout.inner}/{name}": name for name in layout.files}
    files = {}
    try:
        with gzip.open(place) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if member.name in members and content is not None:
                    files[members[member.name]] = content.read()
            stream.read()  # to the end, where the checksum is
    except (EOFError, OSError, tarfile.TarError, ValueError, zlib.error) as error:
        raise DataError(f"cannot read {place} ({error}); download it again") from error
    for name in layout.files:
        if name not in files:
            raise DataError(f"{place} has no {layout.inner}/{name} in it; download it again")
    return files
