"""How a long job tells whoever started it what it is doing."""

from __future__ import annotations


class Watch:
    """Listens to a job and does nothing; the command line draws a progress bar instead."""

    def say(self, sentence: str) -> None:
        """Take a sentence that the user should read now."""

    def stage(self, name: str, share: float | None = None) -> None:
        """Take what is being done, and the share in [0, 1] of the whole job that is behind."""
