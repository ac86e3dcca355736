import gzip
import math
import string
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.tables import Table, read_table
from autobalance.errors import DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    path = tmp_path / "embeddings.npz"
    np.savez(
        path,
        features=np.arange(12, dtype=np.float16).reshape(4, 3),
        y=np.array([0, 1, 0, 1]),
        place=np.array([b"land", b"water", b"land", b"land"]),
        short=np.array([1, 2]),
        labels=np.eye(4, 2),
        source=np.array("somewhere"),
        pickled=np.array([None, {}, 1, 2], dtype=object),
        complex=np.ones(4, dtype=np.complex128),
    )
    return path


def test_csv_and_its_gzip_read_alike(tmp_path):
    text = "age,name,ok\n1,a,True\n,?,False\n3, b,True\n"
    plain = read_table(write(tmp_path / "t.csv", text))
    packed = tmp_path / "T.CSV.GZ"
    packed.write_bytes(gzip.compress(text.encode()))
    zipped = read_table(packed)
    pd.testing.assert_frame_equal(plain.frame, zipped.frame)
    assert plain.names == ["age", "name", "ok"]
    assert len(plain) == 3
    assert plain.column("ok").tolist() == [True, False, True]
    assert plain.column("name").isna().tolist() == [False, True, False]
    assert plain.column("name").tolist()[::2] == ["a", "b"]  # the space after a comma is no data
    assert math.isnan(plain.column("age")[1])


@pytest.mark.parametrize("spelling", ["", "?", "NA", "NaN", "null"])
def test_spellings_of_missing(tmp_path, spelling):
    table = read_table(write(tmp_path / "t.csv", f"a,b\nx,1\n{spelling},2\n"))
    assert table.column("a").isna().tolist() == [False, True]


# Text that no reader can take for a number, a truth value or a gap, and no stripped space.
_words = st.text(st.sampled_from(string.ascii_letters + "äß😀,;\"'|\t #=[]"), max_size=8).map(
    "w".__add__
)
_finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    names=st.lists(_words, min_size=3, max_size=3, unique=True),
    rows=st.lists(
        st.tuples(
            _words,
            st.one_of(st.none(), _finite),
            st.integers(min_value=-(2**63), max_value=2**63 - 1),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_csv_round_trip(tmp_path_factory, names, rows):
    frame = pd.DataFrame(rows, columns=names).astype({names[1]: float, names[2]: "int64"})
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    frame.to_csv(path, index=False)
    found = read_table(path)
    assert found.names == names
    assert found.column(names[0]).tolist() == frame[names[0]].tolist()
    assert found.column(names[2]).tolist() == frame[names[2]].tolist()
    # pandas 2 reads decimals to the last bit but one.
    np.testing.assert_allclose(found.column(names[1]), frame[names[1]], rtol=1e-15)


@pytest.mark.parametrize(
    ("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_wrong_separator(tmp_path, separator, word):
    text = "\n".join(separator.join(row) for row in [("a", "b"), ("1,5", "2,5")])
    with pytest.raises(DataError, match=f"separated by {word}; save it with commas") as caught:
        read_table(write(tmp_path / "t.csv", text))
    assert "t.csv" in str(caught.value)


def test_a_single_column_is_no_wrong_separator(tmp_path):
    assert read_table(write(tmp_path / "t.csv", "only\n1\n")).names == ["only"]


def test_repeated_names(tmp_path):
    with pytest.raises(DataError, match="more than one column named 'b'; give every column"):
        read_table(write(tmp_path / "t.csv", "a,b,b\n1,2,3\n"))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n1,2,3\n",  # one row too long
        "a,b\n1,2,3\n4,5,6\n",  # all rows too long: pandas alone would shift or cut them
        'a,b\n"1,2\n',  # a quote that never ends
        "\n\n",
    ],
)
def test_damaged_csv(tmp_path, text):
    with pytest.raises(DataError, match=r"cannot read .*t\.csv as \.csv \(.+\); restore the file"):
        read_table(write(tmp_path / "t.csv", text))


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\né,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="its text is not UTF-8"):
        read_table(path)


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,2\n".encode("utf-8-sig"))
    assert read_table(path).names == ["a", "b"]


def test_a_header_without_rows(tmp_path):
    with pytest.raises(DataError, match="columns but no rows"):
        read_table(write(tmp_path / "t.csv", "a,b\n"))


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv does not exist; check the path"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"aaa\.csv does not exist"):
        read_table("a" * 5000 + ".csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder\.csv is not a file"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(DataError, match=r"zero\.parquet is empty"):
        read_table(write(tmp_path / "zero.parquet", ""))
    with pytest.raises(DataError, match=r"t\.xlsx is; use a file named \.csv or \.csv\.gz"):
        read_table(write(tmp_path / "t.xlsx", "a"))


def test_unknown_column(tmp_path):
    path = write(tmp_path / "t.csv", "income,sex\n1,a\n")
    with pytest.raises(DataError, match=r"has no column 'incom'; did you mean 'income'\?"):
        read_table(path, required=["incom"])
    with pytest.raises(DataError, match="has no column 'zzz'; it has 'income', 'sex'"):
        read_table(path).column("zzz")


def test_features_key_of_a_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="leave --features out"):
        read_table(write(tmp_path / "t.csv", "a,b\n1,2\n"), features="a")


def test_parquet_keeps_types_and_expands_vectors(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "c": pd.Categorical(["x", "y", "x"]),
            "when": pd.to_datetime(["2020-01-01"] * 3),
            "emb": [np.array([1, 2], dtype=np.float32)] * 3,
            "ragged": [[1.0], [1.0, 2.0], [3.0]],
            "gappy": [[1.0], None, [2.0]],
            "struct": [{"bytes": b"1"}] * 3,
        },
        index=[5, 6, 7],
    ).to_parquet(path)
    table = read_table(path)
    assert table.names == ["n", "c", "when", "ragged", "gappy", "struct", "emb"]
    assert table.vectors["emb"].dtype == np.float32
    np.testing.assert_array_equal(table.vectors["emb"], [[1, 2]] * 3)
    assert list(table.frame.index) == [0, 1, 2]
    with pytest.raises(DataError, match=r"column 'emb' of .* holds a vector .* labels one by one"):
        table.column("emb")


