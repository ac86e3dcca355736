"""The command that makes the paper's tables, figures and theory again: ``reproduce``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from autobalance.cli_options import Cluster, Verbose, watching

_FOLDER = Path("autobalance-reproduce")


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="table1 to table5, figure2 to figure5, transfer, cost, lemma1, "
            "lemma2, theorem1, or all.",
        ),
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with a folder for each data set."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="cifar10-lt, cifar100-lt, imagenet-lt, inaturalist-2018, fashion-mnist-lt or "
            "waterbirds; by default the first that NAME is about.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Rows, with commas between; by default all of them."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repetitions.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of every training, instead of the paper's.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A network instead of the paper's.")
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="paper, or authors-code: what their code does differently from the paper.",
        ),
    ] = "paper",
    device: Annotated[
        str | None, typer.Option(help="Where to train; by default a GPU if there is one.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Runs at once; -1 for one on each core.")] = 1,
    cluster: Cluster = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write; finished runs in it stay.")
    ] = _FOLDER,
    verbose: Verbose = False,
) -> None:
    """Make a table, a figure or a lemma of the paper again, ours and the published side by side."""
    from autobalance.jobs import on_cluster
    from autobalance.reproduce.catalogue import ALL, reproduction
    from autobalance.reproduce.everything import everything
    from autobalance.reproduce.request import Request
    from autobalance.reproduce.show import print_outcome
    from autobalance.reproduce.write import write_outcome

    request = Request(
        out=out,
        data_dir=data_dir,
        dataset=dataset,
        methods=None if methods is None else tuple(part.strip() for part in methods.split(",")),
        seeds=seeds,
        epochs=epochs,
        model=model,
        device=device,
        preset=preset,
    )
    with watching(verbose) as watch, on_cluster(cluster, jobs) as at_once:
        request = replace(request, jobs=at_once)
        if name == ALL:
            wanted = everything(request, watch)
        else:
            wanted = [(reproduction(name), request)]
            wanted[0][0].check(request)
        for chosen, asked in wanted:
            watch.stage(chosen.name)
            outcome = chosen.run(asked, watch)
            paths = write_outcome(outcome, asked.out, asked.command(chosen.name))
            print_outcome(outcome, paths)
