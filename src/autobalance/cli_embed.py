"""The command that turns images into features: ``embed``."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from autobalance.cli_options import Verbose, watching

_DEFAULT_FILE = Path("embeddings.npz")


def embed(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="A folder with a folder for each class or with metadata.csv, MNIST's IDX files, "
            "or .parquet with an image column.",
        ),
    ],
    backbone: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Network that makes the features: resnet18 or resnet50 of torchvision, timm:NAME, "
            "or package.module:factory, code of your own.",
        ),
    ],
    weights: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Its weights, .safetensors, .pt or .pth; by default those that torchvision or "
            "timm download, or that your code gives.",
            show_default=False,
        ),
    ] = "default",
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="Column of the classes; none is needed if folders or a column such as label name "
            "them.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="Column of the groups; repeatable."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Column of train, validation and test, or 0, 1 and 2."),
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=1, help="Height and width that the network sees.")
    ] = 224,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu or cuda; by default a GPU if there is one."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="File to write.")] = _DEFAULT_FILE,
    verbose: Verbose = False,
) -> None:
    """Turn images into features by a network as it is, for fit --features features."""
    from autobalance.runs.embed import EmbedRequest, write_embeddings
    from autobalance.runs.image_columns import ImageColumns

    request = EmbedRequest(
        ImageColumns(target, tuple(group or ()), split),
        backbone,
        weights,
        image_size,
        batch_size,
        device,
    )
    with watching(verbose) as watch:
        arrays = write_embeddings(images, request, out, watch)
        watch.say(f"Next: {_next_command(out, arrays, request.columns.groups)}")
    print(out)


def _next_command(file: Path, arrays: Collection[str], groups: Collection[str]) -> str:
    """What reads the features: ``fit`` if they have a target, else ``predict``."""
    from autobalance.runs.embed import FEATURES, SPLIT, TARGET

    if TARGET not in arrays:
        return f"autobalance predict DIR {shlex.quote(str(file))} --features {FEATURES}"
    words = ["fit", str(file), "--features", FEATURES, "--target", TARGET]
    for name in groups:
        words += ["--group", name]
    if SPLIT in arrays:
        words += ["--split", SPLIT]
    return f"autobalance {shlex.join(words)}"