def test_parquet_of_vectors_alone_and_named_index(tmp_path):
    path = tmp_path / "t.parquet"
    index = pd.Index(["p", "q"], name="id")
    pd.DataFrame({"emb": [[1, 2, 3], [4, 5, 6]]}, index=index).to_parquet(path)
    assert read_table(path).names == ["id", "emb"]
    pd.DataFrame({"emb": [[1, 2, 3], [4, 5, 6]]}).to_parquet(path)
    table = read_table(path)
    assert (len(table), table.names) == (2, ["emb"])


def test_npz(embeddings):
    table = read_table(embeddings, features="features", required=["y", "place"])
    assert table.names == ["y", "place", "features"]
    assert table.vectors["features"].dtype == np.float16
    assert table.column("place").tolist() == ["land", "water", "land", "land"]
    assert len(read_table(embeddings, features="features")) == 4


@pytest.mark.parametrize(
    ("features", "required", "sentence"),
    [
        (None, [], "name the feature array of .* with --features; it holds 'features', 'y', 'pl"),
        ("feats", [], "no array 'feats'; it holds 'features', 'y'"),
        ("features", ["target"], "no array 'target'; it holds 'features', 'y'"),
        ("y", [], r"array 'y' of .* has shape \(4,\) and holds int64; the features must be"),
        ("features", ["short"], r"array 'short' of .* has shape \(2,\) but 'features' has 4 rows"),
        ("features", ["labels"], r"'labels' of .* has shape \(4, 2\) .* to fit one by one"),
        ("features", ["source"], r"array 'source' of .* has shape \(\) but"),
        ("features", ["pickled"], "Object arrays cannot be loaded"),
        ("features", ["complex"], "array 'complex' of .* holds complex128 values"),
    ],
)
def test_npz_refusals(embeddings, features, required, sentence):
    with pytest.raises(DataError, match=sentence):
        read_table(embeddings, features=features, required=required)


