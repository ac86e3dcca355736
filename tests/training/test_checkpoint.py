"""Training state comes back bit for bit, or not at all, whenever its process is killed."""

import hashlib
import json
import math
import os
import random
import re
from collections import OrderedDict

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st

from autobalance.errors import ArtifactError
from autobalance.training.checkpoint import (
    Checkpoints,
    decode_state,
    encode_state,
    rng_state,
    set_rng_state,
)

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.complex128),
    *(torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool),
]


def random_bits(dtype, shape, seed=0):
    """Any bits, so NaNs with payloads, subnormals and negative zeros too; for bool, 0 and 1."""
    size = math.prod(shape) * dtype.itemsize
    bits = np.random.default_rng(seed).integers(2 if dtype is torch.bool else 256, size=size)
    tensor = torch.empty(shape, dtype=dtype)
    tensor.reshape(-1).view(torch.uint8).copy_(torch.from_numpy(bits))
    return tensor


def bits_of(tensor):
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


def spelled(value):
    """``value`` with every type and bit in sight, so that ``==`` overlooks nothing."""
    if isinstance(value, torch.Tensor):
        return ("tensor", str(value.device), value.dtype, tuple(value.shape), bits_of(value))
    if isinstance(value, list | tuple):
        return (type(value), [spelled(item) for item in value])
    if isinstance(value, dict):
        return (dict, [(spelled(key), spelled(item)) for key, item in value.items()])
    return (type(value), repr(value))


TENSORS = st.builds(
    random_bits,
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.integers(0, 5),
)
TEXT = st.text(st.characters())  # lone surrogates too
STATES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.integers() | TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)


def sealed(payload):
    return hashlib.sha256(payload).digest() + payload


def sealed_document(document, arrays=None):
    metadata = {"checkpoint": json.dumps(document)}
    return sealed(safetensors.numpy.save(arrays or {}, metadata=metadata))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@given(STATES)
def test_any_state_comes_back(state):
    assert spelled(decode_state(encode_state(state))) == spelled(state)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (5, 3)], ids=str)
def test_every_dtype_comes_back_bit_for_bit(dtype, shape):
    tensor = random_bits(dtype, shape)
    restored = decode_state(encode_state(tensor))
    assert spelled(restored) == spelled(tensor)
    restored.zero_()  # may be written to, without a warning


def test_views_and_shared_and_trainable_tensors_come_back_as_copies():
    table = torch.arange(12.0).reshape(3, 4)
    state = [table, table.T, table[:, 1], table[0, 0].expand(5), torch.nn.Parameter(table)]
    restored = decode_state(encode_state([*state, torch.tensor([1 + 2j]).conj()]))
    for before, after in zip(state, restored, strict=False):
        assert torch.equal(before, after)
        assert not after.requires_grad
    assert restored[-1].item() == 1 - 2j
    assert len({tensor.data_ptr() for tensor in restored}) == len(restored)


def test_subclasses_come_back_as_the_plain_type():
    state = [OrderedDict(a=np.float64(1.5)), torch.Size([2, 3]), np.float64("nan")]
    assert spelled(decode_state(encode_state(state))) == spelled([{"a": 1.5}, (2, 3), math.nan])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"optimizer": {"foo": {1}}}, "state['optimizer']['foo'] is a set that"),
        ([1, (2, {3: np.zeros(2)})], "state[1][1][3] is a ndarray that"),
        (torch.eye(2).to_sparse(), "state is a Tensor that a checkpoint cannot hold; use dense"),
        ({"a": {1.5: 0}}, "state['a'] has the key 1.5; use text or whole numbers as keys"),
        ({"step": np.int64(3)}, "state['step'] is a int64 that"),
        ({"call": print}, "state['call'] is a builtin_function_or_method that"),
    ],
)
def test_what_cannot_be_held_is_named(state, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        encode_state(state)


ENCODED = encode_state({"a": [torch.arange(5), (1.5, None)], 2: torch.zeros(3, dtype=torch.bool)})


def test_a_file_cut_short_anywhere_is_noticed():
    for length in range(len(ENCODED)):
        with pytest.raises(ArtifactError, match="the checkpoint is damaged"):
            decode_state(ENCODED[:length])


@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position, flip):
    damaged = bytearray(ENCODED)
    damaged[position] ^= flip
    with pytest.raises(ArtifactError, match="the checkpoint is damaged"):
        decode_state(bytes(damaged))


