"""What is asked of a reproduction, and what one says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autobalance.data.wording import listing
from autobalance.errors import DataError
from autobalance.reproduce.outcome import Outcome
from autobalance.runs.watch import Watch

PAPER, AUTHORS_CODE = "paper", "authors-code"
PRESETS = (PAPER, AUTHORS_CODE)
SEEDS = "seeds"
TRAINING_OPTIONS = ("epochs", "device", "preset", "model")
"""Options of reproductions that train networks."""


@dataclass(frozen=True)
class Request:
    """Which data, methods, seeds and epochs, and where to work.

    ``None`` stands for what the reproduction takes by default.

    Parameters
    ----------
    out
        Folder that finished runs and pages go to; runs that lie there are not repeated.
    data_dir
        Folder with a folder for each data set.
    dataset
        Which of the data sets that the reproduction knows.
    methods
        Which of its methods; by default those of the published table and a few more.
    seeds
        How often everything is repeated.
    epochs, model
        Of every training, instead of the paper's.
    device
        Where to train; by default a GPU if there is one.
    preset
        ``"paper"``, or ``"authors-code"`` where the authors' code does something else.
    jobs
        Runs at once, sharing the cores.
    """

    out: Path
    data_dir: Path | None = None
    dataset: str | None = None
    methods: tuple[str, ...] | None = None
    seeds: int | None = None
    epochs: int | None = None
    model: str | None = None
    device: str | None = None
    preset: str = PAPER
    jobs: int = 1

    @property
    def given(self) -> set[str]:
        """Names of the options that were set, of those that not every reproduction takes."""
        named = ("methods", "epochs", "model", "device", SEEDS)
        found = {name for name in named if getattr(self, name) is not None}
        return found | ({"preset"} if self.preset != PAPER else set())

    def chosen(self, known: Sequence[str], default: Sequence[str] | None = None) -> list[str]:
        """The methods asked for, in the order of those that are ``known``.

        Without any, ``default``, and without that all of them.

        Raises
        ------
        DataError
            If one is unknown.
        """
        if self.methods is None:
            return list(known if default is None else default)
        unknown = [key for key in self.methods if key not in known]
        if unknown:
            raise DataError(
                f"--methods: there is no {unknown[0]!r} here; choose among "
                f"{listing(list(known), 40)}"
            )
        return [key for key in known if key in self.methods]

    def command(self, name: str) -> list[str]:
        """What makes the reproduction ``name`` with this request, after ``autobalance``."""
        words = ["reproduce", name]
        for option in ("data_dir", "dataset", "methods", "seeds", "epochs", "model", "device"):
            value = getattr(self, option)
            if value is not None:
                text = ",".join(value) if option == "methods" else str(value)
                words += [f"--{option.replace('_', '-')}", text]
        if self.preset != PAPER:
            words += ["--preset", self.preset]
        return [*words, "--jobs", str(self.jobs), "--out", str(self.out)]

    def check(self) -> None:
        """Refuse values that mean nothing anywhere.

        Raises
        ------
        DataError
            If the preset is unknown, or there are no seeds.
        """
        if self.preset not in PRESETS:
            raise DataError(f"preset is {self.preset!r}; use {' or '.join(PRESETS)}")
        if self.seeds is not None and self.seeds < 1:
            raise DataError(f"seeds is {self.seeds}; use at least 1")


@dataclass(frozen=True)
class Reproduction:
    """A table, a figure or a piece of theory that can be made again.

    Parameters
    ----------
    name
        On the command line.
    about
        What it shows, in a few words.
    run
        Makes it, telling the watch what it does.
    datasets
        Data sets that it can be made on, the first by default; none if it makes its own data.
    options
        Fields of a request, beside data set, folders and jobs, that it takes.
    """

    name: str
    about: str
    run: Callable[[Request, Watch], Outcome]
    datasets: tuple[str, ...] = ()
    options: Sequence[str] = field(default=(SEEDS,))

    def check(self, request: Request) -> None:
        """Refuse what it cannot do.

        Raises
        ------
        DataError
            If an option means nothing here, or the data set is unknown or there is no folder.
        """
        surplus = sorted(request.given - set(self.options))
        if surplus:
            raise DataError(f"--{surplus[0]} means nothing for {self.name}; leave it out")
        request.check()
        if request.dataset is not None and request.dataset not in self.datasets:
            known = listing(list(self.datasets), 20) if self.datasets else "it makes its own"
            raise DataError(f"{self.name} is not made on {request.dataset!r}; data sets: {known}")
        if self.datasets and request.data_dir is None:
            raise DataError(
                f"{self.name} needs data; name the folder that holds a folder for each data set "
                "with --data-dir"
            )
