"""Sections on networks and Algorithm 1."""

from __future__ import annotations

from typing import Any

from benchmarks.hypergradient.show import cells, heading
from benchmarks.online_exact import EXACT, ONLINE
from benchmarks.page.markdown import Record, bold, signed, table


def hypergradient(record: Record) -> str:
    """Cost, memory and direction of every way to a hypergradient."""
    tables = []
    for network in dict.fromkeys(row["network"] for row in record["rows"]):
        own = [row for row in record["rows"] if row["network"] == network]
        rows = [bold(cells(row)) if row["default"] else cells(row) for row in own]
        tables.append(f"{network}:\n\n{table(heading(own), rows)}")
    goals = "\n".join(
        f"- {goal}: {'met' if facts['met'] else 'missed'} ({_facts(facts)})."
        for goal, facts in record["goals"].items()
    )
    exact = record["reference"]
    draws = max(row.get("draws", 0) for row in record["rows"])
    return f"""## What a hypergradient costs, and how right it is

Time and peak memory in those of an ordinary training step with batches of 128; in brackets the
quartiles over runs. The cosine is that with the exact direction, of the full-data Hessian with
damping {exact["damping"]:g} in float64 ({exact["training_examples"]:,} training and
{exact["held_out_examples"]:,} held-out examples): mean ± standard deviation over
{draws} draws of the batches, and that of the draws' mean; `GN` has the Gauss–Newton matrix in the
Hessian's place. The published configuration has ten training batches with their graphs, five
double-backward terms, ten uniform held-out batches, and the largest of a few steps that does not
diverge ({record["published_step"]:g}). Betty (version {record["betty"]}) gets one
training batch and our held-out batch. The default is bold.

{(chr(10) * 2).join(tables)}

{goals}"""


def _facts(facts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in facts.items()
        if name != "met"
    )


def pipeline_cost(record: Record) -> str:
    """Search and retraining in ordinary trainings."""
    rows = [
        [
            entry["method"],
            f"{entry['ratio']:.2f}",
            f"{entry['lowest']:.2f} to {entry['highest']:.2f}",
            "extrapolated" if entry["balanced"] is None else f"{entry['balanced']:.1f}",
        ]
        for entry in record["summary"]
    ]
    goal = record["goal"]
    return f"""## What search and retraining cost

Algorithm 1 on a small convolutional network and Fashion-MNIST-LT (ρ = 100), {record["epochs"]}
epochs, in ordinary trainings of the same length: medians over three seeds, with their range. The
search trains on four fifths of the examples. The published rows extrapolate the time of a published
hypergradient (ten graphs, five double-backward terms, ten held-out batches), taken during a
training. The goal, at most
{goal["at_most"]:g}, is {"met" if goal["met"] else "missed"}.

{table(("method", "ratio", "range", "balanced test error, %"), rows)}"""


def online_exact(record: Record) -> str:
    """Where the search beside training ends on convex heads."""
    cases: dict[tuple[str, str], list[Record]] = {}
    for row in record["rows"]:
        cases.setdefault((row["held_out"], row["parameters"]), []).append(row)
    rows = []
    for (held_out, parameters), own in cases.items():
        exact = [row for row in own if row["method"] == EXACT]
        online = [row for row in own if row["method"] == ONLINE]
        gain = min(1 - row["objective"] / row["start"] for row in exact)
        rows.append(
            [
                held_out,
                parameters,
                len(online),
                f"{gain:.1%}",
                f"{signed(100 * max(row['excess'] for row in online), 2)}%",
                f"{min(row['cosine'] for row in online):.4f}",
            ]
        )
    columns = ("objective", "searched", "seeds", "least gain of the search")
    columns += ("greatest excess of the online search", "least cosine")
    return f"""## The online search ends where the exact one does

Linear heads on simulated data: the held-out objective at the end of the search beside training,
relative to that of the exact search, and the cosine of what the two changed in the loss.

{table(columns, rows)}"""


def many_classes(record: Record) -> str:
    """The cost of a move as classes are added."""
    rows = [
        [
            f"{row['classes']:,}",
            row["dictionary"],
            f"{row['dimension']:,}",
            f"{row['ratio']:.1f}",
            "{:.1f} to {:.1f}".format(*row["quartiles"]),
        ]
        for row in record["rows"]
    ]
    goal = record["goal"]
    growth = ", ".join(f"{name} {factor - 1:+.1%}" for name, factor in goal["growth"].items())
    return f"""## Many classes

A move of the loss in ordinary training steps of the same ResNet-32, with one value of l and δ a
class or a cluster of 40 classes: median over rounds and quartiles. From {goal["fewest"]} to
{goal["most"]:,} classes it grows by {growth.replace("-", "−")}; the goal, less than 10%, is
{"met" if goal["met"] else "missed"}.

{table(("classes", "dictionary", "values", "cost of a move", "quartiles"), rows)}"""


def training_speed(record: Record) -> str:
    """The library's training against a loop written by hand."""
    rows, searches = [], []
    for entry in record["summary"]:
        name, low, high = f"{entry['model']}, {entry['method']}", entry["lowest"], entry["highest"]
        if "steps" in entry:
            searches.append(f"{entry['model']} at {entry['search']:.2f}")
            rows.append([name, f"{entry['steps']:.1f} steps", f"{low:.1f} to {high:.1f}"])
        else:
            rows.append([name, f"{entry['ratio']:.2f}", f"{low:.2f} to {high:.2f}"])
    bounds = "\n".join(
        f"- {model}: the bare loop is bound by {found['bound_by']} (of the arithmetic a second of "
        f"a large product: {found['matmul_share']:.0%}{_busy(found)})."
        for model, found in record["bounds"].items()
    )
    device = "one thread of a CPU" if record["device"] == "cpu" else f"an {record['device']}"
    repeats = len({row["seed"] for row in record["rows"]})
    return f"""## The speed of training

Random images of 3 × 32 × 32 bytes in batches of 128 on {device}: images a second relative to a bare
PyTorch loop with a fused optimizer and channels-last weights, in the same repeat; medians of
{repeats} repeats, in which all methods take turns, and their range. A step of the loss is told in
steps of the bare loop. A search for the balanced error in 30 epochs over CIFAR-10-LT would
therefore train {", ".join(searches)} of the speed without a search.

{table(("network and method", "relative speed", "range"), rows)}

{bounds}"""


def _busy(found: Record) -> str:
    return f"; GPU busy: {found['busy_share']:.0%}" if "busy_share" in found else ""
