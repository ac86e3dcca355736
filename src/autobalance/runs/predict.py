"""Predictions of a saved model for the rows of a further table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from autobalance.labels import label_text
from autobalance.runs.folder import SavedModel
from autobalance.runs.watch import Watch


def predict_table(
    folder: Path, path: Path, watch: Watch, features: str | None = None
) -> pd.DataFrame:
    """The predicted class of each row and the probability of every class.

    Parameters
    ----------
    folder
        Of the run.
    path
        The table; columns that the model does not know are ignored, and neither target nor groups
        are needed.
    watch
        Hears what is being done.
    features
        Key of the feature array of an ``.npz`` file, if it is another than at the fit.

    Returns
    -------
    DataFrame
        In the order of the table: ``prediction``, then ``probability[label]`` for each class.

    Raises
    ------
    ArtifactError, DataError
        If the folder is damaged, or the table does not fit it.
    """
    saved = SavedModel.read(folder)
    watch.stage(f"Reading {path.name}")
    inputs = saved.encoder.inputs
    single = [name for name in inputs if name not in saved.encoder.numeric.widths]
    table = saved.columns.read_again(path, single, features=features)
    watch.stage("Predicting")
    encoded = saved.encoder.transform(table)
    labels = pd.Series(saved.model.classes, dtype=object)
    probabilities = saved.model.probabilities(encoded)
    frame = pd.DataFrame(
        probabilities, columns=[f"probability[{label_text(label)}]" for label in labels]
    )
    predicted = labels.iloc[saved.model.predict(encoded)]
    frame.insert(0, "prediction", predicted.to_numpy())
    return frame
