"""Sections on linear heads and the exact search."""

from __future__ import annotations

from benchmarks.page.markdown import Record, bold, signed, table
from benchmarks.search_cost import NARROW, TPE


def waterbirds(record: Record) -> str:
    """The four cells of Waterbirds."""
    rows = []
    for entry in record["summary"]:
        cells = [entry["method"]]
        for metric in ("balanced", "worst", "deo", "standard"):
            interval = [signed(end) for end in entry.get(f"{metric}_interval", ())]
            cells.append(
                f"{entry[metric]:.1f} [{', '.join(interval)}]"
                if interval
                else f"{entry[metric]:.1f}"
            )
        cells.append(f"{entry['ratio']:.1f} ± {entry['ratio_sd']:.1f}")
        rows.append(bold(cells) if entry["headline"] else cells)
    return f"""## Waterbirds

Official split, fixed features of an EfficientNet-Lite0. Every method is tuned on the same folds of
the train split for the worst cell; errors are from the test split, in %, mean over the seeds that
draw the folds. In brackets: the paired 95% interval of the difference to the bold row, which was
named beforehand. DEO is the summed equalized-odds difference; `time` is in units of one
scikit-learn `LogisticRegressionCV` in the same run.

{table(("method", "group-balanced", "worst cell", "DEO", "standard", "time"), rows)}"""


def tables(record: Record) -> str:
    """Nine tables and the mean ranks."""
    rows = []
    for case in record["summary"]:
        methods = {entry["method"]: entry for entry in case["methods"]}
        ours = next(entry for entry in case["methods"] if entry["headline"])
        rivals = [entry for entry in case["methods"] if entry["ranked"] and entry is not ours]
        best = min(rivals, key=lambda entry: entry["value"])
        beside = next(entry for entry in case["methods"] if not entry["ranked"])
        rows.append(
            [
                f"{case['table']} by {case['grouping']}",
                case["objective"],
                f"{methods['Cross-entropy']['value']:.2f}",
                f"**{ours['value']:.2f}**",
                f"{best['value']:.2f} {best['method']}",
                f"{signed(best['difference'], 2)} ± {best['standard_error']:.2f}",
                f"{ours['rank']:g} of {len(rivals) + 1}",
                f"{beside['value']:.2f}",
            ]
        )
    ranks = [
        [e["method"], e["cases"], f"{e['mean_rank']:.2f}", signed(e["lead"], 2)]
        for e in record["ranks"]
    ]
    heading = (
        *("table", "objective", "cross-entropy", "AutoBalance", "best rival"),
        *("rival − AutoBalance", "rank", "boosted trees"),
    )
    return f"""## Tables

Errors of the objective in %, on outer folds or the table's own test split. The best rival is the
best of all others on the examples that are reported; its difference is paired, with a standard
error. Boosted trees with balanced weights are no linear model and stand outside the ranking.

Not all of these tables are untouched: halves of adult's training rows, bank_marketing, ann_thyroid
and satimage served to choose the default held-out loss (see below), and a figure of one outer fold
of shuttle had been seen before its last change.

{table(heading, rows)}

Mean ranks; `lead` is by how much AutoBalance's rank is better over the cases that both take part
in.

{table(("method", "cases", "mean rank", "lead"), ranks)}"""


def search_cost(record: Record) -> str:
    """Time against a derivative-free search."""
    pairs: dict[tuple[str, int], dict[str, Record]] = {}
    for entry in record["summary"]:
        pairs.setdefault((entry["table"], entry["seed"]), {})[entry["rival"]] = entry
    rows = []
    for (name, _), by_rival in pairs.items():
        own = by_rival[TPE]
        cells = [name, own["classes"], own["dimension"], f"{own['start']:.4f}"]
        cells += [f"{own['exact']:.4f} ({own['exact_seconds']:.1f} s)"]
        for rival in (TPE, NARROW):
            entry = by_rival[rival]
            cells += [f"{entry['rival_objective']:.4f} ({entry['rival_seconds']:.0f} s)"]
            cells += ["never" if entry["ratio"] is None else f"{entry['ratio']:.3f}"]
        rows.append(cells)
    heading = (
        *("table", "classes", "values", "start", "exact search"),
        *(TPE, "time ratio", TPE + " near the start", "time ratio"),
    )
    return f"""## What the gradient is worth

The exact search against Optuna's TPE with 200 trials, over the same parameters with the same inner
solver: the held-out objective, and the seconds. The ratio is the time after which the exact search
is as low, over the time of the 200 trials.

{table(heading, rows)}"""


