"""Sections on policies of augmentation."""

from __future__ import annotations

from benchmarks.augmentation import GOAL_CLUSTERS, TORCHVISION
from benchmarks.long_tail.show import with_error
from benchmarks.page.markdown import Record, table


def planted_rotation(record: Record) -> str:
    """Which class is rotated, seed by seed."""
    rows = []
    for row in record["rows"]:
        planted = row["planted"]
        others = row["rotation"][:planted] + row["rotation"][planted + 1 :]
        most_useful = max(range(len(row["benefit"])), key=row["benefit"].__getitem__)
        rows.append(
            [
                row["seed"],
                f"{row['rotation'][planted]:.1f}°",
                f"{max(others):.1f}°",
                "yes" if row["first"] else "no",
                "yes" if most_useful == planted else "no",
            ]
        )
    columns = ("seed", "planted class", "most of another", "found", "found by the oracle")
    return f"""## A planted rotation, images with noise {record["noise"]:g}

Images of five classes; on held-out images one class is turned by 30°, and nothing else differs. How
far the learned policy rotates the planted class and that of the others which it rotates most
(probability times magnitude; {record["start"]:.1f}° at the start). The oracle trains with each
class rotated much in turn, and takes the one that lowers the held-out loss most. Found in
{record["first"]} of {len(rows)} seeds.

{table(columns, rows)}"""


def augmentation(record: Record) -> str:
    """Costs of steps and of searches, and the noise of the estimators."""
    steps, searches, noise = (
        [entry for entry in record["summary"] if entry["part"] == part]
        for part in ("step", "search", "noise")
    )
    clusters = [entry for entry in steps if entry["augmentation"] == GOAL_CLUSTERS]
    dearest = max(entry["to_single"] for entry in clusters)
    beside = "" if record["torchvision"] else f" For {TORCHVISION} torchvision was not there."
    return f"""## What a policy costs

A training step of `{record["model"]}` with batches of 128 images of 40 classes, relative to the
step without augmentation in the same repeat, and to that with one policy for all classes: medians
and ranges over repeats.{beside} The goal, a step with {GOAL_CLUSTERS} within
{record["goal"]["at_most"]:g} of that with the single policy, is
{"met" if record["goal"]["met"] else "missed"} ({dearest:.2f}).

{table(("images", "policies", "to no augmentation", "to one policy"), map(_step, steps), texts=2)}

A hypergradient of a policy beside l and δ, relative to that of l and δ alone:

{table(("images", "searched", "cost", "range"), map(_search, searches), texts=2)}

Variance of a hypergradient over other draws and batches, over its squared mean, on the networks of
the planted rotation; medians and ranges over seeds:

{table(("values", "estimator of probabilities", "noise", "range"), map(_noise, noise), texts=2)}"""


def _step(entry: Record) -> list[str]:
    return [
        entry["images"],
        entry["augmentation"].replace("1 clusters", "one for all"),
        *(_with_range(entry, name) for name in ("ratio", "to_single")),
    ]


def _search(entry: Record) -> list[str]:
    low, high = entry["ratio_range"]
    return [entry["images"], entry["searched"], f"{entry['ratio']:.2f}", f"{low:.2f} to {high:.2f}"]


def _noise(entry: Record) -> list[str]:
    low, high = entry["noise_range"]
    return [
        entry["values"],
        entry["estimator"],
        f"{entry['noise']:.1f}",
        f"{low:.1f} to {high:.1f}",
    ]


def _with_range(entry: Record, name: str) -> str:
    low, high = entry[f"{name}_range"]
    return f"{entry[name]:.2f} ({low:.2f} to {high:.2f})"


def policy_study(record: Record) -> str:
    """Fixed policies, with weights that multiply and that draw."""
    rows = [
        [
            entry["question"],
            entry["variant"].removesuffix(", drawn"),
            entry["seeds"],
            f"{entry['balanced']:.2f}",
            with_error(entry["gain"], entry["standard_error"], "+"),
        ]
        for entry in record["summary"]
    ]
    columns = ("balanced cross-entropy", "policy", "seeds", "balanced error, %", "gain")
    return f"""## Where a policy pays: {record["title"]}, {record["settings"]["epochs"]} epochs

Fixed policies of all operations. A level is every probability, and every strength as a share of the
largest: the same for all classes, or from the most frequent to the rarest. Training images only, in
the tail as in the part that is scored; the gain is on no policy with the same weights, paired by
seed, ± its standard error.

{table(columns, rows, texts=2)}"""
