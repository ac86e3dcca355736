"""The trained linear head, as plain arrays and as two files that hold no code.

``model.json`` says what the model is; ``model.safetensors`` holds its numbers. Neither can run
anything when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from jaxtyping import Float, Integer
from numpy import ndarray

from autobalance.errors import ArtifactError
from autobalance.labels import Label, label_from_json, label_to_json
from autobalance.storage import read_json, write_text_atomically

FORMAT = "autobalance-model"
VERSION = 1
JSON_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Logits ``x @ coef.T + intercept``; the largest decides.

    Parameters
    ----------
    classes
        K labels, in the order of the logits.
    coef, intercept
        Shapes (K, D) and (K,), for the features as they are handed in.
    temperature
        Divides the logits in probabilities, fitted on held-out examples; decisions do not change.
    """

    classes: tuple[Label, ...]
    coef: Float[ndarray, "K D"]
    intercept: Float[ndarray, "K"]
    temperature: float = 1.0

    def logits(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Plain logits of features of shape (N, D)."""
        return np.asarray(np.asarray(features, dtype=np.float64) @ self.coef.T + self.intercept)

    def predict(self, features: ndarray) -> Integer[ndarray, "N"]:
        """Class codes in [0, K)."""
        return np.asarray(self.logits(features).argmax(axis=1))

    def probabilities(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Softmax of the logits over the temperature.

        They refer to the class shares that the objective weighs by, not to those of the training
        data: for a balanced objective, to classes that are equally likely.
        """
        scaled = self.logits(features) / self.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        odds = np.exp(scaled)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def write(self, folder: Path, extra: Mapping[str, Any]) -> None:
        """Write both files into ``folder``, with ``extra`` (plain JSON values) beside the model.

        Raises
        ------
        ArtifactError
            If the folder cannot be written.
        """
        document = {
            "format": FORMAT,
            "version": VERSION,
            "classes": [label_to_json(label) for label in self.classes],
            "features": int(self.coef.shape[1]),
            "temperature": self.temperature,
            "extra": dict(extra),
        }
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_text_atomically(folder / JSON_FILE, text)
        try:
            # save_file has errors of its own for a full disk and hides the file from others
            (folder / WEIGHTS_FILE).write_bytes(
                safetensors.numpy.save(
                    {
                        "coef": np.ascontiguousarray(self.coef),
                        "intercept": np.ascontiguousarray(self.intercept),
                    }
                )
            )
        except OSError as error:
            raise ArtifactError(
                f"cannot write the model into {folder} ({error.strerror or error}); "
                "choose a folder with space and permission"
            ) from error

    @classmethod
    def read(cls, folder: str | Path) -> tuple[LinearModel, dict[str, Any]]:
        """Read a model and its ``extra`` back.

        Raises
        ------
        ArtifactError
            If a file is missing, damaged, newer than this version, or does not fit the other.
        """
        path, weights = Path(folder) / JSON_FILE, Path(folder) / WEIGHTS_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(f"cannot read {path}: {error}; check the folder") from error
        document = read_json(text, str(path), FORMAT, VERSION, ArtifactError)
        try:
            tensors = safetensors.numpy.load_file(weights)
        except (OSError, safetensors.SafetensorError) as error:
            raise ArtifactError(f"{weights} is missing or damaged ({error}); restore it") from error
        try:
            classes = tuple(label_from_json(value) for value in document["classes"])
            shape = (len(classes), int(document["features"]))
            coef, intercept = tensors["coef"], tensors["intercept"]
            temperature = float(document["temperature"])
            extra = dict(document["extra"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); restore it") from error
        finite = np.isfinite(coef).all() and np.isfinite(intercept).all()
        fits = coef.shape == shape and intercept.shape == shape[:1]
        if not (fits and finite and 0 < temperature < np.inf):
            raise ArtifactError(f"{weights} does not fit {path}; restore both from the same run")
        return cls(classes, coef, intercept, temperature), extra
