"""Training state that survives a kill at any moment, in files that hold no code.

A checkpoint is a SHA-256 digest and then a safetensors file, whose metadata says how its tensors
and the plain values between them are nested. It is whole, or it is passed over.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from autobalance.errors import ArtifactError
from autobalance.storage import DAMAGED, read_json, temporary_name, write_bytes_atomically

FORMAT = "autobalance-checkpoint"
VERSION = 1

_DIGEST_SIZE = hashlib.sha256().digest_size
_METADATA_KEY = "checkpoint"
_DTYPES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_NAME = re.compile(r"checkpoint-([0-9]{6}|[1-9][0-9]{6,})\.checkpoint")

_Arrays = dict[str, UInt8[ndarray, "_"]]


def encode_state(state: Any) -> bytes:
    """Encode a training state.

    Parameters
    ----------
    state
        Dicts (with keys that are text or whole numbers), lists and tuples of dense tensors, numbers
        (NaN and infinities too), truth values, text and ``None``, nested in any way. A subclass,
        such as an ``OrderedDict``, comes back as the plain type.

    Raises
    ------
    TypeError
        If a value is none of these; the message holds its path in the state.
    """
    arrays: _Arrays = {}
    document = {"format": FORMAT, "version": VERSION, "state": _pack(state, "state", arrays)}
    payload = safetensors.numpy.save(arrays, metadata={_METADATA_KEY: json.dumps(document)})
    return hashlib.sha256(payload).digest() + payload


def decode_state(data: bytes) -> Any:
    """Decode a training state; its tensors are on the CPU, bit for bit what they were.

    Raises
    ------
    ArtifactError
        If the bytes are damaged, something else, or newer than this version.
    """
    digest, payload = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    if hashlib.sha256(payload).digest() != digest:
        raise ArtifactError(
            "the checkpoint is damaged (its digest does not fit its content); restore the file"
        )
    try:
        # safetensors reads the metadata of files only, and not of bytes
        header_size = int.from_bytes(payload[:8], "little")
        text = json.loads(payload[8 : 8 + header_size])["__metadata__"][_METADATA_KEY]
        arrays = safetensors.numpy.load(payload)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        # an error's repr may hold the whole file
        reason = f"{type(error).__name__}: {error}"
        raise ArtifactError(f"the file is not a checkpoint ({reason}); check the path") from error
    document = read_json(text, "the checkpoint", FORMAT, VERSION, ArtifactError)
    try:
        return _unpack(document["state"], arrays)
    except (*DAMAGED, RuntimeError) as error:
        raise ArtifactError(
            f"the checkpoint holds no valid state ({error!r}); restore the file"
        ) from error


def _pack(value: Any, path: str, arrays: _Arrays) -> Any:
    """``value`` as JSON, in which an object names a kind that JSON lacks; tensors go to arrays."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{path}[{index}]", arrays) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        pairs = [
            [_checked_key(key, path), _pack(item, f"{path}[{key!r}]", arrays)]
            for key, item in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, Tensor) and value.layout is torch.strided:
        name = str(len(arrays))
        plain = torch.empty(value.shape, dtype=value.dtype, device="cpu").copy_(value.detach())
        arrays[name] = _memory(plain)
        return {"tensor": [name, str(value.dtype), list(value.shape)]}
    raise TypeError(
        f"{path} is a {type(value).__name__} that a checkpoint cannot hold; "
        "use dense tensors, numbers, text, None, and dicts, lists or tuples of them"
    )


def _checked_key(key: Any, path: str) -> str | int:
    if isinstance(key, str | int):
        return key
    raise TypeError(f"{path} has the key {key!r}; use text or whole numbers as keys")


def _memory(tensor: Tensor) -> UInt8[ndarray, "_"]:
    """The memory of a contiguous tensor, as bytes because NumPy has not every dtype."""
    return tensor.reshape(-1).view(torch.uint8).numpy()


