import datetime
import json
import logging
import tracemalloc
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from autobalance.data.categorical import MAX_CATEGORIES
from autobalance.data.encoder import TableEncoder
from autobalance.data.features import FeatureMatrix
from autobalance.data.tables import Table
from autobalance.errors import ArtifactError, DataError


def table(vectors=None, **columns):
    n_rows = len(next(iter((vectors or columns).values())))
    return Table("people.csv", pd.DataFrame(columns, index=pd.RangeIndex(n_rows)), vectors or {})


def restored(encoder):
    return TableEncoder.from_state(json.loads(json.dumps(encoder.to_state(), allow_nan=False)))


def test_numbers_are_imputed_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3))
    values[rng.random(values.shape) < 0.2] = np.nan
    data = table(**{f"x{j}": values[:, j] for j in range(3)})
    encoder = TableEncoder.fit(data)
    expected = SimpleImputer(strategy="median").fit(values)
    np.testing.assert_array_equal(encoder.transform(data), expected.transform(values))
    further = table(x0=[np.nan], x1=[1.0], x2=[np.nan])
    np.testing.assert_array_equal(
        encoder.transform(further), expected.transform(further.frame.to_numpy())
    )
    counts = np.isnan(values).sum(axis=0)
    listed = ", ".join(f"'x{j}' ({counts[j]} values)" for j in range(3))
    assert encoder.notes == (f"Missing values filled with the median in {listed}.",)


def test_categories_become_the_indicators_of_scikit_learn():
    columns = {
        "color": ["red", "blue", None, "red"],
        "ok": [True, False, True, True],
        "size": pd.Categorical([1, 3, 3, 1], categories=[1, 2, 3]),
    }
    encoder = TableEncoder.fit(table(**columns))
    assert encoder.feature_names == [
        "color=blue",
        "color=red",
        "color=missing",
        "ok=False",
        "ok=True",
        "size=1",
        "size=3",
    ]
    expected = OneHotEncoder(sparse_output=False).fit_transform(
        pd.DataFrame(columns).astype(object)
    )
    np.testing.assert_array_equal(encoder.transform(table(**columns)), expected)
    assert encoder.notes == ("Missing values are a category of their own in 'color' (1 row).",)


def test_order_of_features_and_extra_columns():
    data = table({"emb": np.ones((2, 2))}, kind=["a", "b"], x=[1, 2])
    encoder = TableEncoder.fit(data)
    assert encoder.feature_names == ["x", "emb[0]", "emb[1]", "kind=a", "kind=b"]
    assert encoder.inputs == ["x", "kind", "emb"]
    more = table(
        {"emb": np.ones((2, 2)), "other": np.ones((2, 9))}, new=[5, 6], x=[1, 2], kind=["a", "b"]
    )
    np.testing.assert_array_equal(encoder.transform(more), encoder.transform(data))


@pytest.mark.parametrize(
    ("stored", "computed"),
    [
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.uint8, np.float32),
        (np.bool_, np.float32),
        (np.int64, np.float64),
        (np.float64, np.float64),
    ],
)
def test_a_feature_matrix_passes_in_the_smallest_exact_type(stored, computed):
    matrix = np.arange(12).reshape(4, 3).astype(stored)
    encoder = TableEncoder.fit(table({"features": matrix}))
    found = encoder.transform(table({"features": matrix}))
    assert found.dtype == computed
    np.testing.assert_array_equal(found, matrix)


def test_gaps_in_a_feature_matrix_are_filled_per_component():
    matrix = np.array([[1, np.nan], [3, 5], [np.nan, 5], [8, np.nan]], dtype=np.float16)
    encoder = TableEncoder.fit(table({"features": matrix}))
    np.testing.assert_array_equal(
        encoder.transform(table({"features": matrix})), [[1, 5], [3, 5], [3, 5], [8, 5]]
    )
    assert encoder.notes == ("Missing values filled with the median in 'features' (3 values).",)


