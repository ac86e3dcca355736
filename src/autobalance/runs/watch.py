"""How a long job tells whoever started it what it is doing."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Listens to a job; the command line draws a progress bar from it."""

    def say(self, sentence: str) -> None:
        """Take a sentence that the user should read now."""

    def stage(self, name: str, share: float | None = None) -> None:
        """Take what is being done, and the share in [0, 1] of the whole job that is behind."""


class Unwatched:
    """Nobody listens."""

    def say(self, sentence: str) -> None:
        """Ignore the sentence."""

    def stage(self, name: str, share: float | None = None) -> None:
        """Ignore the stage."""
