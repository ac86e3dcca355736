"""Runs to report on: metrics, design and history of any number of classes and groups."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.labels import label_to_json

Run = tuple[dict[str, Any], LossDesign, list[dict[str, Any]]]

OBJECTIVES_WITHOUT_GROUPS = ("error", "balanced", "worst-class")
OBJECTIVES_WITH_GROUPS = (
    *OBJECTIVES_WITHOUT_GROUPS,
    "group-balanced",
    "worst-group",
    "equalized-odds",
)
OTHERS = {
    "Cross-entropy": ("closed form", 1.0),
    "Weighted": ("closed form", 0.72),
    "Class-balanced": ("closed form", 0.75),
    "Logit adjustment": ("closed form", 0.6),
    "CDT": ("closed form", 0.8),
    "VS": ("closed form", 0.63),
    "Tuned bias": ("post-hoc", 0.61),
}


def build_run(
    classes: list[Any],
    groups: list[Any] | None = None,
    *,
    empty: tuple[tuple[int, int], ...] = (),
    basis: str = "test split",
) -> Run:
    """A run of made-up but plausible numbers; cells in ``empty`` hold no test example."""
    rng = np.random.default_rng(0)
    K, G = len(classes), 1 if groups is None else len(groups)
    rank = np.linspace(0, 1, K)[:, None] + np.linspace(0, 0.3, G)[::-1][None]
    values = np.maximum(np.round(5000 * 0.02**rank), 2)
    counts = Counts(values, tuple(classes), None if groups is None else tuple(groups))
    hardness = 0.04 + 0.3 * rank + 0.05 * rng.random((K, G))
    names = OBJECTIVES_WITHOUT_GROUPS if groups is None else OBJECTIVES_WITH_GROUPS
    asked = "balanced" if groups is None else "worst-group"

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
        value = float(summary[asked])
        missing = np.isnan(errors)
        return {
            "name": name,
            "kind": kind,
            "ridge": 0.2,
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
    for name, (kind, scale) in OTHERS.items():
        other = method(name, kind, scale)
        gap = other["value"] - ours["value"]
        other["difference"] = {"value": gap, "interval": [gap - 0.018, gap + 0.017]}
        methods.append(other)
    share = counts.frequencies
    design = LossDesign(
        counts,
        weight=(1 / share) ** 0.4 / (share * (1 / share) ** 0.4).sum(),
        additive=0.8 * np.log(share / share.max()) + 0.1 * rng.normal(size=(K, G)),
        multiplicative=np.ones((K, G)),
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
    before, after = methods[1]["value"], ours["value"]
    metrics = {
        "format": "autobalance-metrics",
        "version": 1,
        "objective": asked,
        "positive_class": None,
        "classes": [label_to_json(label) for label in counts.classes],
        "groups": None if groups is None else [label_to_json(label) for label in counts.groups],
        "group_columns": None if groups is None else ["sex"],
        "data": {
            "source": "adult.csv.gz",
            "features": 105,
            "rows": {"train": int(values.sum()), "validation": 0, "test": 5794},
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
            "sharpness": 20.0,
            "shrinkage": 1.0,
            "start_value": 0.56,
            "value": 0.27,
        },
        "basis": basis,
        "verdict": (
            f"The designed loss lowers the {asked} error from {100 * before:.1f}% to "
            f"{100 * after:.1f}%. Logit adjustment alone would give "
            f"{100 * methods[4]['value']:.1f}%, which is clearly worse."
        ),
        "methods": methods,
        "settings": {"seed": 0, "folds": 5, "drop": ["id", "name"]},
        "versions": {"autobalance": "0.1.0", "torch": "2.13.0", "python": "3.11.2"},
        "seconds": 12.3,
        "created": "2026-11-23T10:00:00+00:00",
    }
    return metrics, design, history


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    return build_run
