"""Checkpoints of every kind of damage, with digests that fit it and without."""

import hashlib
import json
import math
import warnings

import pytest
import torch

from autobalance.errors import ArtifactError
from autobalance.training.checkpoint import Checkpoints, decode_state, encode_state
from tests.odd_inputs.kit import REFUSED, USED, mutated_bytes, mutated_json, refusal

STATES = [
    {"epoch": 3, "model": {"w": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2)}, "x": None},
    {"rng": (torch.arange(9, dtype=torch.uint8), [1, 2.5, math.inf], "text"), 7: [True, ()]},
    {
        "half": torch.ones(3, dtype=torch.bfloat16),
        "mask": torch.tensor([True]),
        "none": torch.empty(0),
    },
    [1, {"deep": [[[({"a": torch.tensor(1.5)},)]]]}],
]
WHOLE = [encode_state(state) for state in STATES]
DIGEST = 32
ODD_SHAPES = (
    *(
        "[1000000000000]",
        "[2147483648]",
        "[-1]",
        "[-2, -3]",
        "[0, 4611686018427387904]",
        "[6]",
        "[3, 3]",
    ),
    *("9", "[2.0, 3]", "[true]", "[[9]]", '["9"]', "[9223372036854775808]", "[9, 1]", "null", "{}"),
)


def signed(payload):
    return hashlib.sha256(payload).digest() + payload


def with_header(payload, header):
    """A safetensors file with another header before the same tensors."""
    size = int.from_bytes(payload[:8], "little")
    return len(header).to_bytes(8, "little") + header + payload[8 + size :]


def header_of(payload):
    return json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])


def damaged(rng, data):
    """A checkpoint with bytes, header, state or digest changed."""
    payload = data[DIGEST:]
    match rng.randrange(7):
        case 0:
            return mutated_bytes(rng, data)
        case 1:
            return signed(mutated_bytes(rng, payload))
        case 2:  # as safetensors has it
            return signed(with_header(payload, mutated_json(rng, header_of(payload))))
        case 3:
            other = rng.choice(WHOLE)[DIGEST:]
            return signed(with_header(payload, json.dumps(header_of(other)).encode()))
        case 4:  # tensors that are not what they were
            header = header_of(payload)
            text = header["__metadata__"]["checkpoint"]
            for kind in ("uint8", "float32", "bfloat16", "bool"):
                odd = ("float64", "complex64", "float", "int3", "half", "strided")
                text = text.replace(f'"torch.{kind}"', f'"torch.{rng.choice((kind, *odd))}"')
            for shape in ("[2, 3]", "[9]", "[3]", "[0]", "[]"):
                text = text.replace(f" {shape}]", f" {rng.choice((shape, *ODD_SHAPES))}]")
            header["__metadata__"]["checkpoint"] = text
            return signed(with_header(payload, json.dumps(header).encode()))
        case _:  # what is in the metadata
            header = header_of(payload)
            document = json.loads(header["__metadata__"]["checkpoint"])
            text = mutated_json(rng, document).decode(errors="replace")
            header["__metadata__"]["checkpoint"] = text
            return signed(with_header(payload, json.dumps(header).encode()))


def bytes_of_tensors(state):
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    items = state.values() if isinstance(state, dict) else state
    nested = isinstance(state, dict | list | tuple)
    return sum(map(bytes_of_tensors, items)) if nested else 0


@pytest.mark.timeout(60)
def test_checkpoints(tried):
    def case(rng):
        data = damaged(rng, rng.choice(WHOLE))
        try:
            state = decode_state(data)
        except ArtifactError as error:
            return refusal(error)
        encode_state(state)  # it is a state like any other
        assert bytes_of_tensors(state) < 2**20
        return USED

    tried("checkpoints", case)


@pytest.mark.timeout(60)
def test_checkpoint_folders(tried, tmp_path):
    checkpoints = Checkpoints(tmp_path / "run")

    def case(rng):
        whole = rng.choice(WHOLE)
        checkpoints.folder.mkdir(exist_ok=True)
        newest, older = damaged(rng, whole), whole if rng.random() < 0.7 else damaged(rng, whole)
        (checkpoints.folder / "checkpoint-000002.checkpoint").write_bytes(newest)
        (checkpoints.folder / "checkpoint-000001.checkpoint").write_bytes(older)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                number, _ = checkpoints.load()
            except ArtifactError as error:
                ended = refusal(error)
            else:
                ended = USED if number == 2 else "passed over"
        if ended == REFUSED:
            assert older is not whole
        else:
            assert len(warned) == 2 - number
        return ended

    tried("checkpoint folders", case)
