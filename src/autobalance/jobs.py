"""Independent tasks at once, wherever joblib sends them: to processes here, or to a cluster.

``joblib.parallel_config`` chooses where; without it tasks go to processes of this machine (loky).
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import BACKENDS, get_active_backend

from autobalance.errors import DataError
from autobalance.optional import need

Result = TypeVar("Result")
_OF_THIS_MACHINE = ("loky", "multiprocessing", "threading", "sequential")
_THREADS = "OMP_NUM_THREADS"
_ALONE = threading.RLock()
_TIMEOUT = "10s"


def one_by_one(n_jobs: int | None) -> bool:
    """Whether tasks are done in this process, one after the other.

    Parameters
    ----------
    n_jobs
        As joblib takes it: ``None`` is 1, unless ``joblib.parallel_config`` says otherwise.

    Raises
    ------
    DataError
        If it is 0.
    """
    if n_jobs == 0:
        raise DataError("there are 0 jobs at once; use at least 1, or -1 for one on each core")
    if n_jobs == 1:
        return True
    backend, _ = get_active_backend()
    here = isinstance(backend, tuple(BACKENDS[name] for name in _OF_THIS_MACHINE))
    return here and effective_n_jobs(n_jobs) == 1


def each_finished(
    task: Callable[..., Result], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> Iterator[tuple[int, Result]]:
    """Do a task for each of some arguments; positions and results, as they come.

    A process does one task at a time, since tasks seed its random generators: a worker of a cluster
    with several threads has its tasks wait for each other. Processes and Dask's workers are told by
    ``OMP_NUM_THREADS`` how many cores are theirs; a worker that is not told takes one.

    Parameters
    ----------
    task
        What other processes can unpickle, as what it takes and returns.
    arguments
        Of each call.
    n_jobs
        As in :func:`one_by_one`. A cluster takes as many as it has workers, whatever this says.
    """
    calls = list(arguments)
    if one_by_one(n_jobs):
        for position, each in enumerate(calls):
            yield position, task(*each)
        return
    work = [delayed(_alone)(task, position, *each) for position, each in enumerate(calls)]
    try:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:  # as Ray's backend: the next ones wait until all of a round are done
        size = effective_n_jobs(n_jobs)
        for first in range(0, len(work), size):
            yield from Parallel(n_jobs=n_jobs)(work[first : first + size])
        return
    yield from parallel(work)


def _alone(task: Callable[..., Result], position: int, *arguments: Any) -> tuple[int, Result]:
    """A task while nothing else runs in this process, on its share of the cores."""
    with _ALONE:
        threads = torch.get_num_threads()
        if _THREADS not in os.environ:
            torch.set_num_threads(1)
        try:
            return position, task(*arguments)
        finally:
            torch.set_num_threads(threads)


@contextmanager
def on_cluster(address: str | None, jobs: int) -> Iterator[int]:
    """Send tasks to a Dask cluster, if one is named; yields how many jobs to ask for.

    Parameters
    ----------
    address
        Of its scheduler, such as ``tcp://host:8786``.
    jobs
        At once, without a cluster.

    Raises
    ------
    DataError
        If Dask is not installed, or no scheduler answers.
    """
    if address is None:
        yield jobs
        return
    distributed = need("distributed", "dask", "a cluster")
    try:
        client = distributed.Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"no Dask scheduler answers at {address} ({error}); start one with dask scheduler, and "
            "name it as it does, such as tcp://host:8786"
        ) from error
    with client, parallel_config(backend="dask", client=client):
        threads = client.nthreads().values()
        if not threads:
            warnings.warn(f"waiting for the first worker of {address}", stacklevel=3)
            client.wait_for_workers(1)
        elif max(threads) > 1:
            warnings.warn(
                "the cluster has workers with several threads, which do one task at a time all "
                "the same; start them with dask worker --nthreads 1 --nworkers N",
                stacklevel=3,
            )
        yield -1
