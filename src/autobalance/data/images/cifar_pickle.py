"""The pickles of CIFAR, read without trusting them.

A pickle is a program that names what to call. Here it may name four things, those that a pickled
array of bytes needs, and gets stand-ins for them that only remember what they are given: no code
runs on the contents of the file, not even NumPy's.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, TypeGuard

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from autobalance.errors import DataError

_PIXELS = 3 * 32 * 32


class _Array:
    """What stands in for an array: the arguments of its ``__setstate__``."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type:
    """What stands in for an array's type."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, which single bytes do not need."""


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: Any, *_: Any) -> bytes:
    """How Python 3 pickles bytes for Python 2: as text in Latin-1."""
    if not isinstance(text, str):
        raise pickle.UnpicklingError(f"it encodes a {type(text).__name__}")
    return text.encode("latin-1")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in; anything else is refused before it is even imported."""
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _STAND_INS[module, name]


def batch_from_pickle(
    data: bytes, where: str, labels: str
) -> tuple[UInt8[ndarray, "N"], UInt8[ndarray, "N 3072"]]:
    """Class codes and pixels of a batch.

    Parameters
    ----------
    data
        The pickle: a dictionary with ``data``, an array of bytes (N, 3072), and the labels.
    where
        How errors name the file.
    labels
        The key of the labels, a list of N numbers from 0 to 255.

    Raises
    ------
    DataError
        If the file is damaged, holds anything else, or asks for anything but an array.
    """
    batch = _dictionary(data, where)
    values = _pixels(batch.get("data"))
    codes = batch.get(labels)
    if values is None or not _are_codes(codes) or len(codes) != len(values):
        raise DataError(
            f"{where} does not hold images of 32 x 32 pixels under 'data' and one number for each "
            f"under {labels!r}; download it again"
        )
    return np.array(codes, dtype=np.uint8), values


def names_from_pickle(data: bytes, where: str, labels: str) -> list[str]:
    """Class names, ``label_names`` or ``fine_label_names``; raises as the other reader does."""
    key = labels.removesuffix("s") + "_names"
    names = _dictionary(data, where).get(key)
    if not isinstance(names, list) or not all(isinstance(name, (str, bytes)) for name in names):
        raise DataError(f"{where} has no list of names under {key!r}; download it again")
    return [_text(name) for name in names]


def _dictionary(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # damaged pickles fail in any way
        raise DataError(
            f"{where} is damaged or no pickle of CIFAR ({error}); download it again from its "
            "authors, best in the binary version"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{where} holds no dictionary; download it again")
    return {_text(key): value for key, value in found.items() if isinstance(key, (str, bytes))}


def _pixels(array: Any) -> UInt8[ndarray, "N 3072"] | None:
    """The array in a stand-in, if it is one of images of 3072 bytes."""
    state = getattr(array, "state", None)
    if not isinstance(array, _Array) or not isinstance(state, tuple) or len(state) != 5:
        return None
    _, shape, kind, by_columns, raw = state
    expected = isinstance(kind, _Type) and kind.code in ("u1", b"u1", "uint8", b"uint8")
    if not expected or by_columns or not isinstance(raw, bytes) or not raw:
        return None
    rows, rest = divmod(len(raw), _PIXELS)
    if rest or shape != (rows, _PIXELS):
        return None
    return np.frombuffer(raw, dtype=np.uint8).reshape(rows, _PIXELS)


def _are_codes(codes: Any) -> TypeGuard[list[int]]:
    return isinstance(codes, list) and all(
        type(code) is int and 0 <= code <= np.iinfo(np.uint8).max for code in codes
    )


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", errors="replace")
