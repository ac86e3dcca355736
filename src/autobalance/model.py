"""A trained classifier, as plain arrays and as two files that hold no code.

``model.json`` says what the model is; ``model.safetensors`` holds its numbers. Neither can run
anything when it is read.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.numpy
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.special import softmax

from autobalance.calibration import Calibration
from autobalance.errors import ArtifactError
from autobalance.labels import Label, label_from_json, label_to_json
from autobalance.storage import (
    DAMAGED,
    read_json,
    read_text,
    write_bytes_atomically,
    write_text_atomically,
)

FORMAT = "autobalance-model"
VERSION = 3
"""The newest that is read. A linear head is written as version 1 and a network on features as
version 2, which older releases read too; 3 is a network on images."""
JSON_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
_MOST = 2**31  # features or pixels: more is damage

Tensors = dict[str, ndarray]
_ROWS = 4096  # converted to float64 at a time


class Model(ABC):
    """Logits of features, or of images; the largest decides.

    Attributes
    ----------
    classes
        K labels, in the order of the logits.
    temperature
        Divides the logits in probabilities, fitted on held-out examples; decisions do not change.
    calibration
        For probabilities under a stated prior; ``None`` in models of before there were any.
    """

    classes: tuple[Label, ...]
    temperature: float
    calibration: Calibration | None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: (D,) of features, (C, H, W) of images."""

    @property
    def version(self) -> int:
        """Of its files."""
        return 1

    @abstractmethod
    def logits(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Plain logits of features of shape (N, D), or of images (N, C, H, W) of uint8."""

    @abstractmethod
    def shifted(self, bias: Float[ndarray, "K"]) -> Model:
        """The model with a constant added to each class's logit."""

    def with_calibration(
        self, temperature: float | None = None, calibration: Calibration | None = None
    ) -> Model:
        """The model with what is given here in place of its own."""
        given = {"temperature": temperature, "calibration": calibration}
        changes = {name: value for name, value in given.items() if value is not None}
        changed: Model = replace(cast(Any, self), **changes)  # every model is a dataclass
        return changed

    @abstractmethod
    def parts(self) -> tuple[dict[str, Any], Tensors]:
        """What the two files hold: plain values for JSON, and arrays."""

    def predict(self, features: ndarray) -> Integer[ndarray, "N"]:
        """Class codes in [0, K)."""
        return np.asarray(self.logits(features).argmax(axis=1))

    def probabilities(self, features: ndarray, prior: Any = None) -> Float[ndarray, "N K"]:
        """Probabilities of the classes.

        Parameters
        ----------
        features
            As :meth:`logits` takes them.
        prior
            How often the classes occur where the probabilities will be used: ``"train"`` as in the
            training data, ``"balanced"`` equally often, or K shares. With ``None`` (default) they
            are the softmax of the logits over the temperature: the largest is the prediction, and
            they refer to the class shares that the objective weighs by, for a balanced objective
            to classes that are equally likely.

        Raises
        ------
        DataError
            If the prior is none of these.
        ArtifactError
            If a prior is given and the model is too old to have a calibration.
        """
        logits = self.logits(features)
        if prior is None:
            return np.asarray(softmax(logits / self.temperature, axis=1))
        if self.calibration is None:
            raise ArtifactError(
                "the model was saved before AutoBalance calibrated for a prior; fit it again, or "
                "leave the prior out"
            )
        return self.calibration.probabilities(logits, prior)

    def write(self, folder: Path, extra: Mapping[str, Any]) -> None:
        """Write both files into ``folder``, with ``extra`` (plain JSON values) beside the model.

        Raises
        ------
        ArtifactError
            If the folder cannot be written.
        """
        values, tensors = self.parts()
        document = {
            "format": FORMAT,
            "version": self.version,
            **values,
            "classes": [label_to_json(label) for label in self.classes],
            **({"features": self.shape[0]} if len(self.shape) == 1 else {"shape": self.shape}),
            "temperature": self.temperature,
            "calibration": None if self.calibration is None else self.calibration.to_state(),
            "extra": dict(extra),
        }
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_text_atomically(folder / JSON_FILE, text)
        arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        write_bytes_atomically(folder / WEIGHTS_FILE, safetensors.numpy.save(arrays))


@dataclass(frozen=True, eq=False)
class LinearModel(Model):
    """Logits ``x @ coef.T + intercept``.

    Parameters
    ----------
    classes
        K labels, in the order of the logits.
    coef, intercept
        Shapes (K, D) and (K,), for the features as they are handed in.
    temperature, calibration
        As in :class:`Model`.
    """

    classes: tuple[Label, ...]
    coef: Float[ndarray, "K D"]
    intercept: Float[ndarray, "K"]
    temperature: float = 1.0
    calibration: Calibration | None = None

    @property
    def shape(self) -> tuple[int]:
        """(D,)."""
        return (int(self.coef.shape[1]),)

    def logits(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Plain logits of features of shape (N, D)."""
        features = np.asarray(features)
        logits = np.empty((len(features), len(self.coef)))
        for first in range(0, len(features), _ROWS):
            rows = slice(first, first + _ROWS)
            logits[rows] = features[rows].astype(np.float64) @ self.coef.T + self.intercept
        return logits

    def shifted(self, bias: Float[ndarray, "K"]) -> LinearModel:
        """The model with another intercept."""
        return replace(self, intercept=self.intercept + bias)

    def parts(self) -> tuple[dict[str, Any], Tensors]:
        """Nothing but the two arrays."""
        return {}, {"coef": self.coef, "intercept": self.intercept}

    @classmethod
    def read(cls, folder: str | Path) -> tuple[LinearModel, dict[str, Any]]:
        """Read a linear head and its ``extra`` back.

        Raises
        ------
        ArtifactError
            As :meth:`SavedParts.read`, and if the files hold no linear head, do not fit, or hold a
            number that is not finite.
        """
        saved = SavedParts.read(folder)
        nothing = np.empty(0)
        coef = saved.tensors.get("coef", nothing)
        intercept = saved.tensors.get("intercept", nothing)
        shape = (len(saved.classes), *saved.shape)
        fitting = coef.shape == shape and intercept.shape == shape[:1]
        numbers = coef.dtype.kind == intercept.dtype.kind == "f"
        finite = numbers and np.isfinite(coef).all() and np.isfinite(intercept).all()
        if not (fitting and finite):
            raise ArtifactError(misfit(folder))
        model = cls(saved.classes, coef, intercept, saved.temperature, saved.calibration)
        return model, saved.extra


@dataclass(frozen=True, eq=False)
class SavedParts:
    """What lies in the two files of a model, read and checked as far as every kind has it."""

    classes: tuple[Label, ...]
    shape: tuple[int, ...]
    temperature: float
    calibration: Calibration | None
    extra: dict[str, Any]
    document: dict[str, Any]
    tensors: Tensors

    @classmethod
    def read(cls, folder: str | Path) -> SavedParts:
        """Read both files.

        Raises
        ------
        ArtifactError
            If a file is missing, damaged or newer than this version.
        """
        path, weights = Path(folder) / JSON_FILE, Path(folder) / WEIGHTS_FILE
        text = read_text(path, ArtifactError, "check the folder")
        document = read_json(text, str(path), FORMAT, VERSION, ArtifactError)
        try:
            tensors = safetensors.numpy.load_file(weights)
        except (OSError, safetensors.SafetensorError) as error:
            raise ArtifactError(f"{weights} is missing or damaged ({error}); restore it") from error
        try:
            classes = tuple(label_from_json(value) for value in document["classes"])
            if len(set(classes)) < max(2, len(classes)):
                raise ValueError("there are not two classes or more, all different")
            temperature = float(document["temperature"])
            # Earlier models have none.
            state = document.get("calibration")
            parts = cls(
                classes,
                _shape(document),
                temperature,
                None if state is None else Calibration.from_state(state, len(classes)),
                dict(document["extra"]),
                document,
                tensors,
            )
        except DAMAGED as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); restore it") from error
        if not 0 < temperature < np.inf:
            raise ArtifactError(misfit(folder))
        return parts


def _shape(document: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape of one example: features by their number, images by channels, height and width."""
    if "shape" not in document:
        shape: tuple[int, ...] = (int(document["features"]),)
    else:
        channels, height, width = (int(size) for size in document["shape"])
        shape = channels, height, width
    if not all(1 <= size < _MOST for size in shape):
        raise ValueError(f"no example has the shape {shape}")
    return shape


def misfit(folder: str | Path) -> str:
    """What is said of two files that do not belong together."""
    return (
        f"{Path(folder) / WEIGHTS_FILE} does not fit {Path(folder) / JSON_FILE}; restore both from "
        "the same run"
    )
