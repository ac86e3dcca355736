"""Tables 3 and 5: fairness on the Waterbirds images, from fixed features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autobalance.reproduce.fitted import DESIGNED, PEEKING, PUBLISHED
from autobalance.reproduce.groups.data import WATERBIRDS
from autobalance.reproduce.groups.lab import FOLDS, REPEATS
from autobalance.reproduce.groups.measure import summarised
from autobalance.reproduce.groups.methods import BLEND, OBJECTIVE, WEIGHT_DECAY
from autobalance.reproduce.groups.rows import HEADLINE, METHODS, PUBLISHED_AS, rows_of
from autobalance.reproduce.groups.work import COLUMNS, read, run_heads
from autobalance.reproduce.outcome import Check, Line, Outcome, Table, with_error
from autobalance.reproduce.published import published_text
from autobalance.reproduce.request import SEEDS, Reproduction, Request
from autobalance.reproduce.runs import Row
from autobalance.runs.watch import Watch
from autobalance.search.result import START_KEPT

LIMIT_FOR_DEO = 13.0
"""Balanced error up to which a row's DEO counts: one that always says the same has none."""


def _reproduction(name: str, about: str, seeds: int) -> Reproduction:
    def run(request: Request, watch: Watch) -> Outcome:
        keys, repeated = request.chosen(rows_of(name)), request.seeds or seeds
        data = read(request)
        rows = run_heads(request, keys, repeated, watch)
        compared = [key for key in keys if METHODS[key].kind != PEEKING]
        summary = summarised(rows, data.test, data.counts, HEADLINE, compared)
        return Outcome(
            f"{name}_{WATERBIRDS}",
            f"{name[:-1].capitalize()} {name[-1]}: {about}",
            {
                "Data": f"Waterbirds, official split, {len(data.train.y):,} training images",
                "Features": f"{data.backbone}, {data.train.features.shape[1]} numbers, fixed",
                "Model": "linear head",
                "Tuned and designed for": f"{OBJECTIVE}; the paper's blend is {BLEND}",
                "Tuned on": f"{FOLDS} folds of the training part, drawn {REPEATS} times",
                "As published": f"weight decay {WEIGHT_DECAY:g}, trained to the optimum",
                "Seeds": str(repeated),
            },
            data.deviations,
            tuple(_tables(name, summary, rows)),
            checks=tuple(checks(summary)),
            rows=[{k: v for k, v in row.items() if k != "predictions"} for row in rows],
            facts={"summary": list(summary.values())},
        )

    return Reproduction(name, about, run, (WATERBIRDS,), (SEEDS, "methods"))


def checks(summary: Mapping[str, Row]) -> list[Check]:
    """Whether the headline is first in balanced error and worst cell, and low in DEO."""
    if HEADLINE not in summary:
        return []
    ours, found = summary[HEADLINE], []
    rivals = {
        key: entry for key, entry in summary.items() if METHODS[key].kind not in (DESIGNED, PEEKING)
    }
    for kind, those in (
        ("every row as published", [k for k in rivals if METHODS[k].kind == PUBLISHED]),
        ("every row tuned on the same folds", [k for k in rivals if METHODS[k].kind != PUBLISHED]),
    ):
        for metric in ("balanced", "worst"):
            level = [
                f"{METHODS[key].name} {_interval(rivals[key], metric)}"
                for key in those
                if not rivals[key][f"{metric}_interval"][0] > 0
            ]
            claim = f"{COLUMNS[metric].lower()} error below {kind}, paired 95% intervals above 0"
            if those:
                found.append(
                    Check(
                        claim, not level, "not told apart: " + "; ".join(level) if level else "all"
                    )
                )
    able = {
        key: entry
        for key, entry in {HEADLINE: ours, **rivals}.items()
        if entry["balanced"] <= LIMIT_FOR_DEO
    }
    if able:
        best = min(able, key=lambda key: float(able[key]["deo"]))
        limit = able[best]["deo"] + (able[best]["deo_standard_error"] or 0.0)
        found.append(
            Check(
                "DEO within a standard error of the best row of balanced error up to "
                f"{LIMIT_FOR_DEO:g}%",
                HEADLINE in able and ours["deo"] <= limit,
                f"{ours['deo']:.2f}; best {METHODS[best].name} "
                f"{with_error(able[best]['deo'], able[best]['deo_standard_error'])}",
            )
        )
    return found


def _tables(name: str, summary: Mapping[str, Row], rows: Sequence[Row]) -> list[Table]:
    published = PUBLISHED_AS[name]
    errors, gaps = [], []
    for key, entry in summary.items():
        cells = [METHODS[key].name]
        for metric in COLUMNS:
            cells.append(with_error(entry[metric], entry[f"{metric}_standard_error"]))
            cells.append(published_text(name, published.get(key, ""), metric))
        errors.append(Line((*cells, f"{entry['seconds']:.1f}"), key == HEADLINE))
        if "balanced_interval" in entry:
            differences = [
                f"{with_error(entry[f'{metric}_difference'], sign='+')} {_interval(entry, metric)}"
                for metric in COLUMNS
            ]
            gaps.append(Line((METHODS[key].name, METHODS[key].kind, *differences)))
    headings = [text for title in COLUMNS.values() for text in (f"{title}, %", "paper")]
    peeking = [METHODS[key].name for key in summary if METHODS[key].kind == PEEKING]
    tables = [
        Table(
            "Errors on the official test part",
            ("Loss", *headings, "Seconds"),
            tuple(errors),
            (
                "± is the standard error over the seeds; losses as published are trained to their "
                "optimum, so seeds change nothing.",
                *(f"{name}: {PEEKING}; it is in no comparison." for name in peeking),
                *_starts_kept(rows),
            ),
        )
    ]
    if gaps:
        tables.append(
            Table(
                f"How much larger the errors are than those of {METHODS[HEADLINE].name}",
                ("Loss", "Numbers", *COLUMNS.values()),
                tuple(gaps),
                ("In points, with paired 95% bootstrap intervals of the mean over the seeds.",),
            )
        )
    return tables


def _starts_kept(rows: Sequence[Row]) -> list[str]:
    """On how many seeds a search found nothing that stands out from its closed-form start."""
    found = []
    for key in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == key and "status" in row]
        kept = sum(row["status"] == START_KEPT for row in own)
        if kept and METHODS[key].kind == DESIGNED:
            found.append(
                f"{METHODS[key].name} keeps its closed-form start, with the ridge tuned, on {kept} "
                f"of {len(own)} seeds: no loss gained more on the folds than their noise."
            )
    return found


def _interval(entry: Mapping[str, Any], metric: str) -> str:
    low, high = entry[f"{metric}_interval"]
    return f"[{low:+.1f}, {high:+.1f}]".replace("-", "−")


TABLE3 = _reproduction("table3", "group fairness on Waterbirds", 5)
TABLE5 = _reproduction("table5", "group fairness on Waterbirds, more baselines", 5)
