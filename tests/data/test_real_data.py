"""The real files, read as a user's would be, against the counts their README states."""

import numpy as np
import pytest

from autobalance.data.encoder import TableEncoder
from autobalance.data.tables import read_table
from autobalance.data.targets import encode_groups, encode_target, split_rows

pytestmark = pytest.mark.data

# File: rows, target, and the examples of its classes, sorted down, where the README states them.
TABLES = {
    "adult": (48_842, "income", None),
    "law_school": (20_798, "pass_bar", None),
    "bank_marketing": (40_004, "y", None),
    "mammography": (11_183, "malignant", [10_923, 260]),
    "ann_thyroid": (7_200, "target", [6_666, 368, 166]),
    "shuttle": (58_000, "target", [45_586, 8_903, 3_267, 171, 50, 13, 10]),
    "satimage": (6_435, "target", [1_533, 1_508, 1_358, 707, 703, 626]),
    "krkopt": (28_056, "target", None),
    "letter": (20_000, "target", None),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(data_dir, name):
    n_rows, target, counts = TABLES[name]
    data = read_table(data_dir / "tables" / f"{name}.csv.gz", required=[target])
    assert len(data) == n_rows
    coded = encode_target(data.column(target))
    found = sorted(np.bincount(coded.codes).tolist(), reverse=True)
    assert sum(found) == n_rows
    if counts is not None:
        assert found == counts
    features = data.without([target])
    encoder = TableEncoder.fit(features)
    matrix = encoder.transform(features)
    assert matrix.shape == (n_rows, len(encoder.feature_names))
    assert np.isfinite(matrix).all()


def test_krkopt_and_letter_have_many_classes(data_dir):
    for name, n_classes, extremes in [("krkopt", 18, (4_553, 27)), ("letter", 26, (813, 734))]:
        data = read_table(data_dir / "tables" / f"{name}.csv.gz")
        codes, labels = encode_target(data.column("target"))
        assert len(labels) == n_classes
        assert (np.bincount(codes).max(), np.bincount(codes).min()) == extremes


def test_adult_by_split_and_group(data_dir):
    data = read_table(data_dir / "tables" / "adult.csv.gz", required=["income", "sex", "race"])
    rows = split_rows(data.column("split"))
    assert [len(part) for part in rows.values()] == [32_561, 0, 16_281]
    train = data.rows(rows["train"])
    assert encode_target(train.column("income")).labels == ("<=50K", ">50K")
    assert len(encode_groups(train.columns(["sex", "race"])).labels) == 10
    notes = TableEncoder.fit(train.without(["income", "split"])).notes
    assert notes == (
        "Missing values are a category of their own in 'workclass' (1,836 rows), 'occupation' "
        "(1,843 rows), 'native_country' (583 rows).",
    )


def test_waterbirds_features(data_dir):
    path = data_dir / "waterbirds" / "features_efficientnet_lite0.npz"
    data = read_table(path, features="features", required=["y", "place", "split"])
    target, groups = encode_target(data.column("y")), encode_groups(data.columns(["place"]))
    cells = 2 * target.codes + groups.codes
    rows = split_rows(data.column("split"))
    counts = {name: np.bincount(cells[part]).tolist() for name, part in rows.items()}
    assert counts == {
        "train": [3498, 184, 56, 1057],
        "validation": [467, 466, 133, 133],
        "test": [2255, 2255, 642, 642],
    }
    features = data.without(["y", "place", "split"])
    encoder = TableEncoder.fit(features.rows(rows["train"]))
    matrix = encoder.transform(features)
    assert (matrix.shape, matrix.dtype) == ((11_788, 1280), np.float32)
    np.testing.assert_array_equal(matrix, features.vectors["features"])


def test_images_in_a_parquet_table_are_refused_as_features(data_dir):
    data = read_table(data_dir / "waterbirds" / "images_64px.parquet", required=["y", "place"])
    codes, labels = encode_target(data.column("y"))
    assert (labels, len(codes)) == ((0, 1), 11_788)
    with pytest.raises(ValueError, match=r"column 'img' holds .* --drop 'img'"):
        TableEncoder.fit(data.without(["y", "place", "split"]))