def _unpack(node: Any, arrays: _Arrays) -> Any:
    if isinstance(node, list):
        return [_unpack(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    match kind:
        case "float":
            return float(content)
        case "tuple":
            return tuple(_unpack(item, arrays) for item in content)
        case "dict":
            return {_checked_key(key, "a dict"): _unpack(item, arrays) for key, item in content}
        case "tensor":
            name, dtype, shape = content
            if math.prod(shape) * _DTYPES[dtype].itemsize != arrays[name].nbytes:
                raise ValueError(f"tensor {name} does not fit its shape {shape}")  # nor the memory
            tensor = torch.empty(shape, dtype=_DTYPES[dtype], device="cpu")
            _memory(tensor)[:] = arrays[name]
            return tensor
    raise ValueError(f"{kind!r} is no kind of value")


@dataclass(frozen=True)
class Checkpoints:
    """The numbered checkpoints of one training run, in a folder.

    Parameters
    ----------
    folder
        Where they lie; made as needed. No two processes may save into it at the same time.
    keep
        How many of the newest stay. The default of 2 leaves one to fall back on if the disk
        damages the newest.
    """

    folder: Path
    keep: int = 2

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"keep is {self.keep}; keep at least one checkpoint")

    def save(self, number: int, state: Any) -> None:
        """Save ``state`` under ``number``, and only then delete what it supersedes.

        These are the checkpoints beyond ``keep``, and those with higher numbers: whoever saves
        below them has gone back, so that the newest is always what was saved last.

        Parameters
        ----------
        number
            How far training is, such as the epochs done; not negative.
        state
            See :func:`encode_state`.

        Raises
        ------
        ArtifactError
            If the folder cannot be written; the checkpoints so far are as they were.
        TypeError
            If the state holds something that a checkpoint cannot.
        """
        if number < 0:
            raise ValueError(f"the checkpoint's number is {number}; use one that is not negative")
        data = encode_state(state)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(
                f"cannot make the folder {self.folder} ({error.strerror}); "
                "choose one with space and permission"
            ) from error
        for path in self._temporaries():  # first: they may fill the disk
            with suppress(OSError):
                path.unlink()
        write_bytes_atomically(self.folder / f"checkpoint-{number:06d}.checkpoint", data)
        files = self._files()
        left_behind = [other for other in files if other > number]
        outdated = [other for other in files if other <= number][: -self.keep]
        for other in left_behind + outdated:
            with suppress(OSError):  # the next save tries again
                files[other].unlink()

    def load(self) -> tuple[int, Any] | None:
        """Load the newest checkpoint that is whole: its number and its state.

        A damaged one is passed over with a warning. Without any checkpoint, this is ``None``.

        Raises
        ------
        ArtifactError
            If there are checkpoints but none can be read, or the folder cannot be.
        """
        problems: list[str] = []
        for number, path in reversed(self._files().items()):
            try:
                state = decode_state(path.read_bytes())
            except OSError as error:  # an ArtifactError is one too
                problems.append(f"{path.name}: {error}")
                continue
            if problems:
                warnings.warn(
                    f"training continues from checkpoint {number} in {self.folder}, since newer "
                    f"ones cannot be read ({'; '.join(problems)})",
                    stacklevel=2,
                )
            return number, state
        if problems:
            raise ArtifactError(
                f"no checkpoint in {self.folder} can be read ({'; '.join(problems)}); "
                "remove the folder to start over"
            )
        return None

    def clear(self) -> None:
        """Delete the checkpoints, and the folder if nothing else is in it.

        Raises
        ------
        ArtifactError
            If one cannot be deleted.
        """
        # The oldest go first: if this is cut short, the newest still counts.
        for path in [*self._temporaries(), *self._files().values()]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise ArtifactError(
                    f"cannot delete {path} ({error.strerror}); delete it yourself"
                ) from error
        with suppress(OSError):
            self.folder.rmdir()

    def _files(self) -> dict[int, Path]:
        """Our files by number, the oldest first."""
        try:
            matches = [(_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ArtifactError(
                f"cannot read the folder {self.folder} ({error.strerror}); "
                "choose another, or check its permissions"
            ) from error
        return dict(sorted((int(match[1]), path) for match, path in matches if match))

    def _temporaries(self) -> list[Path]:
        """What killed processes left half-written."""
        return list(self.folder.glob(temporary_name("checkpoint-*.checkpoint", "*")))


def rng_state() -> dict[str, Any]:
    """The state of every global random generator, as :func:`encode_state` takes it.

    These are PyTorch's on the CPU and on each GPU, NumPy's legacy generator and Python's.
    """
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    name, keys, *rest = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "python": random.getstate(),
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Put every global random generator into the ``state`` that :func:`rng_state` gave.

    On a machine with fewer GPUs, those that are missing are left out.
    """
    torch.set_rng_state(state["torch"])
    for device, cuda_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(cuda_state, device)
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy(), *rest))  # noqa: NPY002
    random.setstate(state["python"])
