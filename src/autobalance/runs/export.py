"""What a run becomes elsewhere: its loss as a table, its weights row by row, its model as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobalance.data.images.image_set import ImageSet
from autobalance.data.tables import Table
from autobalance.data.targets import codes_of_classes, codes_of_groups
from autobalance.design import LossDesign
from autobalance.errors import ArtifactError
from autobalance.export import Agreement, agreement, loss_table, onnx_bytes, table_feeds
from autobalance.export.onnx_file import IMAGES
from autobalance.model import LinearModel
from autobalance.models.factory import model_factory
from autobalance.runs.folder import DESIGN_FILE, SavedModel, read_design
from autobalance.runs.predict import parse_prior
from autobalance.runs.readers import TableReader
from autobalance.runs.watch import Watch
from autobalance.storage import write_bytes_atomically, write_text_atomically

_LARGEST_SHARE, _LARGEST_SHARE_IN_DOUBLE = 1e-3, 1e-9
"""Of the largest logit, by which one may differ: of a network, and where all is in float64."""


def export_loss(folder: Path, file: Path) -> LossDesign:
    """Write the loss of a run as CSV, and return it.

    Raises
    ------
    ArtifactError, DesignError
        If the folder is damaged or the file cannot be written.
    """
    design = LossDesign.load(folder / DESIGN_FILE)
    write_text_atomically(file, loss_table(design))
    return design


def export_weights(folder: Path, file: Path, rows: Path, watch: Watch) -> None:
    """Write the weight of each row of a labelled table or of images, in their order, as CSV.

    Raises
    ------
    AutoBalanceError
        If the folder is damaged, or the rows lack the target or the groups of the fit.
    """
    saved = SavedModel.read(folder)
    design = read_design(folder, saved.model)
    watch.stage(f"Reading {rows.name}")
    read = saved.reader.read_labelled(rows)
    y = codes_of_classes(read.target, design.counts.classes)
    g = (
        np.zeros(len(y), dtype=np.int64)
        if read.groups is None or design.counts.groups is None
        else codes_of_groups(read.groups, design.counts.groups)
    )
    weights = pd.DataFrame({"sample_weight": design.weight[y, g]})
    write_text_atomically(file, weights.to_csv(index=False))


def export_model(
    folder: Path,
    file: Path,
    watch: Watch,
    *,
    rows: Path | None = None,
    features: str | None = None,
    prior: str | None = None,
    model: str | None = None,
) -> Agreement | None:
    """Write the model of a run as an ONNX file that takes raw rows, compared with it on rows.

    Parameters
    ----------
    folder
        Of the run.
    file
        The file to write; nothing is written if the comparison fails.
    watch
        Hears what is being done.
    rows
        A table or images to compare on. ``None`` compares nothing.
    features
        Key of the feature array of an ``.npz`` file, if it is another than at the fit.
    prior
        For the probabilities, as :func:`~autobalance.runs.predict.predict_rows` takes it.
    model
        The import path of a network of the user's own, as at the fit: what a file names is not run.

    Raises
    ------
    AutoBalanceError
        If the folder is damaged, the rows do not fit it, onnx is not installed, or the logits of
        the file depart from the model's by more than rounding.
    """
    saved = SavedModel.read(folder, None if model is None else model_factory(model))
    shares = None if prior is None else parse_prior(prior, saved.model.classes)
    watch.stage("Translating the model")
    encoder = saved.reader.encoder if isinstance(saved.reader, TableReader) else None
    data = onnx_bytes(saved.model, shares, encoder)
    found = None
    if rows is not None:
        watch.stage(f"Comparing on {rows.name}")
        found = _compared(saved, data, saved.reader.read(rows, features))
    write_bytes_atomically(file, data)
    return found


def _compared(saved: SavedModel, data: bytes, content: Table | ImageSet) -> Agreement:
    encoded: Any = saved.reader.transform(content)
    if isinstance(saved.reader, TableReader) and isinstance(content, Table):
        feeds = table_feeds(saved.reader.encoder, content)
    else:
        feeds = {IMAGES: encoded}
    logits = saved.model.logits(encoded)
    found = agreement(data, feeds, logits)
    double = isinstance(saved.model, LinearModel)
    share = _LARGEST_SHARE_IN_DOUBLE if double else _LARGEST_SHARE
    if not found.largest_difference <= share * max(1.0, float(np.abs(logits).max())):
        raise ArtifactError(
            f"the exported model departs from the one in Python ({found}), so it was not written; "
            "report this, with the versions of torch and onnxruntime"
        )
    return found