def test_an_npy_file_under_the_wrong_name(tmp_path):
    path = tmp_path / "t.npz"
    with open(path, "wb") as stream:
        np.save(stream, np.ones((2, 2)))
    with pytest.raises(DataError, match=r"t\.npz"):
        read_table(path, features="features")


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".npz"])
def test_every_truncation_is_one_clear_error(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    frame = pd.DataFrame({"a": np.arange(50.0), "b": list("xy") * 25})
    if suffix == ".npz":
        np.savez_compressed(whole, features=frame[["a"]].to_numpy())
    else:
        frame.to_csv(whole, index=False) if suffix == ".csv.gz" else frame.to_parquet(whole)
    content = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    features = "features" if suffix == ".npz" else None
    assert len(read_table(whole, features=features)) == 50
    for size in range(1, len(content), max(1, len(content) // 60)):
        cut.write_bytes(content[:size])
        with pytest.raises(DataError, match=f"cannot read .*cut{suffix}"):
            read_table(cut, features=features)


def test_selecting_rows_and_columns(embeddings):
    table = read_table(embeddings, features="features", required=["y", "place"])
    assert table.only(["features", "y"]).names == ["y", "features"]
    assert table.without(["y", "place"]).names == ["features"]
    with pytest.raises(DataError, match="no column 'nothing'"):
        table.without(["nothing"])
    by_mask = table.rows(np.array([False, True, False, True]))
    by_position = table.rows(np.array([1, 3]))
    for part in (by_mask, by_position):
        assert part.column("place").tolist() == ["water", "land"]
        assert list(part.frame.index) == [0, 1]
        np.testing.assert_array_equal(part.vectors["features"][:, 0], [3, 9])


def test_the_table_of_any_frame():
    table = Table("memory", pd.DataFrame({"a": [1, 2]}), {})
    assert table.columns(["a"])["a"].tolist() == [1, 2]


def test_the_core_does_without_pandas():
    script = (
        "import sys\n"
        "sys.modules['pandas'] = None  # as if it were not installed\n"
        "import autobalance, autobalance.data, autobalance.data.longtail, autobalance.counts"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_parquet_file_is_read_as_pandas_reads_it(tmp_path):
    """The columns are taken over one by one, whatever they hold and in however many row groups."""
    whole = np.arange(60)
    gaps = whole % 7 == 0
    frame = pd.DataFrame(
        {
            "real": np.where(gaps, np.nan, whole / 3).astype(np.float32),
            "whole": whole,
            "nullable": pd.array(whole, dtype="Int64"),
            "truth": whole % 2 == 0,
            "maybe": np.where(gaps, None, whole % 2 == 0),
            "text": np.where(gaps, None, whole.astype(str)),
            "kind": pd.Categorical(whole % 4),
            "price": [Decimal(int(each)) / 4 for each in whole],
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(whole, unit="D"),
        }
    )
    frame.loc[gaps, "nullable"] = pd.NA
    path = tmp_path / "t.parquet"
    frame.to_parquet(path, row_group_size=25)
    found = read_table(path).frame
    pd.testing.assert_frame_equal(found, pd.read_parquet(path))
    for _, column in found.items():
        assert len(column.iloc[[5, 3]]) == 2


def test_parquet_text_that_is_no_utf8_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"y": ["wordword"] * 9}).to_parquet(path, compression="none")
    path.write_bytes(path.read_bytes().replace(b"wordword", b"word\xd0\xd0rd"))
    with pytest.raises(DataError, match=r"cannot read .*Invalid UTF8"):
        read_table(path)


@pytest.mark.parametrize(
    "content", [b"no array at all", b"\x93NUMPY\x01\x00\x08\x00{(\n     ", b""]
)
def test_archives_with_something_else_inside(tmp_path, content):
    np.savez(tmp_path / "t.npz", features=np.ones((2, 2)))
    with zipfile.ZipFile(tmp_path / "t.npz", "a") as archive:
        archive.writestr("y.npy", content)
    with pytest.raises(DataError, match=r"t\.npz"):
        read_table(tmp_path / "t.npz", features="features", required=["y"])


def test_archives_of_text_that_is_none(tmp_path):
    np.savez(tmp_path / "t.npz", features=np.ones((2, 2)), y=np.array(["a", "\udcfb"]))
    with pytest.raises(DataError, match="cannot read"):
        read_table(tmp_path / "t.npz", features="features", required=["y"])