def calibration(record: Record) -> str:
    """How true the probabilities are."""
    rows = [
        [
            entry["table"],
            *(
                f"{entry[name]:.2f} ± {entry[f'{name}_sd']:.2f}"
                for name in ("raw", "corrected", "exact")
            ),
            f"{entry['ratio']:.2f}",
            f"{entry['balanced']:.2f} ± {entry['balanced_standard_error']:.2f}",
            f"{signed(entry['change'], 2)}",
        ]
        for entry in record["summary"]
    ]
    heading = (
        *("table", "raw", "corrected", "if true", "ratio"),
        *("balanced error ± standard error", "change"),
    )
    return f"""## Calibration

Expected calibration error in %, mean ± standard deviation over the seeds: of `predict_proba(X)`,
of `predict_proba(X, prior="train")`, and what probabilities that are exactly true would show on as
many examples. `change` is that of the balanced error when `predict_proba(X, prior="balanced")`
decides.

{table(heading, rows)}"""


def verdict(record: Record) -> str:
    """False and true claims on simulated data."""
    rows = [
        [
            entry["case"],
            entry["runs"],
            entry["claims"],
            f"{entry['share']:.1%} [{entry['interval'][0]:.1%}, {entry['interval'][1]:.1%}]",
            record["goals"][entry["case"]],
        ]
        for entry in record["summary"]
    ]
    return f"""## How often the verdict claims a gain

On simulated data for which logit adjustment is optimal (null), and on data with a planted gain. In
brackets: the 95% interval of the share.

{table(("case", "runs", "gains claimed", "share", "goal"), rows)}"""


def held_out_loss(record: Record) -> str:
    """Cross-entropy or the error rate."""
    rows = [
        [
            entry["table"],
            entry["examples"],
            f"{entry['cross-entropy']:.2f}",
            f"{entry['error']:.2f}",
            f"{signed(entry['difference'], 2)} ± {entry['standard_error']:.2f}",
        ]
        for entry in record["summary"]
    ]
    heading = ("table", "examples of a rare class", "cross-entropy", "error", "difference")
    return f"""## Which held-out loss

Balanced error in %, mean over the seeds, of the loss that is designed on a half of the rows, with
the rarest third of its classes thinned, by the held-out loss that steers the search. The difference
is paired, with its standard error. An earlier default asked for 30 held-out examples in every cell
before it took the error rate; these runs show no advantage of cross-entropy with fewer, so the rule
is gone.

{table(heading, rows)}"""


def costs(record: Record) -> str:
    """Mean costs of decisions, by what costs depend on."""
    rows = [
        [
            entry["costs"],
            entry["method"],
            f"{entry['cost']:.3f}",
            f"{entry['difference']:+.3f} ± {entry['standard_error']:.3f}",
        ]
        for entry in record["summary"]
    ]
    heading = ("costs", "method", "mean cost", "minus the designed loss at s = 2")
    seeds = len({row["seed"] for row in record["rows"]})
    return f"""## When errors cost differently

Generated data of four classes on which a linear head has the odds wrong, mean cost of the decisions
on test examples over {seeds} draws ([guide](costs.md)). Differences are paired, with their standard
error. s is how much sharper than calibrated the held-out probabilities are taken: 2 is the default,
and was before this was measured.

{table(heading, rows)}"""


def million_rows(record: Record) -> str:
    """Time and memory by the number of rows."""
    rows = [
        [
            entry["command"],
            f"{entry['rows']:,}",
            f"{entry['seconds']:.0f}",
            f"{entry['cpu']:.0f}",
            f"{entry['peak'] / 1e9:.2f}",
            f"{entry['data'] / 1e9:.2f}",
            f"{entry['load']:.1f}",
        ]
        for entry in record["rows"]
    ]
    summary = record["summary"]
    copies = ", ".join(
        f"{command} {slope:.1f}" for command, slope in summary["copies"].items() if slope
    )
    heading = ("command", "rows", "seconds", "CPU seconds", "peak GB", "data GB", "load before")
    return f"""## A million rows

A Parquet file of 200 columns, numbers and texts, with a class of 2%, through the commands as a user
types them, with all defaults: `fit` searches, judges on an untouched quarter, trains again and
reports. `peak` is the memory of the process and its children, libraries included; `data` is what
the rows' {record["rows"][0]["features"]} features take in float32. Copies of the data by which the
peak grows: {copies}. Goal for {summary["rows"]:,} rows: {summary["goal_minutes"]:g} minutes and
{summary["goal_peak"] / 1e9:g} GB: {"met" if summary["met"] else "missed"}. Seconds depend on what
else the machine does, which `load before` tells; bytes do not.

{table(heading, rows)}"""