OURS = {"format": "autobalance-checkpoint", "version": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the checkpoint is damaged"),
        (sealed(b""), "the file is not a checkpoint"),
        (sealed(b"\xff" * 40), "the file is not a checkpoint"),
        (sealed((10**5).to_bytes(8, "little") + b"[" * 10**5), "the file is not a checkpoint"),
        (sealed(safetensors.numpy.save({"0": np.zeros(3)})), "the file is not a checkpoint"),
        (sealed_document([]), "is not an autobalance-checkpoint file"),
        (sealed_document(OURS | {"format": "other", "state": 1}), "is not an autobalance-checkp"),
        (sealed_document(OURS | {"version": 2, "state": 1}), "version 2 but this AutoBalance"),
        (sealed_document(OURS), "the checkpoint holds no valid state"),
    ],
)
def test_a_whole_file_of_another_kind(data, message):
    with pytest.raises(ArtifactError, match=message):
        decode_state(data)


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"list": []},
        {"tuple": [], "dict": []},
        {"tuple": 3},
        {"float": "much"},
        {"dict": [[1]]},
        {"dict": [[[], 1]]},
        {"tensor": ["1", "torch.float32", [2]]},
        {"tensor": ["0", "torch.load", [2]]},
        {"tensor": ["0", [], [2]]},
        {"tensor": ["0", "torch.complex128", [1]]},
        {"tensor": ["0", "torch.float32", [3]]},
        {"tensor": ["0", "torch.float32", "two"]},
    ],
    ids=str,
)
def test_a_whole_file_with_nonsense_inside(node):
    data = sealed_document(OURS | {"state": [node]}, {"0": np.zeros(8, dtype=np.uint8)})
    with pytest.raises(ArtifactError, match="the checkpoint holds no valid state"):
        decode_state(data)


def test_nothing_saved_is_nothing_loaded(tmp_path):
    assert Checkpoints(tmp_path / "none").load() is None
    assert Checkpoints(tmp_path).load() is None


def test_the_newest_is_loaded_and_the_older_ones_go(tmp_path):
    checkpoints = Checkpoints(tmp_path / "deep" / "folder")
    for number in (7, 8, 999_999, 1_000_000):
        checkpoints.save(number, {"number": number})
        assert checkpoints.load() == (number, {"number": number})
    assert names(checkpoints.folder) == [
        "checkpoint-1000000.checkpoint",
        "checkpoint-999999.checkpoint",
    ]


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_keep(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path, keep)
    for number in range(6):
        checkpoints.save(number, None)
    assert names(tmp_path) == [f"checkpoint-{n:06d}.checkpoint" for n in range(6 - keep, 6)]


def test_saving_below_the_others_goes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for number in (10, 11, 3):
        checkpoints.save(number, number)
    assert checkpoints.load() == (3, 3)
    assert names(tmp_path) == ["checkpoint-000003.checkpoint"]


@pytest.mark.parametrize(
    ("keep", "number", "message"), [(0, 1, "keep is 0; keep at least"), (1, -1, "number is -1")]
)
def test_numbers_that_make_no_sense(tmp_path, keep, number, message):
    with pytest.raises(ValueError, match=message):
        Checkpoints(tmp_path, keep).save(number, None)


def test_a_damaged_one_is_passed_over(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for number in (4, 5, 6):
        checkpoints.save(number, number)
    damage(tmp_path / "checkpoint-000006.checkpoint")
    (tmp_path / "checkpoint-000005.checkpoint").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"from checkpoint 4 in .*-000006.*; .*-000005"):
        assert checkpoints.load() == (4, 4)
    checkpoints.save(5, "again")
    assert checkpoints.load() == (5, "again")
    assert names(tmp_path) == ["checkpoint-000004.checkpoint", "checkpoint-000005.checkpoint"]


