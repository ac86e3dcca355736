"""Runs to report on, of any number of classes and groups, and a reader of the pages made."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.labels import label_to_json
from autobalance.objectives import Objective

Run = tuple[dict[str, Any], LossDesign, list[dict[str, Any]]]

OBJECTIVES_WITHOUT_GROUPS = ("error", "balanced", "worst-class")
OBJECTIVES_WITH_GROUPS = (
    *OBJECTIVES_WITHOUT_GROUPS,
    "group-balanced",
    "worst-group",
    "equalized-odds",
)
OTHERS = {
    "Cross-entropy": ("closed form", 0, 1.0),
    "Tuned post-hoc bias": ("post-hoc", 9, 0.61),
    "Inverse-frequency weights": ("closed form", 0, 0.72),
    "Class-balanced (effective number)": ("closed form", 0, 0.75),
    "Logit adjustment": ("closed form", 1, 0.6),
    "CDT": ("closed form", 1, 0.8),
    "VS": ("closed form", 2, 0.63),
}
BARELY = 0.015
"""Differences of errors below this cannot be told apart."""


def build_run(
    classes: list[Any],
    groups: list[Any] | None = None,
    *,
    empty: tuple[tuple[int, int], ...] = (),
    basis: str = "test split",
    judged: str | None = "outer folds",
    kept: str = "AutoBalance",
    objective: str | None = None,
) -> Run:
    """A run of made-up but plausible numbers.

    ``basis`` is where the methods were measured, ``judged`` where the verdict comes from, ``kept``
    the method kept. Cells in ``empty`` hold no example to measure on.
    """
    rng = np.random.default_rng(0)
    K, G = len(classes), 1 if groups is None else len(groups)
    rank = np.linspace(0, 1, K)[:, None] + np.linspace(0, 0.3, G)[::-1][None]
    values = np.maximum(np.round(5000 * 0.02**rank), 2)
    counts = Counts(values, tuple(classes), None if groups is None else tuple(groups))
    hardness = 0.04 + 0.3 * rank + 0.05 * rng.random((K, G))
    names = OBJECTIVES_WITHOUT_GROUPS if groups is None else OBJECTIVES_WITH_GROUPS
    asked = objective or ("balanced" if groups is None else "worst-group")

    share = counts.frequencies

    def design_of(scale: float) -> dict[str, Any]:
        strength = 2 * (1 - scale)
        weight = (1 / share) ** (0.4 * strength)
        return {
            "weight": (weight / (share * weight).sum()).tolist(),
            "additive": (strength * np.log(share / share.max())).tolist(),
            "multiplicative": np.ones((K, G)).tolist(),
        }

    def method(name: str, kind: str, scale: float) -> dict[str, Any]:
        errors = hardness * (scale + 0.08 * rng.random((K, G)) + 1.3 * (1 - scale) * (0.9 - rank))
        errors = np.clip(errors, 0, 1)
        for cell in empty:
            errors[cell] = np.nan
        spread = 1.96 * np.sqrt(errors * (1 - errors) / (values / 4 + 4))
        low, high = np.clip(errors - spread, 0, 1), np.clip(errors + spread, 0, 1)
        per_class = np.nanmean(errors, axis=1)
        summary = {
            "error": np.nansum(errors * values) / values.sum(),
            "balanced": per_class.mean(),
            "worst-class": per_class.max(),
            "group-balanced": np.nanmean(errors),
            "worst-group": np.nanmax(errors),
            "equalized-odds": np.nansum(np.nanmax(errors, 1) - np.nanmin(errors, 1)),
        }
        value = sum(weight * float(summary[term]) for term, weight in Objective.parse(asked).terms)
        missing = np.isnan(errors)
        return {
            "name": name,
            "kind": kind,
            "ridge": 0.2,
            "seconds": 1.5,
            "design": design_of(scale),
            "value": value,
            "interval": [max(value - 0.02, 0), value + 0.021],
            "difference": None,
            "cell_errors": np.where(missing, None, errors).tolist(),
            "cell_intervals": [
                [None if missing[k, j] else [low[k, j], high[k, j]] for j in range(G)]
                for k in range(K)
            ],
            "class_errors": per_class.tolist(),
            "class_intervals": np.stack([per_class * 0.9, per_class * 1.1], 1).tolist(),
            "summary": {name: float(summary[name]) for name in names},
        }

    ours = method("AutoBalance", "designed", 0.52)
    methods = [ours]
    for name, (kind, _, scale) in OTHERS.items():
        other = method(name, kind, scale)
        other["difference"] = gap(other["value"] - ours["value"])
        methods.append(other)
    by_name = {each["name"]: each for each in methods}
    design = LossDesign(
        counts,
        **{name: np.array(values) for name, values in by_name[kept]["design"].items()},
        ridge=0.013,
    )
    evaluations = np.arange(1, 22)
    objective = 0.27 + 0.3 * np.exp(-evaluations / 5) + 0.02 * rng.random(21)
    history = [
        {
            "evaluation": int(n),
            "seconds": 0.2 * float(n),
            "objective": float(value),
            "best": float(best),
            "gradient_norm": 0.5 / float(n),
            "ridge": 0.01,
            "temperature": 1.1,
        }
        for n, value, best in zip(
            evaluations, objective, np.minimum.accumulate(objective), strict=True
        )
    ]
    metrics = {
        "format": "autobalance-metrics",
        "version": 2,
        "objective": asked,
        "positive_class": None,
        "classes": [label_to_json(label) for label in counts.classes],
        "groups": None if groups is None else [label_to_json(label) for label in counts.groups],
        "group_columns": None if groups is None else ["sex"],
        "data": {
            "source": "adult.csv.gz",
            "features": 105,
            "rows": {"train": int(values.sum()), "validation": 0, "test": 5794},
            "measured": 5794 if basis == "test split" else int(values.sum()),
            "counts": values.tolist(),
            "notes": ["workclass: 963 missing values, filled with the most frequent value."],
        },
        "space": {
            "parameters": ["weight", "additive", "ridge"],
            "dictionary": "cell",
            "dimension": 9,
            "reason": "Held-out examples outnumber the 9 free numbers in every cell.",
        },
        "search": {
            "folds": 5,
            "evaluations": 21,
            "status": "converged",
            "message": "relative reduction below tolerance",
            "seconds": 4.2,
            "start": "balanced",
            "held_out_loss": "error",
            "sharpness": 60.0,
            "shrinkage": 1.0,
            "start_value": 0.56,
            "value": 0.27,
        },
        "basis": basis,
        "kept": kept,
        "verdict": verdict(methods, judged, kept, int(values.sum())),
        "methods": methods,
        "calibration": {
            "basis": "held-out folds, cross-fitted",
            "examples": int(values.sum()),
            "priors": {
                prior: {"raw": curve(rng, raw), "corrected": curve(rng, 0.01)}
                for prior, raw in (("train", 0.12), ("balanced", 0.08))
            },
        },
        "settings": {"seed": 0, "folds": 5, "drop": ["id", "name"]},
        "versions": {"autobalance": "0.1.0", "torch": "2.13.0", "python": "3.11.2"},
        "seconds": 12.3,
        "created": "2026-11-23T10:00:00+00:00",
    }
    return metrics, design, history


def gap(value: float) -> dict[str, Any]:
    """A difference with an interval that is a little lopsided, as real ones are."""
    return {"value": value, "interval": [value - BARELY, value + 0.9 * BARELY]}


def verdict(
    methods: list[dict[str, Any]], judged: str | None, kept: str, examples: int
) -> dict[str, Any]:
    """The evidence for keeping a method: everything at most as good as it is taken for worse."""
    before, after = methods[1]["value"], next(m["value"] for m in methods if m["name"] == kept)
    words = {
        "headline": f"The error fell {100 * before:.1f}% → {100 * after:.1f}% (±1.9) with {kept}; "
        f"Logit adjustment alone would give {100 * methods[5]['value']:.1f}%.",
        "text": "Judged on 5 outer folds, it is the simplest that cannot be told apart from the "
        "best. Everything else can.",
    }
    if judged is None:
        return {**words, "basis": None}
    lowest = min(float(method["value"]) for method in methods)
    (best,) = [method["name"] for method in methods if method["value"] == lowest]
    return {
        **words,
        "basis": judged,
        "folds": 5 if judged == "outer folds" else 1,
        "examples": examples,
        "rarest": min(56, examples),
        "best": best,
        "recommended": kept,
        "gain": kept == "AutoBalance",
        "methods": [
            {
                **{name: method[name] for name in ("name", "kind", "value", "interval")},
                "fitted": OTHERS[method["name"]][1] if method["name"] in OTHERS else 19,
                "difference": method["difference"],
                "to_best": None if method["name"] == best else gap(method["value"] - lowest),
                "distinguishable": method["value"] - lowest > BARELY and method["name"] != kept,
            }
            for method in methods
        ],
    }


def curve(rng: np.random.Generator, off: float) -> dict[str, Any]:
    """A reliability curve that claims about ``off`` too much."""
    stated = np.linspace(0.35, 0.97, 8)
    right = np.clip(stated - off + 0.02 * rng.normal(size=8), 0, 1)
    share = stated**4 / (stated**4).sum()
    return {
        "ece": float((share * np.abs(stated - right)).sum()),
        "bins": [
            {"confidence": float(c), "accuracy": float(a), "weight": float(w)}
            for c, a, w in zip(stated, right, share, strict=True)
        ],
    }


class Page(HTMLParser):
    """The text of a page, its tables as rows of cells, and whether its tags are balanced."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._section = ""
        self._cell: list[str] | None = None
        self.feed(html)
        self.close()
        assert not self.open

    @property
    def text(self) -> str:
        """All that is said, between single spaces."""
        return " ".join(" ".join(self.words).split())

    def row(self, section: str, first: str) -> list[str]:
        """The one table row of a section that begins with a cell."""
        (found,) = [row for row in self.rows[section] if row[0] == first]
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if tag == "section":
            self._section = found.get("id") or ""
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in {"td", "th"}:
            self._cell = []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th"} and self._cell is not None:
            self.rows[self._section][-1].append(" ".join(self._cell))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())
            if self.open[-1] in {"h1", "h2", "h3"}:
                self.headings.append(data.strip())
            if self._cell is not None:
                self._cell.append(data.strip())


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    return build_run


@pytest.fixture(scope="session")
def read_page() -> Callable[[str], Page]:
    return Page
