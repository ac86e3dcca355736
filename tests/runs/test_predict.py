import numpy as np
import pandas as pd
import pytest

from autobalance.data.tables import Table
from autobalance.errors import DataError
from autobalance.runs.columns import Columns
from autobalance.runs.fit import fit_rows
from autobalance.runs.predict import parse_prior, predict_rows
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch


def test_predictions_are_the_models_own(run, run_folder, frame, table_file):
    predictions = predict_rows(run_folder, table_file, Watch())
    features = run.saved.reader.transform(Table("small.csv", frame, {}))
    logits = features @ run.saved.model.coef.T + run.saved.model.intercept
    odds = np.exp(logits / run.saved.model.temperature)
    assert list(predictions.columns) == [
        "prediction",
        "probability[common]",
        "probability[rare]",
    ]
    expected = np.array(["common", "rare"])[logits.argmax(axis=1)]
    np.testing.assert_array_equal(predictions.prediction, expected)
    np.testing.assert_allclose(
        predictions.to_numpy()[:, 1:].astype(float),
        odds / odds.sum(axis=1, keepdims=True),
        rtol=1e-9,
    )


@pytest.mark.parametrize(
    ("text", "prior"),
    [("train", "train"), ("balanced", "balanced"), ("rare=1,common=3", [0.75, 0.25])],
)
def test_a_prior_changes_the_probabilities_and_not_the_predictions(
    run, run_folder, frame, table_file, text, prior
):
    plain = predict_rows(run_folder, table_file, Watch())
    predictions = predict_rows(run_folder, table_file, Watch(), prior=text)
    np.testing.assert_array_equal(predictions.prediction, plain.prediction)
    features = run.saved.reader.transform(Table("small.csv", frame, {}))
    found = predictions.to_numpy()[:, 1:].astype(float)
    expected = run.saved.model.probabilities(features, prior)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert np.abs(found - plain.to_numpy()[:, 1:].astype(float)).max() > 0.01


def test_a_prior_names_every_class_once():
    classes = ("a,b", "x=1", None, 3)
    text = "x=1=0.2, a,b=0.5, 3=1e-1 ,missing=.2"
    assert parse_prior(text, classes) == [0.5, 0.2, 0.2, 0.1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("even", "'even' is not understood; use train, balanced, or .* yes=0.9,no=0.1"),
        ("", "'' is not understood"),
        ("yes=0.5,no", "'yes=0.5,no' is not understood"),
        ("yes=0.5", "no share for 'no'; name every class"),
        (
            "yes=0.5,maybe=0.5",
            "'maybe' in the prior is not among the classes; they are 'yes'",
        ),
        ("yes=0.5,yes=0.5", "'yes' in the prior is named twice"),
        ("yes=half,no=0.5", "'half' of 'yes' is no number"),
        ("yes=,no=0.5", "'' of 'yes' is no number"),
    ],
)
def test_a_prior_that_cannot_be_read_is_refused(text, said):
    with pytest.raises(DataError, match=said) as error:
        parse_prior(text, ("yes", "no"))
    assert "\n" not in str(error.value)


def test_a_prior_that_is_none_is_refused(run_folder, table_file):
    for text, said in (("common=0,rare=0", "all shares"), ("common=1,rare=-1", "is -1")):
        with pytest.raises(DataError, match=said):
            predict_rows(run_folder, table_file, Watch(), prior=text)


def test_target_and_groups_are_not_needed(run_folder, frame, tmp_path):
    frame.drop(columns=["kind", "place", "part"]).to_csv(tmp_path / "new.csv", index=False)
    assert len(predict_rows(run_folder, tmp_path / "new.csv", Watch())) == len(frame)


def test_an_unseen_category_warns(run_folder, frame, tmp_path):
    frame.assign(colour="violet").to_csv(tmp_path / "new.csv", index=False)
    with pytest.warns(UserWarning, match="'violet'"):
        predict_rows(run_folder, tmp_path / "new.csv", Watch())


def test_a_missing_column_is_refused(run_folder, frame, tmp_path):
    frame.drop(columns="colour").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match="'colour'"):
        predict_rows(run_folder, tmp_path / "new.csv", Watch())


@pytest.fixture
def archive_run(frame, tmp_path):
    """A run on an archive of features, and the archive."""
    path = tmp_path / "data.npz"
    features = frame[["size", "weight"]].fillna(0).to_numpy(np.float16)
    np.savez(path, x=features, y=frame.kind.to_numpy(str), s=frame.part.to_numpy(str))
    columns = Columns("y", split="s", features="x")
    run = fit_rows(columns.read_to_fit(path), FitRequest(columns, verdict=None), Watch())
    folder = tmp_path / "run"
    folder.mkdir()
    run.write(folder)
    return folder, path, features


def test_an_archive_is_read_by_the_key_of_the_fit(archive_run, tmp_path):
    folder, path, features = archive_run
    first = predict_rows(folder, path, Watch())
    np.savez(tmp_path / "new.npz", z=features)
    second = predict_rows(folder, tmp_path / "new.npz", Watch(), features="z")
    pd.testing.assert_frame_equal(first, second)
    with pytest.raises(DataError, match="has no array 'x'"):
        predict_rows(folder, tmp_path / "new.npz", Watch())


def test_another_number_of_features_is_refused(archive_run, tmp_path):
    folder, _, features = archive_run
    np.savez(tmp_path / "new.npz", x=features[:, :1])
    with pytest.raises(DataError, match="has 1 feature a row but the model was fitted on 2"):
        predict_rows(folder, tmp_path / "new.npz", Watch())


def test_a_table_for_a_run_on_an_archive_is_refused(archive_run, table_file):
    folder, _, _ = archive_run
    with pytest.raises(DataError, match="lacks 'x'"):
        predict_rows(folder, table_file, Watch())
