"""Tables that people really have, and worse, as files of every kind that is read."""

import io
import random
import string
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.odd_inputs.kit import mutated_bytes

TARGETS = ("y", "kind")
_WORDS = (
    "a",
    "b",
    "red",
    "",
    " ",
    "é",
    "new\nline",
    'quo"te',
    "a,b",
    "?",
    "NA",
    "名",
    "1",
    "None",
    "\x00",
    "a" * 300,
)


def _column(rng: random.Random, n: int, usable: bool = False) -> list:
    """Values of one kind, or of several."""
    mixed = [
        None,
        1,
        2.5,
        "x",
        True,
        float("inf"),
        -1e308,
        10**30,
        "2020-01-01",
        "1,5",
        " 7 ",
        "nan",
    ]
    makers = (
        lambda: [rng.gauss(0, 1) for _ in range(n)],
        lambda: [rng.gauss(0, 1) for _ in range(n)],
        lambda: [rng.randrange(5) for _ in range(n)],
        lambda: list(range(n)),
        lambda: [rng.choice(_WORDS[:4]) for _ in range(n)],
        lambda: [rng.choice(_WORDS) for _ in range(n)],
        lambda: [rng.choice((True, False)) for _ in range(n)],
        lambda: [rng.choice((True, None)) for _ in range(n)],
        lambda: [None] * n,
        lambda: [7] * n,
        lambda: [rng.choice((None, 1.5, 2)) for _ in range(n)],
        lambda: [f"id{i}" for i in range(n)],
        lambda: [rng.choice(mixed) for _ in range(n)],
        lambda: [rng.choice((0.0, 1e308, -1e308, 1e-320)) for _ in range(n)],
        lambda: [rng.choice((0.5, float("inf"), None)) for _ in range(n)],
        lambda: [f"2024-0{rng.randrange(1, 10)}-11" for _ in range(n)],
        lambda: [10 ** rng.randrange(30) for _ in range(n)],
        lambda: [rng.choice(("9" * 25, "-1", "0x10", "1_000", "1e400")) for _ in range(n)],
    )
    return rng.choice(makers[:12] if usable else makers)()


def _target(rng: random.Random, n: int) -> list:
    """Classes, mostly usable ones."""
    makers = (
        lambda: [rng.choice(("no", "no", "yes")) for _ in range(n)],
        lambda: [rng.choice((0, 0, 1)) for _ in range(n)],
        lambda: [rng.choice((True, False)) for _ in range(n)],
        lambda: [rng.choice(("é", "new\nline", "名", "")) for _ in range(n)],
        lambda: ["only"] * n,
        lambda: [*["no"] * (n - 1), "single"][:n],
        lambda: [rng.choice(("no", "yes", None)) for _ in range(n)],
        lambda: [f"c{i // 2}" for i in range(n)],
    )
    usable = rng.random() < 0.8
    return rng.choice(makers[:3])() if usable else rng.choice((*makers, lambda: _column(rng, n)))()


def odd_frame(rng: random.Random) -> dict[str, list]:
    """Columns by name, of equal lengths."""
    n = rng.choice((0, 1, 2, 5, *(30, 60) * 10, 120))
    names = rng.sample(
        ("a", "b", "x y", "é", "Unnamed: 0", "", "1", "a.1", "index", "名"),
        rng.choice((0, 1, 2, 2, 3)),
    )
    usable = rng.random() < 0.5
    columns = {name: _column(rng, n, usable) for name in names}
    columns["y"] = _target(rng, n)
    if rng.random() < 0.95:
        usual = [rng.choice("ls") for _ in range(n)]
        columns["place"] = _column(rng, n) if rng.random() < 0.3 else usual
    if rng.random() < 0.95:
        usual = ("train", "train", "test", "TEST ", "val", "dev")
        odd = ("train", "later", None, 0, 1, 2, 3, 0.5, "")
        parts = usual if rng.random() < 0.8 else odd[: rng.randrange(1, 9)]
        columns["part"] = [rng.choice(parts) for _ in range(n)]
    if rng.random() < 0.02:
        columns["many"] = [f"category {rng.randrange(5000)}" for _ in range(n)]
    return columns


