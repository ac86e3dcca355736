"""The parts of a data set, train, validation and test, and the names that people give them."""

from __future__ import annotations

SPLITS = ("train", "validation", "test")
_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_CODES = {"0": "train", "1": "validation", "2": "test"}


def part_of_word(text: str) -> str | None:
    """The part that a word in any case names, such as ``val`` or ``Training``, else ``None``."""
    return _WORDS.get(text.strip().lower())


def part_of_value(text: str) -> str | None:
    """The part that a value of a split column names, a word or 0, 1 and 2, else ``None``."""
    return part_of_word(text) or _CODES.get(text.strip())
