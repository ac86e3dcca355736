"""The pickles of CIFAR are read as data: whatever else they are is refused."""

import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.data.images.cifar_pickle import batch_from_pickle, names_from_pickle
from autobalance.errors import DataError

PIXELS = 3 * 32 * 32


def _text(value):
    return b"U" + bytes([len(value)]) + value


def python2(rows, codes):
    """A batch as Python 2 and its NumPy wrote it, opcode by opcode: all text is bytes."""
    raw = rows.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + _text(b"b") + b"\x87R"
        b"(K\1" + b"M" + struct.pack("<H", len(rows)) + b"M" + struct.pack("<H", PIXELS) + b"\x86"
        b"cnumpy\ndtype\n" + _text(b"u1") + b"K\0K\1\x87R"
        b"(K\3" + _text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([code]) for code in codes) + b"e"
    return b"\x80\2}(" + _text(b"data") + array + _text(b"labels") + numbers + b"u."


def dumped(rows, codes, protocol=2):
    return pickle.dumps({"data": rows, "labels": codes}, protocol=protocol)


@pytest.mark.parametrize("write", [python2, dumped])
def test_a_batch(noise, write):
    rows, codes = noise(3, PIXELS), [7, 0, 255]
    data = write(rows, codes)
    assert pickle.loads(data, encoding="bytes")  # the pickle is sound
    labels, values = batch_from_pickle(data, "data_batch_1", "labels")
    assert labels.tolist() == codes
    np.testing.assert_array_equal(values, rows)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_protocols_of_python_3(noise, protocol):
    rows = noise(2, PIXELS)
    values = batch_from_pickle(dumped(rows, [1, 2], protocol), "x", "labels")[1]
    np.testing.assert_array_equal(values, rows)


class _Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (eval, ("open('WITNESS', 'w')",), "eval"),
        (exec, ("open('WITNESS', 'w')",), "exec"),
        (open, ("WITNESS", "w"), "open"),
        (getattr, ("WITNESS", "upper"), "getattr"),
        (np.load, ("WITNESS",), "load"),
        (np.array, ([1],), "array"),
    ],
)
def test_nothing_is_called(tmp_path, monkeypatch, protocol, function, arguments, named):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"data": _Calls(function, *arguments)}, protocol=protocol)
    with pytest.raises(DataError, match=rf"damaged or no pickle of CIFAR \(it asks for .*{named}"):
        batch_from_pickle(data, "x", "labels")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "numpy.core.multiarray\n_reconstruct.__globals__",
        "numpy\nndarray.__class__",
        "numpy\nndarray.__init__",
        "autobalance.data.images.cifar_pickle\npickle",
        "builtins\neval",
        "os\nsystem",
        "nt\nsystem",
    ],
)
@pytest.mark.parametrize("dotted", [False, True])
def test_no_way_round_the_four_names(name, dotted):
    module, attribute = name.split("\n")
    if dotted:  # STACK_GLOBAL of protocol 4 follows dots
        data = b"\x80\4" + b"".join(
            b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute)
        )
        data += b"\x93."
    else:
        data = b"\x80\2c" + name.encode() + b"\n."
    with pytest.raises(DataError, match=r"it asks for "):
        batch_from_pickle(data, "x", "labels")


def test_states_leave_no_trace():
    """BUILD sets attributes of what has no __setstate__; a later file is read as if it had not."""
    state = b"}" + _text(b"__defaults__") + b"Ns" + b"}" + _text(b"__kwdefaults__") + b"Ns\x86"
    for function in (b"c_codecs\nencode\n", b"cnumpy.core.multiarray\n_reconstruct\n"):
        with pytest.raises(DataError, match="x "):
            batch_from_pickle(b"\x80\2" + function + state + b"b.", "x", "labels")
    rows = np.zeros((1, PIXELS), dtype=np.uint8)
    assert batch_from_pickle(dumped(rows, [3]), "x", "labels")[0].tolist() == [3]


def test_text_alone_is_encoded():
    nested = b")q\0" + b"0h\0h\0\x86q\0" * 60  # its text would fill the memory
    data = b"\x80\2c_codecs\nencode\n" + nested + b"\x85R."
    with pytest.raises(DataError, match="it encodes a tuple"):
        batch_from_pickle(data, "x", "labels")


@pytest.mark.parametrize(
    "batch",
    [
        {},
        {"data": None, "labels": [1]},
        {"data": np.zeros((1, PIXELS), dtype=np.float32), "labels": [1]},
        {"data": np.zeros((1, PIXELS), dtype=np.int8), "labels": [1]},
        {"data": np.zeros((1, 100), dtype=np.uint8), "labels": [1]},
        {"data": np.zeros(PIXELS, dtype=np.uint8), "labels": [1]},
        {"data": np.asfortranarray(np.zeros((2, PIXELS), dtype=np.uint8)), "labels": [1, 2]},
        {"data": np.zeros((1, PIXELS), dtype=np.uint8), "labels": [1, 2]},
        {"data": np.zeros((1, PIXELS), dtype=np.uint8), "labels": [256]},
        {"data": np.zeros((1, PIXELS), dtype=np.uint8), "labels": [-1]},
        {"data": np.zeros((1, PIXELS), dtype=np.uint8), "labels": [True]},
        {"data": np.zeros((1, PIXELS), dtype=np.uint8), "labels": ["1"]},
        {"data": np.zeros((1, PIXELS), dtype=np.uint8), "fine_labels": [1]},
    ],
)
def test_batches_that_are_none(batch):
    with pytest.raises(
        DataError, match=r"^x does not hold images of 32 x 32 pixels under 'data' .*'labels'"
    ):
        batch_from_pickle(pickle.dumps(batch, protocol=2), "x", "labels")


def test_a_batch_without_images():
    with pytest.raises(DataError, match="x does not hold images"):
        batch_from_pickle(python2(np.zeros((0, PIXELS), dtype=np.uint8), []), "x", "labels")


def test_what_is_no_dictionary():
    with pytest.raises(DataError, match="x holds no dictionary; download it again"):
        batch_from_pickle(pickle.dumps([1]), "x", "labels")


def test_names():
    for names in (["cat", "dog"], [b"cat", b"dog"]):
        for key in ("label_names", b"label_names"):
            data = pickle.dumps({key: names}, protocol=2)
            assert names_from_pickle(data, "meta", "labels") == ["cat", "dog"]
    fine = pickle.dumps({"fine_label_names": ["apple"], "coarse_label_names": ["fruit"]})
    assert names_from_pickle(fine, "meta", "fine_labels") == ["apple"]
    for damaged in ({}, {"label_names": "cat"}, {"label_names": [1]}):
        with pytest.raises(DataError, match="meta has no list of names under 'label_names'"):
            names_from_pickle(pickle.dumps(damaged), "meta", "labels")


def test_every_truncation_is_one_clear_error(noise):
    data = python2(noise(1, PIXELS), [3])
    ends = [*range(200), *range(len(data) - 40, len(data))]
    for end in ends:
        with pytest.raises(DataError, match="x is damaged or no pickle of CIFAR"):
            batch_from_pickle(data[:end], "x", "labels")


@given(st.binary(max_size=60))
def test_any_bytes_are_one_clear_error(data):
    with pytest.raises(DataError, match=r"^x "):
        batch_from_pickle(data, "x", "labels")