def _csv(rng: random.Random, columns: dict[str, list]) -> bytes:
    names = list(columns)
    if rng.random() < 0.06:
        names[rng.randrange(len(names))] = rng.choice((*names, "", " ", "a"))
    text = io.StringIO()
    frame = pd.DataFrame(
        {i: pd.Series(values, dtype=object) for i, values in enumerate(columns.values())}
    )
    frame.to_csv(
        text,
        sep=rng.choice((",",) * 50 + (";", "\t", "|")),
        index=rng.random() < 0.1,
        header=names if rng.random() < 0.97 else False,
        lineterminator=rng.choice(("\n", "\n", "\r\n", "\r")),
        na_rep=rng.choice(("", "", "?", "NaN", "null")),
    )
    written = text.getvalue()
    if rng.random() < 0.15:
        written = _ragged(rng, written)
    encodings = ("utf-8",) * 50 + ("utf-8-sig", "utf-16", "latin-1", "utf-32")
    data = written.encode(rng.choice(encodings), errors="replace")
    return mutated_bytes(rng, data) if rng.random() < 0.12 else data


def _ragged(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    extra = rng.choice((",1", ",,,", '"', "\\", "#", "".join(rng.choices(string.printable, k=9))))
    match rng.randrange(4):
        case 0:
            lines[at] += extra
        case 1:
            lines[at] = lines[at].rpartition(",")[0]
        case 2:
            lines.insert(at, rng.choice(("", extra, "\ufeff")))
        case _:
            lines = [line + extra for line in lines]
    return "\n".join(lines)


def _parquet(rng: random.Random, columns: dict[str, list]) -> bytes:
    n = len(columns["y"])
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            arrays[name] = pa.array([None if value is None else str(value) for value in values])
    for name, make in _ARROW.items():
        if rng.random() < 0.02:
            arrays[name] = make(rng, n)
    table = pa.table(arrays)
    if rng.random() < 0.05:
        table = pa.Table.from_arrays([*table.columns, table.columns[0]], [*table.column_names, "y"])
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return mutated_bytes(rng, stream.getvalue()) if rng.random() < 0.15 else stream.getvalue()


_ARROW = {
    "vector": lambda rng, n: pa.array(
        [[rng.gauss(0, 1)] * 3 for _ in range(n)], pa.list_(pa.float32())
    ),
    "uneven": lambda rng, n: pa.array(
        [[1.0] * rng.randrange(3) for _ in range(n)], pa.list_(pa.float64())
    ),
    "gaps": lambda rng, n: pa.array([[1.0, None] for _ in range(n)], pa.list_(pa.float64())),
    "nested": lambda rng, n: pa.array([[[1], [2]] for _ in range(n)]),
    "texts": lambda rng, n: pa.array([["a", "b"] for _ in range(n)], pa.list_(pa.string())),
    "fixed": lambda rng, n: pa.array([[1, 2] for _ in range(n)], pa.list_(pa.int8(), 2)),
    "struct": lambda rng, n: pa.array([{"p": i} for i in range(n)], pa.struct([("p", pa.int64())])),
    "map": lambda rng, n: pa.array(
        [[("k", i)] for i in range(n)], pa.map_(pa.string(), pa.int64())
    ),
    "time": lambda rng, n: pa.array(
        [rng.choice((0, -(2**40), 2**40)) for _ in range(n)], pa.timestamp("s")
    ),
    "date": lambda rng, n: pa.array([rng.randrange(9999) for _ in range(n)], pa.date32()),
    "span": lambda rng, n: pa.array(range(n), pa.duration("ms")),
    "bytes": lambda rng, n: pa.array([b"\xff" for _ in range(n)], pa.binary()),
    "decimal": lambda rng, n: pa.array(range(n), pa.decimal128(30, 3)),
    "category": lambda rng, n: pa.array([rng.choice("ab") for _ in range(n)]).dictionary_encode(),
    "big": lambda rng, n: pa.array([2**64 - 1 - i for i in range(n)], pa.uint64()),
    "half": lambda rng, n: pa.array(np.arange(n, dtype=np.float16)),
    "nothing": lambda rng, n: pa.nulls(n),
}


def _npz(rng: random.Random, columns: dict[str, list]) -> bytes:
    n = len(columns["y"])
    width = rng.choice((0, *(1, 3) * 6))
    features = np.array([[rng.gauss(0, 1) for _ in range(width)] for _ in range(n)]).reshape(
        n, width
    )
    odd = (
        lambda: features.astype(np.float16),
        lambda: features > 0,
        lambda: features.astype(np.complex128),
        lambda: features.astype(str),
        lambda: features.astype(object),
        lambda: features.reshape(-1),
        lambda: features[:, :, None],
        lambda: np.where(features > 0, np.inf, features),
        lambda: np.where(features > 0, np.nan, features),
        lambda: np.full_like(features, np.nan),
        lambda: np.clip(features, -1, 1) * 1e308,
        lambda: features[: n // 2],
        lambda: np.array([(1, 2.0)] * n, dtype="i4,f8"),
        lambda: np.zeros((n, 3), dtype="datetime64[s]"),
        lambda: np.array(1.0),
        lambda: features.astype(np.longdouble),
        lambda: np.asfortranarray(features).astype(">f4"),
    )
    arrays = {"x": features if rng.random() < 0.75 else rng.choice(odd)()}
    for name, values in columns.items():
        numbers = all(isinstance(value, int | float) for value in values)
        array = np.array(values if numbers else list(map(str, values)))
        as_bytes = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
        odd = (as_bytes, array.astype(object), array[:, None], array[:1])
        arrays[name or "empty"] = array if rng.random() < 0.9 else rng.choice(odd)
    stream = io.BytesIO()
    save = rng.choice((np.savez, np.savez_compressed))
    save(
        stream,
        allow_pickle=True,
        **{name.replace("/", ""): array for name, array in arrays.items()},
    )
    data = stream.getvalue()
    if rng.random() < 0.15:
        data = _with_odd_header(rng, data)
    return mutated_bytes(rng, data) if rng.random() < 0.15 else data


def _with_odd_header(rng: random.Random, data: bytes) -> bytes:
    """An archive with one array whose header says something else, in a whole zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen:
                header, body = content[:128], content[128:]
                if rng.random() < 0.5:
                    content = mutated_bytes(rng, header) + body
                else:
                    old_word, new_word = rng.choice(_HEADER_WORDS)
                    content = header.replace(old_word, new_word) + body
            new.writestr(name, content)
    return stream.getvalue()


_HEADER_WORDS = (
    *((b"'shape': (", b"'shape': (9" + b"0" * zeros) for zeros in (1, 6, 12, 30)),
    *((b"(", b"(-"), (b"False", b"True"), (b"False", b"[]"), (b"}", b""), (b"{", b"{(" * 20)),
    *((b"'descr': '", b"'descr': '|O"), (b"<f8", b"|O8"), (b"<f8", b"<M8"), (b"<f8", b"<V9")),
    *((b"NUMPY", b"NUMPI"), (b"\x01\x00", b"\x09\x00"), (b"\x01\x00", b"\x03\x00"), (b",", b"\n")),
)


def odd_file(rng: random.Random, folder: Path) -> Path:
    """A file of a table, at a path of its own kind."""
    columns = odd_frame(rng)
    suffix, make = rng.choice(
        ((".csv", _csv), (".csv", _csv), (".parquet", _parquet), (".npz", _npz))
    )
    path = folder / f"table{suffix}"
    path.write_bytes(make(rng, columns))
    return path
