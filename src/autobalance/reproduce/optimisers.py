"""Optimisers without derivatives, asked for a point and told what it is worth."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.errors import DataError

Bounds = Sequence[tuple[float, float]]


class Optimiser(Protocol):
    """Minimises a function of a vector, of which 0 is the first point it asks for."""

    def ask(self) -> Float[ndarray, "A"]:
        """The next point to try."""

    def tell(self, value: float) -> None:
        """What the point last asked for is worth; less is better."""


@contextmanager
def tree_parzen(bounds: Bounds, trials: int, seed: int) -> Iterator[Optimiser]:
    """Optuna's tree-structured Parzen estimator with its defaults.

    Bergstra, Bardenet, Bengio and Kégl, "Algorithms for hyper-parameter optimization", NeurIPS
    2011. Its first ten points are drawn at random.

    Raises
    ------
    DataError
        If Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise _not_installed("Optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield _TreeParzen(optuna, bounds, seed)


class _TreeParzen:
    def __init__(self, optuna: Any, bounds: Bounds, seed: int) -> None:
        names = [f"a{place}" for place in range(len(bounds))]
        self._distributions = {
            name: optuna.distributions.FloatDistribution(*bound)
            for name, bound in zip(names, bounds, strict=True)
        }
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._study.enqueue_trial(dict.fromkeys(names, 0.0))

    def ask(self) -> Float[ndarray, "A"]:
        self._trial = self._study.ask(self._distributions)
        return np.array([self._trial.params[name] for name in self._distributions])

    def tell(self, value: float) -> None:
        self._study.tell(self._trial, value)


@contextmanager
def gaussian_process(bounds: Bounds, trials: int, seed: int) -> Iterator[Optimiser]:
    """SMAC3 with its Gaussian process, the facade for functions that are dear to evaluate.

    Lindauer et al., "SMAC3: a versatile Bayesian optimization package for hyperparameter
    optimization", *JMLR* 23, 2022; the paper's section B.1 uses an earlier SMAC. There is no
    initial design beside the start: it would take all trials there are.

    Raises
    ------
    DataError
        If SMAC3 is not installed.
    """
    try:
        import smac
        from ConfigSpace import ConfigurationSpace, Float
    except ImportError as error:
        raise _not_installed("SMAC3") from error
    space = ConfigurationSpace(seed=seed)
    space.add([Float(f"a{i:03d}", bound, default=0.0) for i, bound in enumerate(bounds)])
    with tempfile.TemporaryDirectory() as folder:
        yield _GaussianProcess(smac, space, trials, seed, Path(folder))


class _GaussianProcess:
    def __init__(self, smac: Any, space: Any, trials: int, seed: int, folder: Path) -> None:
        self._value = smac.runhistory.TrialValue
        with _own_warnings_ignored():
            self._facade = self._made(smac, space, trials, seed, folder)

    @staticmethod
    def _made(smac: Any, space: Any, trials: int, seed: int, folder: Path) -> Any:
        scenario = smac.Scenario(
            space, deterministic=True, n_trials=trials, seed=seed, output_directory=folder
        )
        design = smac.BlackBoxFacade.get_initial_design(
            scenario, n_configs=0, additional_configs=[space.get_default_configuration()]
        )
        return smac.BlackBoxFacade(
            scenario, _never_called, initial_design=design, overwrite=True, logging_level=False
        )

    def ask(self) -> Float[ndarray, "A"]:
        with _own_warnings_ignored():
            self._trial = self._facade.ask()
        return np.array([self._trial.config[name] for name in sorted(self._trial.config)])

    def tell(self, value: float) -> None:
        with _own_warnings_ignored():
            self._facade.tell(self._trial, self._value(cost=value))


@contextmanager
def _own_warnings_ignored() -> Iterator[None]:
    """SMAC3's, of what it has yet to change and of fits that do not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _never_called(config: Any, seed: int = 0) -> float:
    raise AssertionError("trials are told")


def _not_installed(name: str) -> DataError:
    return DataError(f"{name} is not installed; pip install 'autobalance[bo]', or leave it out")
