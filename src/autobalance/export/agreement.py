"""Whether an ONNX file decides as the model that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.data.wording import amount
from autobalance.errors import ArtifactError
from autobalance.export.model_graph import CODE, LOGITS
from autobalance.models.imported import told
from autobalance.optional import need

_ROWS = 1024  # at a time


@dataclass(frozen=True)
class Agreement:
    """How far an ONNX file and the model agree on rows; prints as one sentence.

    Parameters
    ----------
    rows
        How many were compared.
    different
        In how many of them the decisions differ.
    largest_difference
        Between two logits of the same row and class.
    largest_gap
        Between the two largest logits of the model, over the rows where the decisions differ.
    """

    rows: int
    different: int
    largest_difference: float
    largest_gap: float

    def __str__(self) -> str:
        decisions = "decisions equal"
        if self.different:
            decisions = (
                f"decisions equal in all but {self.different:,}, where the two largest logits lie "
                f"{self.largest_gap:.1g} apart or less"
            )
        return (
            f"{amount(self.rows, 'row')}: {decisions}, largest difference of a logit "
            f"{self.largest_difference:.1g}"
        )


def agreement(
    file: str | Path | bytes, feeds: Mapping[str, ndarray], logits: Float[ndarray, "N K"]
) -> Agreement:
    """Run an ONNX file with onnxruntime and compare it with the model's own logits.

    Parameters
    ----------
    file
        The file or its bytes.
    feeds
        N rows of each input.
    logits
        Those of the model for the same rows; the largest decides.

    Raises
    ------
    DataError
        If onnxruntime is not installed.
    ArtifactError
        If it cannot run the file on these rows.
    """
    runtime = need("onnxruntime", "onnx", "running an ONNX file")
    try:
        session = runtime.InferenceSession(
            file if isinstance(file, bytes) else str(file), providers=["CPUExecutionProvider"]
        )
        parts = [
            session.run([CODE, LOGITS], {name: each[rows] for name, each in feeds.items()})
            for rows in (slice(first, first + _ROWS) for first in range(0, len(logits), _ROWS))
        ]
    except Exception as error:  # onnxruntime has its own tree of errors
        raise ArtifactError(
            f"onnxruntime cannot run the exported model ({told(error)}); report this, with the "
            "columns of the data"
        ) from error
    codes, found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    top = np.sort(logits, axis=1)[:, -2:]
    different = codes != logits.argmax(axis=1)
    gaps = (top[:, 1] - top[:, 0])[different]
    return Agreement(
        len(logits),
        int(different.sum()),
        float(np.abs(found - logits).max(initial=0.0)),
        float(gaps.max(initial=0.0)),
    )
