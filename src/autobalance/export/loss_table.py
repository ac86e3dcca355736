"""A designed loss as plain numbers, and what it amounts to in other libraries.

``design.json`` holds the same values as one table each; here is a row for each class, or for each
class in each group, as spreadsheets, data frames and other languages read it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.design import LossDesign
from autobalance.errors import DataError
from autobalance.labels import codes_of, label_text

FORMULA = (
    "The loss of a row of class y in group g, with logits z, is "
    "-weight[y,g] * log_softmax(multiplicative[:,g] * z + additive[:,g])[y]; "
    "its mean over the rows is minimised, and the plain logits decide."
)
COLUMNS = ("class", "group", "examples", "weight", "additive", "multiplicative")


def loss_table(design: LossDesign) -> str:
    """CSV text with a row for each cell: class, group if there are groups, examples, w, l and δ.

    Numbers are the shortest decimals that read back to the same float. Labels are texts, parts of
    a group of several columns joined by a comma, as in predictions and reports.

    Parameters
    ----------
    design
        The loss.
    """
    columns = [name for name in COLUMNS if name != "group" or design.counts.groups is not None]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(design))
    return stream.getvalue()


def _rows(design: LossDesign) -> Iterator[dict[str, Any]]:
    counts = design.counts
    for k, j in np.ndindex(*counts.values.shape):
        yield {
            "class": label_text(counts.classes[k]),
            "group": None if counts.groups is None else label_text(counts.groups[j]),
            "examples": counts.values[k, j].tolist(),
            "weight": design.weight[k, j].tolist(),
            "additive": design.additive[k, j].tolist(),
            "multiplicative": design.multiplicative[k, j].tolist(),
        }


def example_weights(design: LossDesign, y: Any, groups: Any = None) -> Float[ndarray, "N"]:
    """The weight w of each example, as ``sample_weight`` of any library takes it.

    Parameters
    ----------
    design
        The loss.
    y
        N class labels.
    groups
        N group labels, tuples or rows of a table for groups of several columns; needed if the
        design has groups.

    Raises
    ------
    DataError
        If a label is none of the design's, or groups are missing or too many.
    """
    counts = design.counts
    if (groups is None) != (counts.groups is None):
        needed = "has no groups; leave them out" if groups is not None else "has groups; give them"
        raise DataError(f"the design {needed}")
    k = codes_of(y, counts.classes, "class")
    if groups is None or counts.groups is None:
        return np.asarray(design.weight[k, 0])
    j = codes_of(groups, counts.groups, "group")
    if len(j) != len(k):
        raise DataError(f"there are {len(k)} class labels but {len(j)} group labels")
    return np.asarray(design.weight[k, j])


def portable_as(design: LossDesign) -> list[str]:
    """What the loss amounts to in libraries that know weights and margins, a sentence each.

    Parameters
    ----------
    design
        The loss.
    """
    counts = design.counts
    shift = design.additive - design.additive.mean(axis=0)  # a constant per group changes nothing
    weighted, shifted = not _equal(design.weight, 1.0), not _equal(shift, 0.0)
    if not _equal(design.multiplicative, 1.0):
        return [
            "Multipliers other than 1 need a loss of your own: a few lines, shown in "
            "docs/export.md; no weight or margin stands for them."
        ]
    sentences = []
    if weighted and _equal(design.weight, design.weight[:, :1]):
        weights = {
            label: float(f"{value:.6g}")
            for label, value in zip(counts.classes, design.weight[:, 0].tolist(), strict=True)
        }
        sentences.append(
            f"The weights are class_weight={weights} in scikit-learn, with all digits in the file."
        )
    elif weighted:
        sentences.append(
            "The weights differ between groups: give each row's as sample_weight, in scikit-learn, "
            "XGBoost, LightGBM or Keras."
        )
    if shifted:
        sentences.append(
            "The adjustments are each row's base_margin (XGBoost) or init_score (LightGBM) in "
            "training, and none in prediction."
        )
        if _equal(shift, shift[:, :1]):
            sentences.append(
                "They are the same in all groups: a model trained without them, whose logits z "
                "then decide by z - additive, has the same optimum if its intercepts are not "
                "penalised."
            )
    return sentences or ["This is plain cross-entropy: nothing needs to be set."]


def _equal(values: Float[ndarray, "K G"], others: Any) -> bool:
    return np.allclose(values, others, rtol=1e-9, atol=1e-9)
