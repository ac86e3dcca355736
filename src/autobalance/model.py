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
from scipy.special import softmax

from autobalance.calibration import Calibration
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
    calibration
        For probabilities under a stated prior; ``None`` in models of before there were any.
    """

    classes: tuple[Label, ...]
    coef: Float[ndarray, "K D"]
    intercept: Float[ndarray, "K"]
    temperature: float = 1.0
    calibration: Calibration | None = None

    def logits(self, features: ndarray) -> Float[ndarray, "N K"]:
        """Plain logits of features of shape (N, D)."""
        return np.asarray(np.asarray(features, dtype=np.float64) @ self.coef.T + self.intercept)

    def predict(self, features: ndarray) -> Integer[ndarray, "N"]:
        """Class codes in [0, K)."""
        return np.asarray(self.logits(features).argmax(axis=1))

    def probabilities(self, features: ndarray, prior: Any = None) -> Float[ndarray, "N K"]:
        """Probabilities of the classes.

        Parameters
        ----------
        features
            Shape (N, D).
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
        document = {
            "format": FORMAT,
            "version": VERSION,
            "classes": [label_to_json(label) for label in self.classes],
            "features": int(self.coef.shape[1]),
            "temperature": self.temperature,
            "calibration": None if self.calibration is None else self.calibration.to_state(),
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
            # Earlier models of this version have none, and readers of that time pass it over.
            state = document.get("calibration")
            calibration = None if state is None else Calibration.from_state(state, len(classes))
            extra = dict(document["extra"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error!r}); restore it") from error
        finite = np.isfinite(coef).all() and np.isfinite(intercept).all()
        fits = coef.shape == shape and intercept.shape == shape[:1]
        if not (fits and finite and 0 < temperature < np.inf):
            raise ArtifactError(f"{weights} does not fit {path}; restore both from the same run")
        return cls(classes, coef, intercept, temperature, calibration), extra
