"""From an import path such as ``package.module:factory`` to a module of PyTorch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from autobalance.errors import DataError


@dataclass(frozen=True)
class ImportedFactory:
    """What makes a module, in the user's own code.

    Parameters
    ----------
    name
        Its path, ``package.module:factory``.
    kind
        What it makes, such as ``"model"``.
    factory
        What the path leads to.
    """

    name: str
    kind: str
    factory: Callable[..., Any]

    @classmethod
    def of(cls, name: str, kind: str, form: str) -> ImportedFactory:
        """Import the module of a path, **which runs its code**.

        Parameters
        ----------
        name
            The path. A module in the current working directory is found as by ``python -m``.
        kind
            What is made, as errors say it.
        form
            What to name, as errors say it, such as ``"function without arguments"``.

        Raises
        ------
        DataError
            If the module cannot be imported, or has no such attribute or one that cannot be called.
        """
        module_name, _, attribute = name.partition(":")
        try:
            with _working_directory_importable():
                module = importlib.import_module(module_name)
        except Exception as error:
            raise DataError(
                f"module {module_name!r} of {kind} {name!r} cannot be imported ({told(error)}); "
                "correct or install it, or start in the folder that holds it"
            ) from error
        try:
            factory = getattr(module, attribute)
        except AttributeError as error:
            raise DataError(
                f"module {module_name!r} has no {attribute!r} to make a {kind} with; "
                f"correct {name!r}"
            ) from error
        if not callable(factory):
            raise DataError(
                f"{name!r} is of type {type(factory).__name__}, which cannot be called; "
                f"name a {form}"
            )
        return cls(name, kind, factory)

    def make(self, how: str, *arguments: object) -> nn.Module:
        """Call the factory.

        Parameters
        ----------
        how
            How it is called, as errors say it, such as ``"without arguments"``.
        arguments
            What it is called with.

        Raises
        ------
        DataError
            If it fails, or makes no ``torch.nn.Module``.
        """
        try:
            module = self.factory(*arguments)
        except Exception as error:
            raise DataError(
                f"{self.kind} {self.name!r} fails when called {how} ({told(error)}); "
                "correct its code"
            ) from error
        if not isinstance(module, nn.Module):
            raise DataError(
                f"{self.kind} {self.name!r} makes a value of type {type(module).__name__}; let it "
                "return a torch.nn.Module"
            )
        return module


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def told(error: Exception) -> str:
    """An error of code that is not ours as part of one sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
