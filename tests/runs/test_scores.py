"""Scores are read from arrays and from columns, in the order of the classes, or refused."""

import numpy as np
import pandas as pd
import pytest

from autobalance.errors import DataError
from autobalance.runs.scores import ScoredRows

LABELS = np.array(["cat", "dog", "emu"] * 4)
LOGITS = np.random.default_rng(0).normal(size=(12, 3))
P = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
PARTS = np.array(["train", "val", "test"]).repeat(4)


def saved(path, scores=LOGITS, **arrays):
    given = {"logits": scores, "y": LABELS, "place": np.arange(12) % 2, "part": PARTS}
    np.savez(path, **(given | arrays))
    return path


def table(path, columns=("cat", "dog", "emu"), **others):
    frame = pd.DataFrame(P, columns=[f"probability[{name}]" for name in columns])
    frame.assign(y=LABELS, **others).to_csv(path, index=False)
    return path


def test_an_array_of_logits(tmp_path):
    path = saved(tmp_path / "s.npz")
    rows = ScoredRows.read(path, "y", ("place",), "part")
    np.testing.assert_array_equal(rows.logits, LOGITS)
    assert (rows.kind, len(rows), rows.y.labels) == ("logits", 12, ("cat", "dog", "emu"))
    assert rows.g.codes.tolist() == [0, 1] * 6
    assert rows.parts["validation"].tolist() == [4, 5, 6, 7]


def test_an_array_of_another_name_and_order(tmp_path):
    path = saved(tmp_path / "s.npz", z=LOGITS[:, [2, 0, 1]])
    rows = ScoredRows.read(path, "y", scores="z", classes=("emu", "cat", "dog"))
    np.testing.assert_array_equal(rows.logits, LOGITS)
    assert rows.g is None
    assert rows.parts is None


def test_probabilities_become_logarithms(tmp_path):
    rows = ScoredRows.read(saved(tmp_path / "s.npz", P.astype(np.float32)), "y")
    assert rows.kind == "probabilities"
    np.testing.assert_allclose(rows.logits, np.log(P), atol=1e-5)
    certain = np.eye(3)[[0, 1, 2] * 4]
    rows = ScoredRows.read(saved(tmp_path / "s.npz", certain), "y")
    assert np.isfinite(rows.logits).all()


def test_columns_are_known_by_the_labels_in_their_names(tmp_path):
    rows = ScoredRows.read(table(tmp_path / "p.csv"), "y")
    np.testing.assert_allclose(rows.logits, np.log(P), atol=1e-12)
    frame = pd.read_csv(tmp_path / "p.csv")[
        ["y", "probability[emu]", "probability[cat]", "probability[dog]"]
    ]
    frame.columns = [name.replace("probability", "score") for name in frame.columns]
    frame.to_parquet(tmp_path / "p.parquet")
    rows = ScoredRows.read(tmp_path / "p.parquet", "y", scores="score")
    np.testing.assert_allclose(rows.logits, np.log(P), atol=1e-12)


def test_a_column_of_vectors(tmp_path):
    path = tmp_path / "v.parquet"
    pd.DataFrame({"logits": list(LOGITS), "y": LABELS}).to_parquet(path)
    np.testing.assert_array_equal(ScoredRows.read(path, "y").logits, LOGITS)


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({"logits": LOGITS[:, :2]}, {}, "has 2 columns but the classes are 'cat', 'dog', 'emu'"),
        ({}, {"classes": ("cat", "dog", "owl")}, "those of the rows 'cat', 'dog', 'emu'"),
        ({"logits": np.where(LOGITS > 1, np.nan, LOGITS)}, {}, "not finite in row"),
        ({}, {"scores": "none"}, "no array 'none'"),
        ({"part": np.array(["train", "test"] * 6)}, {"split": "part"}, "marks no validation row"),
        ({}, {"split": "y"}, "as the target and as the split"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, options, words, tmp_path):
    with pytest.raises(DataError, match=words):
        ScoredRows.read(saved(tmp_path / "s.npz", **arrays), "y", **options)


@pytest.mark.parametrize("columns", [("cat", "dog", "owl"), ("cat", "dog", "dog ")])
def test_columns_that_do_not_fit_are_refused(columns, tmp_path):
    with pytest.raises(DataError, match=r"no column of scores such as 'probability\[cat\]' for"):
        ScoredRows.read(table(tmp_path / "p.csv", columns), "y")


def test_scores_that_are_text_are_refused(tmp_path):
    path = table(tmp_path / "s.csv", **{"probability[cat]": ["0.5", "high"] * 6})
    with pytest.raises(DataError, match=r"'probability\[cat\]' must hold numbers .* 'high' in 6"):
        ScoredRows.read(path, "y")