def test_all_damaged(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for number in (1, 2):
        checkpoints.save(number, number)
        damage(tmp_path / f"checkpoint-{number:06d}.checkpoint")
    with pytest.raises(ArtifactError, match=r"no checkpoint in .* remove the folder to start over"):
        checkpoints.load()


def test_what_is_not_ours_is_left_alone(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", keep=1)
    checkpoints.save(1, 1)
    others = ["checkpoint-1.checkpoint", "checkpoint-0000002.checkpoint", "model.safetensors"]
    for name in others:
        (checkpoints.folder / name).write_text("mine")
    checkpoints.save(2, 2)
    assert checkpoints.load() == (2, 2)
    checkpoints.clear()
    assert names(checkpoints.folder) == sorted(others)


def test_clear_removes_the_folder_and_may_be_repeated(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run")
    for number in range(3):
        checkpoints.save(number, number)
    (checkpoints.folder / ".checkpoint-000003.checkpoint.1.part").write_bytes(b"half")
    checkpoints.clear()
    checkpoints.clear()
    assert names(tmp_path) == []


def test_a_full_disk_leaves_the_earlier_ones(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, "whole")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def no_space(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_space)
        with pytest.raises(ArtifactError, match=r"No space left on device\); choose a folder"):
            checkpoints.save(2, "never")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert checkpoints.load() == (1, "whole")


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    checkpoints = Checkpoints(tmp_path / "file")
    with pytest.raises(ArtifactError, match=r"cannot make the folder .*file \(File exists\)"):
        checkpoints.save(1, None)
    with pytest.raises(ArtifactError, match=r"cannot read the folder .*file \(Not a directory\)"):
        checkpoints.load()


def test_one_that_cannot_be_deleted(tmp_path):
    (tmp_path / "checkpoint-000001.checkpoint").mkdir()
    with pytest.raises(ArtifactError, match=r"cannot delete .*000001.checkpoint \("):
        Checkpoints(tmp_path).clear()


OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True),
}
SCHEDULERS = {
    "MultiStep": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4, 6]),
    "OneCycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, 20),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_training_continues_as_if_nothing_had_happened(tmp_path, optimizer, scheduler):
    def start():
        generator = torch.Generator().manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        stepper = OPTIMIZERS[optimizer](model.parameters())
        return {"model": model, "optimizer": stepper, "scheduler": SCHEDULERS[scheduler](stepper)}

    def train(run, steps):
        for step in steps:
            x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
            run["optimizer"].zero_grad()
            run["model"](x).pow(2).mean().backward()
            run["optimizer"].step()
            run["scheduler"].step()

    def state_of(run):
        return {name: part.state_dict() for name, part in run.items()}

    whole, first, second = start(), start(), start()
    train(whole, range(8))
    train(first, range(5))
    Checkpoints(tmp_path).save(5, state_of(first))
    number, state = Checkpoints(tmp_path).load()
    assert spelled(state) == spelled(state_of(first))
    for name, part in second.items():
        part.load_state_dict(state[name])
    train(second, range(number, 8))
    assert spelled(state_of(second)) == spelled(state_of(whole))


@pytest.fixture
def generators_restored():
    state = rng_state()
    yield
    set_rng_state(state)


def draws():
    numbers = [torch.randn(3).tolist(), torch.rand(3).tolist(), random.random()]
    numbers += [np.random.standard_normal(3).tolist(), random.gauss(0, 1)]  # noqa: NPY002
    return numbers


@pytest.mark.usefixtures("generators_restored")
def test_random_generators_continue():
    draws()  # leaves half a pair of normal draws in NumPy's and Python's generators
    state = decode_state(encode_state(rng_state()))
    expected = draws()
    assert draws() != expected
    set_rng_state(state)
    assert draws() == expected


@pytest.mark.usefixtures("generators_restored")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_generators_continue():
    state = decode_state(encode_state(rng_state()))
    expected = torch.rand(5, device="cuda").tolist()
    set_rng_state(state)
    assert torch.rand(5, device="cuda").tolist() == expected


@pytest.mark.usefixtures("generators_restored")
def test_gpu_generators_that_are_missing_are_left_out(monkeypatch):
    states = [torch.tensor([n], dtype=torch.uint8) for n in range(3)]
    with monkeypatch.context() as patched:
        patched.setattr(torch.cuda, "is_available", lambda: True)
        patched.setattr(torch.cuda, "get_rng_state_all", lambda: states)
        state = decode_state(encode_state(rng_state()))
    restored = {}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: restored.update({device: state})
    )
    set_rng_state(state)
    assert restored == {0: states[0], 1: states[1]}


def resigned(state, *changes):
    """The bytes of a state in whose text something is exchanged, with a digest that fits."""
    payload = encode_state(state)[32:]
    size = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + size])
    text = header["__metadata__"]["checkpoint"]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    header["__metadata__"]["checkpoint"] = text
    encoded = json.dumps(header).encode()
    payload = len(encoded).to_bytes(8, "little") + encoded + payload[8 + size :]
    return hashlib.sha256(payload).digest() + payload


@pytest.mark.parametrize(
    "change",
    [
        ("[1]", "[1000000000000]"),  # one byte that would be spread over a terabyte
        ("[1]", "[2]"),
        ("[1]", "[-1, -1]"),
        ("torch.uint8", "torch.float64"),
        ('"w"', "0.5"),
    ],
)
def test_text_that_does_not_fit_the_tensors(change):
    with pytest.raises(ArtifactError, match="holds no valid state"):
        decode_state(resigned({"w": torch.ones(1, dtype=torch.uint8)}, change))


def test_the_sentence_about_another_file_does_not_hold_the_file():
    payload = (10_000).to_bytes(8, "little") + b"\xff" * 10_000
    with pytest.raises(ArtifactError, match="is not a checkpoint") as error:
        decode_state(hashlib.sha256(payload).digest() + payload)
    assert len(str(error.value)) < 300