def test_feature_matrices_that_do_not_fit():
    encoder = TableEncoder.fit(table({"features": np.ones((2, 3))}))
    with pytest.raises(DataError, match=r"'features' of people.csv has 2 features a row but .* 3;"):
        encoder.transform(table({"features": np.ones((2, 2))}))
    with pytest.raises(DataError, match=r"people\.csv lacks 'features', which the model was"):
        encoder.transform(table(x=[1.0]))
    with pytest.raises(
        DataError, match=r"column 'features' of .* must hold 3 numbers in every row"
    ):
        encoder.transform(table(features=[[1.0], [1.0, 2.0]]))
    with pytest.raises(DataError, match=r"feature 'features\[1\]' of people.csv has no value"):
        TableEncoder.fit(table({"features": np.array([[1.0, np.nan]] * 3)}))


@pytest.mark.parametrize("moment", ["fit", "transform"])
def test_infinite_values_name_column_and_rows(moment):
    good = table({"emb": np.zeros((3, 2))}, pay=[1.0, 2.0, 3.0])
    bad_column = table({"emb": np.zeros((3, 2))}, pay=[np.inf, 2.0, -np.inf])
    bad_vector = table({"emb": np.array([[0, 0], [0, np.inf], [0, 0]])}, pay=[1.0, 2.0, 3.0])
    use = TableEncoder.fit if moment == "fit" else TableEncoder.fit(good).transform
    with pytest.raises(DataError, match=r"column 'pay' of people.csv holds infinite .* in 2 rows"):
        use(bad_column)
    with pytest.raises(DataError, match=r"column 'emb\[1\]' of .* holds infinite values in 1 row;"):
        use(bad_vector)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "datetime64"),
        (pd.to_timedelta([1, 2], unit="D"), "timedelta64"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], "date"),
        ([{"bytes": b""}, {"bytes": b""}], "mixed"),
        ([[1.0], [1.0, 2.0]], "mixed"),
        ([b"x", b"y"], "bytes"),
        ([1, "a"], "mixed-integer"),
    ],
)
def test_columns_that_are_neither_numbers_nor_categories(values, kind):
    data = table(x=[1, 2], when=values)
    with pytest.raises(DataError, match=f"column 'when' holds {kind} values.* --drop 'when' or"):
        TableEncoder.fit(data)


