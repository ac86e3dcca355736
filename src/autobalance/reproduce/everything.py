"""All reproductions, one after the other, on the data that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from autobalance.data.images.named import NAMED
from autobalance.data.wording import listing
from autobalance.errors import DataError
from autobalance.reproduce.catalogue import CATALOGUE
from autobalance.reproduce.groups.data import WATERBIRDS, feature_files
from autobalance.reproduce.images.settings import RECIPES
from autobalance.reproduce.request import PAPER, Reproduction, Request
from autobalance.runs.watch import Watch


def everything(request: Request, watch: Watch) -> list[tuple[Reproduction, Request]]:
    """Each reproduction with what it takes of a request, on every data set that is there.

    The watch hears which data sets are not. Networks on CIFAR and larger sets take days on a CPU:
    a request may name one data set.

    Raises
    ------
    DataError
        If the request names methods, which are those of a single table, or an unknown data set or
        preset.
    """
    if request.methods is not None:
        raise DataError("--methods are the rows of one table; leave it out, or name the table")
    request.check()
    known = list(dict.fromkeys(name for each in CATALOGUE.values() for name in each.datasets))
    if request.dataset not in (None, *known):
        raise DataError(f"nothing is made on {request.dataset!r}; data sets: {listing(known, 20)}")
    return list(_all(request, watch))


def _all(request: Request, watch: Watch) -> Iterator[tuple[Reproduction, Request]]:
    absent = set()
    for each in CATALOGUE.values():
        surplus: dict[str, Any] = dict.fromkeys(request.given - set(each.options) - {"preset"})
        asked = replace(request, **surplus)
        if not each.datasets:
            yield each, replace(asked, dataset=None, preset=PAPER)
        for dataset in each.datasets:
            if request.dataset in (None, dataset):
                if _is_there(dataset, request.data_dir):
                    known = "preset" in each.options and dataset in RECIPES[request.preset]
                    preset = request.preset if known else PAPER
                    yield each, replace(asked, dataset=dataset, preset=preset)
                else:
                    absent.add(dataset)
    for dataset in sorted(absent):
        watch.say(f"{dataset} is left out: it is not in {request.data_dir or 'any --data-dir'}")


def _is_there(dataset: str, data_dir: Path | None) -> bool:
    if data_dir is None:
        return False
    known = RECIPES[PAPER]
    if dataset in known:
        return (data_dir / NAMED[known[dataset].source.data].folder).is_dir()
    return len(feature_files(data_dir / WATERBIRDS)) > 0
