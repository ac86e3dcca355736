"""How odd inputs are made, tried and counted.

Every input comes from the seed of its number alone, so that a failure names what makes it again.
"""

import json
import random
import resource
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from autobalance.errors import AutoBalanceError

PROMISED = {
    "designs": 3200,
    "checkpoints": 2600,
    "checkpoint folders": 120,
    "models": 1100,
    "corrections": 700,
    "tables of costs": 500,
    "tables": 2100,
    "fits": 60,
    "argument lists": 1000,
    "expressions": 1200,
    "classifiers": 220,
    "reports": 200,
    "classifiers' folders": 400,
    "batches of a loss": 600,
}
"""How many inputs of each kind are tried, each in the test that is given the name."""

REFUSED, USED = "refused", "used"
_MOST_MEMORY = 400 * 2**10  # KiB that a kind may add to the peak of the process
_LONGEST_SENTENCE = 12_000  # it may hold a name as long as it was given


def try_all(kind: str, case: Callable[[random.Random], str]) -> Counter[str]:
    """Try as many inputs as promised; ``case`` makes one, checks how it ends and names that."""
    ended: Counter[str] = Counter()
    before = _peak_memory()
    for seed in range(PROMISED[kind]):
        try:
            ended[case(random.Random(seed))] += 1
        except BaseException as error:
            error.add_note(f"this was input {seed} of the {kind}")
            raise
    assert ended.total() == PROMISED[kind]
    assert _peak_memory() - before < _MOST_MEMORY
    return ended


def refusal(error: AutoBalanceError) -> str:
    """Check that an error is a sentence; returns how the input ended."""
    assert type(error).__module__ == "autobalance.errors"
    sentence = str(error)
    assert 10 < len(sentence) < _LONGEST_SENTENCE, sentence[:500]
    assert "Traceback" not in sentence
    return REFUSED


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


_ODD_VALUES = (
    *(None, True, False, 0, 1, -1, 2, 3, 10**19, 10**400, -(10**40), 0.5, -0.0, 1e-320, 1e-30),
    *(1e30, 1e300, -1e300, float("nan"), float("inf"), float("-inf")),
    *("", " ", "x", "0", "1.5", "nan", "None", "\ud800", "é\n\t", "\x00", "名" * 50),
    *([], {}, [[]], [None], [1], [[1.0]], [1, [2]], {"a": 1}, {"": {}}, [[0.0, 1.0], [2.0]]),
)
_DEEP = "nested-{}-deep"
_DEPTHS = (5, 80, 200, 330, 490, 700, 990, 5000)


def mutated_json(rng: random.Random, document: Any, damage: bool = True) -> bytes:
    """A document with one to four edits of its values, and maybe of its text or its bytes."""
    changed = deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        changed = _edited(rng, changed)
    text = json.dumps(changed, ensure_ascii=rng.random() < 0.5)
    if not damage:
        return text.encode(errors="surrogatepass")
    for depth in _DEPTHS:
        text = text.replace(f'"{_DEEP.format(depth)}"', "[" * depth + "]" * depth)
    if rng.random() < 0.1:
        text = text.replace("1.0", rng.choice(("1e999", "-1e999", "9" * 5000, "1.", "0x1")))
    data = text.encode(errors="surrogatepass")
    return mutated_bytes(rng, data) if rng.random() < 0.25 else data


def mutated_bytes(rng: random.Random, data: bytes) -> bytes:
    """The data cut, flipped, doubled, padded, mixed up or in another encoding."""
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 8, 100))
    before, middle, after = data[:at], data[at : at + length], data[at + length :]
    changes = (
        lambda: before,
        lambda: middle + after,
        lambda: before + after,
        lambda: before + after + middle,
        lambda: before + rng.randbytes(length) + middle + after,
        lambda: data + middle * rng.choice((1, 3)),
        lambda: _flipped(rng, data, length),
        lambda: _flipped(rng, data, length),
        lambda: _flipped(rng, data, length),
        lambda: _encoded(rng, data.decode("utf-8", errors="replace")),
    )
    return rng.choice(changes)()


def _flipped(rng: random.Random, data: bytes, times: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(times if data else 0):
        flipped[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(flipped)


def _encoded(rng: random.Random, text: str) -> bytes:
    encoding = rng.choice(("utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252"))
    return text.encode(encoding, errors="replace")


def _edited(rng: random.Random, document: Any) -> Any:
    """One value of a document exchanged, dropped, doubled, wrapped or moved."""
    places = list(_places(document))
    if not places:
        return _odd_value(rng)
    holder, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case 1:
            holder[rng.choice(("", "extra", "version", "é"))] = _odd_value(rng)
        case 2:
            holder[key] = [holder[key]]
        case 3:
            other, its_key = rng.choice(places)
            holder[key] = deepcopy(other[its_key])
        case 4 if isinstance(holder[key], float):
            holder[key] *= rng.choice((-1, 0.0, 1e-200, 1e200, 1e20))
        case _:
            holder[key] = _odd_value(rng)
    return document


def _odd_value(rng: random.Random) -> Any:
    if rng.random() < 0.06:
        return _DEEP.format(rng.choice(_DEPTHS))
    return deepcopy(rng.choice(_ODD_VALUES))


def _places(value: Any):
    """Every holder and key in a document."""
    keys = range(len(value)) if isinstance(value, list) else tuple(value)
    for key in keys:
        yield value, key
        if isinstance(value[key], list | dict):
            yield from _places(value[key])
