"""Read a user's file, CSV, Parquet or NumPy archive, into one in-memory shape.

Everything that is wrong with a file is one :class:`~autobalance.errors.DataError` that names the
file and the remedy. Nothing is unpickled.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from autobalance.data.wording import amount, listing
from autobalance.errors import DataError

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_DAMAGE = (
    EOFError,
    LookupError,
    MemoryError,  # for sizes that only a damaged header names
    OSError,
    OverflowError,
    RuntimeError,
    SystemError,  # of NumPy, for text that is none
    TypeError,
    tokenize.TokenError,  # of NumPy, for an array's header
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    pd.errors.ParserError,
    pd.errors.ParserWarning,
)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a file: columns of single values, and columns that hold one vector a row.

    Parameters
    ----------
    source
        Where the rows came from; named in errors.
    frame
        The columns of single values, one row an example, with the index 0 to N − 1.
    vectors
        Numeric matrices with N rows, by name: the feature array of an ``.npz`` file, or columns of
        equally long lists in a Parquet file. They stay matrices because a data frame of thousands
        of columns is slow.
    """

    source: str
    frame: pd.DataFrame
    vectors: Mapping[str, Shaped[ndarray, "N _"]]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def names(self) -> list[str]:
        """All column names, those of vectors last."""
        return [*self.frame.columns, *self.vectors]

    def column(self, name: str) -> pd.Series[Any]:
        """One column of single values.

        Raises
        ------
        DataError
            If there is no such column, or it holds vectors.
        """
        return self.columns([name])[name]

    def columns(self, names: Sequence[str]) -> pd.DataFrame:
        """Several columns of single values; raises as :meth:`column` does."""
        self._check(names)
        for name in names:
            if name in self.vectors:
                raise DataError(
                    f"column {name!r} of {self.source} holds a vector in each row; "
                    "choose a column of single values, and fit several labels one by one, each "
                    "from a column of its own"
                )
        return self.frame[list(names)]

    def only(self, names: Sequence[str]) -> Table:
        """The table with these columns alone.

        Raises
        ------
        DataError
            If a column does not exist.
        """
        self._check(names)
        return replace(
            self,
            frame=self.frame[[name for name in self.frame.columns if name in names]],
            vectors={name: values for name, values in self.vectors.items() if name in names},
        )

    def without(self, names: Sequence[str]) -> Table:
        """The table less these columns; raises as :meth:`only` does."""
        self._check(names)
        return self.only([name for name in self.names if name not in names])

    def rows(self, selection: Int[ndarray, "M"] | Bool[ndarray, "N"]) -> Table:
        """The rows at these positions, or where a mask is true."""
        return replace(
            self,
            frame=self.frame.iloc[selection].reset_index(drop=True),
            vectors={name: values[selection] for name, values in self.vectors.items()},
        )

    def _check(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.frame.columns and name not in self.vectors:
                close = get_close_matches(name, self.names, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {listing(self.names)}"
                raise DataError(f"{self.source} has no column {name!r}; {hint}")


def read_table(
    path: str | Path,
    *,
    features: str | None = None,
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Table:
    """Read a ``.csv``, ``.csv.gz``, ``.parquet`` or ``.npz`` file.

    In CSV files an empty cell, ``?``, ``NA``, ``NaN`` and the other spellings that pandas knows
    count as missing. The first line must hold the column names, and commas separate the values.

    Parameters
    ----------
    path
        The file; its suffix says what it is.
    features
        The key of the two-dimensional feature array, for ``.npz`` files alone.
    required
        Columns that must exist, such as the target.
    optional
        Columns that are read if they exist. Of an ``.npz`` file nothing is read but these,
        ``required`` and ``features``; of other files everything is.

    Raises
    ------
    DataError
        If the file is missing, empty, damaged or of an unknown kind, a column name appears twice,
        values are not separated by commas, or a required column does not exist.
    """
    path = Path(path)
    name = path.name.lower()
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    if suffix is None:
        raise DataError(f"cannot tell what {path} is; use a file named {' or '.join(SUFFIXES)}")
    if not os.path.isfile(path):  # Path.is_file raises where a folder on the way is not readable
        problem = "is not a file" if os.path.exists(path) else "does not exist"
        raise DataError(f"{path} {problem}; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; save the table again")
    if features is not None and suffix != ".npz":
        raise DataError(
            f"{path} has no array {features!r} because it is a table; leave --features out, "
            "all columns are features"
        )
    try:
        if suffix == ".npz":
            table = _read_npz(path, features, required, optional)
        else:
            table = _read_parquet(path) if suffix == ".parquet" else _read_csv(path, suffix)
    except DataError:
        raise
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        if isinstance(error, UnicodeDecodeError):
            reason = "its text is not UTF-8"
        raise DataError(
            f"cannot read {path} as {suffix} ({reason}); restore the file or save it again"
        ) from error
    if len(table) == 0:
        raise DataError(f"{path} has columns but no rows; save the table again")
    table._check(required)
    return table


def _read_csv(path: Path, suffix: str) -> Table:
    # read_csv renames a repeated column without a word, so the first line is read as data first.
    gzipped: Literal["gzip"] | None = "gzip" if suffix == ".csv.gz" else None
    first_line = pd.read_csv(
        path,
        header=None,
        nrows=1,
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        compression=gzipped,
    ).iloc[0]
    if len(first_line) == 1:
        for separator, word in _OTHER_SEPARATORS.items():
            if separator in first_line[0]:
                raise DataError(
                    f"{path} has the single column {first_line[0]!r}, so its values seem to be "
                    f"separated by {word}; save it with commas"
                )
    refuse_repeated(path, [name for name in first_line if name])
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
        frame = pd.read_csv(
            path,
            index_col=False,  # or pandas shifts the columns when every row is one value too long
            na_values=["?"],
            skipinitialspace=True,
            low_memory=False,  # or the type of a column may change from chunk to chunk
            compression=gzipped,
        )
    return Table(str(path), frame, {})


def _read_parquet(path: Path) -> Table:
    import pyarrow.parquet as pq

    # ParquetFile reads this file and nothing else; read_table adds columns for folders named k=v.
    # Neither the file itself nor several threads' buffers are kept beside the table.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        arrow = file.read(use_threads=False)
    arrow.validate(full=True)  # or a damaged text would show only when it is looked at
    refuse_repeated(path, arrow.column_names)
    matrices = {name: _list_matrix(arrow.column(name)) for name in arrow.column_names}
    vectors = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    arrow = arrow.drop_columns(list(vectors))
    # pandas takes columns over, or they go as soon as it has a copy: no two tables in memory.
    frame = arrow.to_pandas(split_blocks=True, self_destruct=True)
    del arrow
    give_back_memory()
    # pandas saves its index as a column: a named one is data, an unnamed one counts rows.
    frame = frame.reset_index(drop=all(name is None for name in frame.index.names))
    frame.columns = pd.Index([str(name) for name in frame.columns])
    return Table(str(path), frame, vectors)


def give_back_memory() -> None:
    """Return to the system what Arrow and the C library keep of tables that are no more."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it, and needs it
        ctypes.CDLL(None).malloc_trim(0)


def _list_matrix(column: Any) -> Shaped[ndarray, "N D"] | None:
    """The matrix in an Arrow column of equally long lists of numbers, else ``None``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (lists or pa.types.is_fixed_size_list(kind)) or column.null_count:
        return None
    if not (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)):
        return None
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) != 1 or lengths[0] == 0:
        return None
    values = pc.list_flatten(column).to_numpy()
    return np.asarray(values.reshape(len(column), lengths[0]))


def _read_npz(
    path: Path, features: str | None, required: Sequence[str], optional: Sequence[str]
) -> Table:
    # np.load leaves a damaged file open, so the file is opened here.
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
        keys = listing(archive.files, limit=20)
        if features is None:
            raise DataError(f"name the feature array of {path} with --features; it holds {keys}")
        for key in (features, *required):
            if key not in archive.files:
                raise DataError(f"{path} has no array {key!r}; it holds {keys}")
        found = [key for key in optional if key in archive.files]
        arrays = {key: _npz_array(path, key, archive[key]) for key in (features, *required, *found)}
    matrix = arrays.pop(features)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind in "US":
        raise DataError(
            f"array {features!r} of {path} has shape {matrix.shape} and holds {matrix.dtype}; "
            "the features must be numbers with one row per example and one column per feature"
        )
    for key, array in arrays.items():
        if array.shape != matrix.shape[:1]:
            raise DataError(
                f"array {key!r} of {path} has shape {array.shape} but {features!r} has "
                f"{amount(len(matrix), 'row')}; give one value per row, and several labels as "
                "arrays of their own, to fit one by one"
            )
    frame = pd.DataFrame(arrays, index=pd.RangeIndex(len(matrix)))
    return Table(str(path), frame, {features: matrix})


def _npz_array(path: Path, key: str, array: Any) -> Shaped[ndarray, "*_"]:
    if not isinstance(array, ndarray):  # NumPy hands out the bytes of what is no array
        raise DataError(f"{key!r} of {path} is no array; save the file again")
    if array.dtype.kind not in "biufUS":
        raise DataError(
            f"array {key!r} of {path} holds {array.dtype} values; save it as numbers or text"
        )
    if array.dtype.kind == "U":
        np.char.encode(array, "utf-8")  # or damaged text would show only when it is looked at
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array


def refuse_repeated(path: Path, names: Sequence[str]) -> None:
    """Check that every column of a file has a name of its own.

    Raises
    ------
    DataError
        If two have the same.
    """
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise DataError(
            f"{path} has more than one column named {listing(repeated)}; "
            "give every column a name of its own"
        )
