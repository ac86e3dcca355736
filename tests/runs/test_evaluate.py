import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from autobalance.data.tables import Table
from autobalance.errors import DataError
from autobalance.runs.columns import Columns
from autobalance.runs.evaluate import evaluate_rows
from autobalance.runs.fit import fit_rows
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch


def evaluate(folder, path, **arguments):
    return evaluate_rows(folder, path, Watch(), **arguments).to_json()


def save(frame, path):
    frame.to_csv(path, index=False)
    return path


def test_figures_agree_with_scikit_learn(run, run_folder, frame, table_file):
    found = evaluate(run_folder, table_file, part="all", precision=0.6)
    features = run.saved.reader.transform(Table("small.csv", frame, {}))
    logits = run.saved.model.logits(features)
    truth = (frame.kind == "rare").to_numpy()
    score = logits[:, 1] - logits[:, 0]
    assert found["rows"] == "all 240 rows"
    expected = f1_score(truth, score > 0, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(expected)
    expected = average_precision_score(truth, score)
    assert found["average_precision"]["value"] == pytest.approx(expected)
    precision, recall, _ = precision_recall_curve(truth, score)
    assert found["recall_at_precision"]["precision"] == 0.6
    assert found["recall_at_precision"]["value"] == pytest.approx(recall[precision >= 0.6].max())
    np.testing.assert_array_equal(
        found["examples"], frame.groupby(["kind", "place"]).size().unstack()
    )


def test_rows_are_the_test_rows_unless_told_otherwise(run_folder, frame, table_file, tmp_path):
    assert evaluate(run_folder, table_file)["rows"] == "the 48 test rows of column 'part'"
    train = evaluate(run_folder, table_file, part="train")
    assert train["rows"] == "the 192 train rows of column 'part'"
    new = save(frame.drop(columns="part"), tmp_path / "new.csv")
    assert evaluate(run_folder, new)["rows"] == "all 240 rows"
    new = save(frame[frame.part == "test"], tmp_path / "test.csv")
    assert evaluate(run_folder, new)["rows"] == "the 48 test rows of column 'part'"
    new = save(frame[frame.part == "train"], tmp_path / "train.csv")
    assert evaluate(run_folder, new)["rows"] == "all 192 rows"


def test_refused_rows(run_folder, frame, table_file, tmp_path):
    with pytest.raises(DataError, match="no row to measure on"):
        evaluate(run_folder, table_file, part="validation")
    new = save(frame.drop(columns="part"), tmp_path / "new.csv")
    with pytest.raises(DataError, match="no split column"):
        evaluate(run_folder, new, part="test")


def test_an_unseen_class_or_group_is_refused(run_folder, frame, tmp_path):
    new = save(frame.replace({"kind": {"rare": "epic"}}), tmp_path / "new.csv")
    with pytest.raises(DataError, match="class 'epic' did not occur in training"):
        evaluate(run_folder, new)
    found = evaluate(run_folder, new, drop_classes=("epic",))
    assert found["class_errors"][1] is None
    assert "average_precision" not in found
    new = save(frame.replace({"place": {"sea": "air"}}), tmp_path / "new.csv")
    with pytest.raises(DataError, match="group 'air' did not occur in training"):
        evaluate(run_folder, new)


def test_a_table_without_the_groups_of_the_run_is_refused(run_folder, frame, tmp_path):
    new = save(frame.drop(columns="place"), tmp_path / "new.csv")
    with pytest.raises(DataError, match="no column 'place'"):
        evaluate(run_folder, new)


def test_a_run_without_groups_needs_none(frame, tmp_path):
    columns = Columns("kind", split="part", drop=("place",))
    rows = columns.rows(Table("small.csv", frame, {}))
    run = fit_rows(rows, FitRequest(columns, verdict=None), Watch())
    folder = tmp_path / "run"
    folder.mkdir()
    run.write(folder)
    new = save(frame.drop(columns="place").rename(columns={"kind": "sort"}), tmp_path / "new.csv")
    found = evaluate(folder, new, target="sort")
    assert found["groups"] is None
    assert found["class_errors"] == run.metrics["methods"][0]["class_errors"]