def test_useless_columns_are_left_out_and_named():
    n_rows = 2 * (MAX_CATEGORIES + 1)
    data = table(
        one=[7] * n_rows,
        gap=[np.nan] * n_rows,
        same=["a"] * n_rows,
        half=[1.0, None] * (n_rows // 2),
        name=[f"person {j}" for j in range(n_rows)],
        x=[3, 4] * (n_rows // 2),
        row=range(n_rows),
    )
    encoder = TableEncoder.fit(data)
    assert encoder.inputs == ["x", "row"]
    assert encoder.notes == (
        "Left out because all rows have the same value or none: 'one', 'gap', 'same', 'half'.",
        "Left out because most of its texts occur only once: 'name'.",
        "Used as a feature although it rises with every row, as a row number does: 'row' (leave it "
        "out with --drop if it is one).",
    )


def test_nothing_left():
    with pytest.raises(DataError, match=r"no usable feature column\. Left out .*: 'a', 'b'\.$"):
        TableEncoder.fit(table(a=[1, 1], b=["x", "x"]))
    with pytest.raises(DataError, match=r"no usable feature column\.$"):
        TableEncoder.fit(Table("people.csv", pd.DataFrame(index=pd.RangeIndex(3)), {}))


def test_notes_on_many_columns_stay_short():
    columns = {f"column {j}": [float(j), np.nan, 0.5] for j in range(40)}
    (note,) = TableEncoder.fit(table(**columns)).notes
    assert note.endswith("'column 4' (1 value) and 35 more.")


def test_rare_categories_share_a_feature():
    counts = {f"c{j:02}": 60 - j for j in range(MAX_CATEGORIES + 2)}
    values = [name for name, count in counts.items() for _ in range(count)]
    encoder = TableEncoder.fit(table(c=values))
    assert encoder.feature_names == [f"c=c{j:02}" for j in range(MAX_CATEGORIES)] + ["c=other"]
    assert encoder.notes == ("The rarest categories share one feature in 'c' (2 of 52).",)
    rare = encoder.transform(table(c=["c50", "c51", "c49"]))
    assert rare[:, -1].tolist() == [1, 1, 0]
    with pytest.warns(UserWarning, match="'c' has 'new'$"):
        unseen = encoder.transform(table(c=["new"]))
    assert unseen[0].tolist() == [0] * MAX_CATEGORIES + [1]


def test_unseen_categories_warn_once_and_set_nothing():
    encoder = TableEncoder.fit(table(job=["a", "b"], town=["p", "q"], full=["a", None]))
    with pytest.warns(UserWarning, match="training did not see") as caught:
        found = encoder.transform(table(job=["a", "robot"], town=[None, "q"], full=[None, "a"]))
    assert [str(warning.message) for warning in caught] == [
        "people.csv has categories that training did not see, which count as unknown: "
        "'job' has 'robot'; 'town' has 'missing'"
    ]
    # job=a, job=b, town=p, town=q, full=a, full=missing
    assert found.tolist() == [[1, 0, 0, 0, 0, 1], [0, 0, 0, 1, 1, 0]]


def test_categories_are_known_by_their_text():
    encoder = TableEncoder.fit(table(code=["1", "2", "x"], flag=[True, False, None]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_text = encoder.transform(table(code=["1", "2"], flag=["True", "False"]))
        as_numbers = encoder.transform(table(code=[1.0, 2.0], flag=[True, False]))
    np.testing.assert_array_equal(as_text, as_numbers)


def test_missing_columns_are_named():
    encoder = TableEncoder.fit(table(x=[1, 2], kind=["a", "b"]))
    with pytest.raises(DataError, match=r"lacks 'kind', which .*; add the column$"):
        encoder.transform(table(x=[1]))
    with pytest.raises(DataError, match=r"lacks 'x', 'kind', which .*; add the columns$"):
        encoder.transform(table(y=[1]))


@pytest.mark.parametrize(
    ("values", "example"),
    [
        (["1", "many", "few"], "many"),
        (pd.to_datetime(["2020-01-01"] * 3), "2020-01-01.*"),
        (pd.Categorical(["1", "many", "1"]), "many"),
    ],
)
def test_text_where_training_had_numbers(values, example):
    encoder = TableEncoder.fit(table(age=[1, 2, 3]))
    with pytest.raises(
        DataError, match=f"column 'age' must hold numbers but holds text such as '{example}' in"
    ):
        encoder.transform(table(age=values))


@pytest.mark.parametrize(
    "values",
    [
        ["3", None, "4"],
        pd.array([3, None, 4], dtype="Int64"),
        pd.array([3, None, 4], dtype="Float32"),
        [Decimal(3), None, Decimal(4)],
        pd.Categorical([3, None, 4]),
    ],
)
def test_numbers_in_other_clothes(values):
    encoder = TableEncoder.fit(table(age=[1.0, 2.0, 3.0]))
    assert encoder.transform(table(age=values)).tolist() == [[3], [2], [4]]


def test_a_column_of_gaps_at_predict_time(caplog):
    encoder = TableEncoder.fit(table(age=[1.0, 2.0, 6.0], kind=["a", None, "b"]))
    with caplog.at_level(logging.INFO, logger="autobalance.data.encoder"):
        found = encoder.transform(table(age=[None, None], kind=[np.nan, np.nan]))
    assert found.tolist() == [[2, 0, 0, 1]] * 2
    assert "filled with the median in 'age' (2 values)" in caplog.text


_columns = st.dictionaries(
    st.text(max_size=5),
    st.one_of(
        st.lists(st.none() | st.floats(allow_infinity=False, width=32), min_size=5, max_size=5),
        st.lists(st.none() | st.text(max_size=3), min_size=5, max_size=5),
        st.lists(st.none() | st.booleans(), min_size=5, max_size=5),
    ),
    min_size=1,
    max_size=4,
)


@given(_columns)
def test_the_state_restores_exactly_and_features_are_finite(columns):
    data = Table("people.csv", pd.DataFrame(columns | {"always": range(5)}), {})
    encoder = TableEncoder.fit(data)
    again = restored(encoder)
    assert again == encoder
    features = encoder.transform(data)
    np.testing.assert_array_equal(again.transform(data), features)
    assert again.feature_names == encoder.feature_names
    assert features.shape == (len(data), len(encoder.feature_names))
    assert np.isfinite(features).all()


def test_a_float32_matrix_restores_exactly():
    matrix = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    matrix[::3] = np.nan
    data = table({"features": matrix}, kind=list("abcabcabc"))
    encoder = TableEncoder.fit(data)
    np.testing.assert_array_equal(restored(encoder).transform(data), encoder.transform(data))


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("numeric"),
        lambda state: state.pop("categorical"),
        lambda state: state["numeric"].update(columns="age"),
        lambda state: state["numeric"].update(widths=[3]),
        lambda state: state["numeric"].update(medians=[1.0]),
        lambda state: state["numeric"].update(medians=[float("nan")] * 3),
        lambda state: state["numeric"].update(medians=[None] * 3),
        lambda state: state["categorical"][0].update(categories=[1, 2]),
        lambda state: state["categorical"].append(3),
    ],
)
def test_a_damaged_state(damage):
    state = TableEncoder.fit(
        table({"emb": np.ones((2, 2))}, age=[1, 2], kind=["a", "b"])
    ).to_state()
    damage(state)
    with pytest.raises(
        ArtifactError, match=r"saved table encoder is damaged .* fit the model again"
    ):
        TableEncoder.from_state(state)


SMALL_ENOUGH = {
    "float32": np.array([0.1, np.nan, 3e38], np.float32),
    "int16": np.array([1, -2, 3], np.int16),
    "int64": np.array([1, -2, 65536]),
    "whole with a gap": np.array([1.0, np.nan, 65536.0]),
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "float32 as float64": np.array([np.nan, *np.float32([0.1, 0.2])], np.float64),
}
TOO_LARGE = {
    "a tenth": np.array([0.1, 0.2, 0.3]),
    "large": np.array([1, 2, 65537]),
    "beyond": np.array([1.0, 2.0, 1e300]),
}


@pytest.mark.parametrize("values", SMALL_ENOUGH.values(), ids=list(SMALL_ENOUGH))
def test_numbers_that_fit_are_kept_in_float32_without_loss(values):
    data = table(x=values, kind=["a", "b", "a"])
    encoder = TableEncoder.fit(data)
    found = encoder.transform(data)
    assert found.dtype == np.float32
    expected = pd.Series(values).astype("float64").fillna(encoder.numeric.medians[0])
    np.testing.assert_array_equal(found[:, 0].astype(np.float64), expected)
    np.testing.assert_array_equal(restored(encoder).transform(data), found)


@pytest.mark.parametrize("values", TOO_LARGE.values(), ids=list(TOO_LARGE))
def test_other_numbers_are_kept_in_float64(values):
    narrow = np.arange(3, dtype=np.float32)
    data = table(x=values, y=narrow)
    found = TableEncoder.fit(data).transform(data)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.column_stack([values, narrow]))


def test_whole_numbers_that_differ_little_are_no_constant():
    codes = table(code=np.repeat([10_000_000, 10_000_001], 20))
    features = torch.from_numpy(TableEncoder.fit(codes).transform(codes))
    matrix = FeatureMatrix(features, torch.ones(40, dtype=torch.float64))
    assert float(matrix.scale[0]) == pytest.approx(0.5)


def test_encoding_takes_memory_for_a_few_columns_beside_its_result():
    rng = np.random.default_rng(0)
    n_rows = 8000
    values = rng.normal(size=(n_rows, 150)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    columns = {f"x{j}": values[:, j].copy() for j in range(100)}
    columns |= {f"c{j}": rng.choice(["a", "b", "c"], n_rows) for j in range(5)}
    data = table(vectors={"v": values[:, 100:]}, **columns)

    def peak(work):
        tracemalloc.start()
        result = work()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result, most

    encoder, to_fit = peak(lambda: TableEncoder.fit(data))
    features, to_transform = peak(lambda: encoder.transform(data))
    assert features.dtype == np.float32
    assert features.shape == (n_rows, 165)
    assert to_fit < 0.75 * features.nbytes
    assert to_transform < 1.75 * features.nbytes
    filled = np.where(np.isnan(values), np.float32(encoder.numeric.medians), values)
    np.testing.assert_array_equal(features[:, :150], filled)


def test_numbers_too_large_for_a_median_are_named():
    with pytest.raises(
        DataError, match=r"feature 'b' of people\.csv are too large to have a median"
    ):
        TableEncoder.fit(table(a=[1.0, 2.0], b=[1.5e308, 1.7e308]))
