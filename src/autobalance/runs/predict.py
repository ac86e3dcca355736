"""Predictions of a saved model for the rows of a further table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from autobalance.calibration import BALANCED, TRAIN
from autobalance.data.wording import listing
from autobalance.errors import DataError
from autobalance.labels import Label, label_text
from autobalance.models.factory import model_factory
from autobalance.runs.folder import SavedModel
from autobalance.runs.watch import Watch


def predict_rows(
    folder: Path,
    path: Path,
    watch: Watch,
    features: str | None = None,
    prior: str | None = None,
    model: str | None = None,
) -> pd.DataFrame:
    """The predicted class of each row or image and the probability of every class.

    Parameters
    ----------
    folder
        Of the run.
    path
        The table or the images; columns that the model does not know are ignored, and neither
        target nor groups are needed.
    watch
        Hears what is being done.
    features
        Key of the feature array of an ``.npz`` file, if it is another than at the fit.
    prior
        How often the classes occur there, for the probabilities: ``train``, ``balanced`` or
        ``label=share,label=share``. The predicted classes serve the objective and stay the same.
    model
        The import path of a network of the user's own, as at the fit: what a file names is not run.

    Returns
    -------
    DataFrame
        In the order of the rows: ``image`` with the path of each if they are files in a folder,
        ``prediction``, then ``probability[label]`` for each class.

    Raises
    ------
    ArtifactError, DataError
        If the folder is damaged, or the rows or the prior do not fit it.
    """
    saved = SavedModel.read(folder, None if model is None else model_factory(model))
    shares = None if prior is None else parse_prior(prior, saved.model.classes)
    watch.stage(f"Reading {path.name}")
    content = saved.reader.read(path, features)
    watch.stage("Predicting")
    encoded = saved.reader.transform(content)
    labels = pd.Series(saved.model.classes, dtype=object)
    probabilities = saved.model.probabilities(encoded, shares)
    frame = pd.DataFrame(
        probabilities, columns=[f"probability[{label_text(label)}]" for label in labels]
    )
    predicted = labels.iloc[saved.model.predict(encoded)]
    frame.insert(0, "prediction", predicted.to_numpy())
    names = saved.reader.names(content, path)
    if names is not None:
        frame.insert(0, "image", names)
    return frame


def parse_prior(text: str, classes: Sequence[Label]) -> str | list[float]:
    """A prior as a user writes it: ``train``, ``balanced``, or a share for each class by its name.

    Names, because the order of the classes is easily mistaken: ``yes=0.1,no=0.9``. The shares need
    not sum to 1, so counts will do.

    Raises
    ------
    DataError
        If a class is missing, unknown or named twice, or a share is no number.
    """
    if text in (TRAIN, BALANCED):
        return text
    names = [label_text(label) for label in classes]
    shares: dict[str, float] = {}
    pending = ""
    for piece in text.split(","):
        name, equals, share = (pending + piece).rpartition("=")
        if not equals:
            pending += f"{piece},"  # the comma belongs to a label
            continue
        pending, name = "", name.strip()
        if name not in names or name in shares:
            problem = "is named twice" if name in shares else "is not among the classes"
            raise DataError(f"{name!r} in the prior {problem}; they are {listing(names, limit=20)}")
        try:
            shares[name] = float(share)
        except ValueError:
            raise DataError(
                f"the prior share {share.strip()!r} of {name!r} is no number; give one such as 0.1"
            ) from None
    if pending:
        raise DataError(
            f"the prior {text!r} is not understood; use {TRAIN}, {BALANCED}, or a share for each "
            f"class, such as {names[0]}=0.9,{names[1]}=0.1"
        )
    missing = [name for name in names if name not in shares]
    if missing:
        raise DataError(
            f"the prior has no share for {listing(missing, limit=20)}; name every class, with 0 "
            "if it does not occur"
        )
    return [shares[name] for name in names]
