"""Which rows tables 3 and 5 have, and which published figures stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autobalance.baselines.dfr import dfr
from autobalance.baselines.group_dro import group_dro
from autobalance.baselines.group_vs_dro import group_vs_dro
from autobalance.reproduce.fitted import PUBLISHED
from autobalance.reproduce.groups.methods import (
    BLEND,
    Algorithm1,
    Exact,
    Method,
    OnBench,
    PlainLoss,
    PostHocOnScored,
    TunedLoss,
    blend,
    scaled_cross_entropy,
    tuned_blend,
)

HEADLINE, ALGORITHM1 = "autobalance", "autobalance-algorithm-1"
ALMOST_ALL = 0.999
"""λ where CE_deo is to stand alone: at 1 every head that treats the groups alike is a minimum, one
that always says the same included."""

METHODS: Mapping[str, Method | PostHocOnScored] = MappingProxyType(
    {
        method.key: method
        for method in (
            PlainLoss("cross-entropy", "Cross-entropy (CE)", "cross-entropy"),
            PlainLoss("ce-balanced-groups", "CE balanced over groups", "group-balanced"),
            PlainLoss("group-la", "Group-LA", "group-la"),
            OnBench("ce-deo", "CE_deo", blend(ALMOST_ALL), PUBLISHED),
            OnBench("ce-0.1-deo-0.9", "0.1·CE + 0.9·CE_deo", blend(0.9), PUBLISHED),
            OnBench("ce-0.9-deo-0.1", "0.9·CE + 0.1·CE_deo", blend(0.1), PUBLISHED),
            OnBench("group-dro", "GroupDRO", lambda bench, _: group_dro(bench)),
            PostHocOnScored("posthoc-balanced", "Post-hoc, balanced error", "group-balanced"),
            PostHocOnScored(
                "posthoc-blend-deo",
                "Post-hoc, 0.9·balanced + 0.1·DEO",
                "0.9*group-balanced+0.1*equalized-odds",
            ),
            Exact(HEADLINE, "AutoBalance, exact"),
            Exact("autobalance-blend", "AutoBalance, exact, for the paper's blend", BLEND),
            Algorithm1(ALGORITHM1, "AutoBalance, Algorithm 1, for the paper's blend"),
            TunedLoss("cross-entropy-tuned", "CE, ridge tuned", "cross-entropy"),
            TunedLoss("ce-balanced-groups-tuned", "CE balanced, ridge tuned", "group-balanced"),
            TunedLoss("group-la-ridge", "Group-LA, ridge tuned", "group-la"),
            TunedLoss("group-la-tuned", "Group-LA, ridge, τ tuned", "group-la", ("additive",)),
            TunedLoss(
                "group-vs-tuned",
                "Group-VS, ridge, τ, γ tuned",
                "group-vs",
                ("additive", "multiplicative"),
            ),
            OnBench("ce-deo-tuned", "CE and CE_deo, λ, ridge tuned", tuned_blend),
            OnBench("group-vs-dro", "GroupDRO on Group-VS", lambda bench, _: group_vs_dro(bench)),
            OnBench("vector-scaling", "Post-hoc vector scaling", scaled_cross_entropy),
            OnBench("dfr", "DFR", lambda bench, seed: dfr(bench, random_state=seed)),
        )
    }
)
"""Every row by its key, in the order of the tables; those after AutoBalance are in no table of the
paper."""

_SHARED = ("cross-entropy", "ce-balanced-groups", "group-la", "ce-deo", "group-dro", HEADLINE)
_OTHERS = tuple(METHODS)[list(METHODS).index(ALGORITHM1) + 1 :]
PUBLISHED_AS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "table3": {
            **dict(zip(_SHARED, _SHARED, strict=True)),
            "ce-0.1-deo-0.9": "ce-blend-ce-deo",
            "autobalance-blend": HEADLINE,
            ALGORITHM1: HEADLINE,
        },
        "table5": {
            **dict(zip(_SHARED, _SHARED, strict=True)),
            "ce-0.9-deo-0.1": "ce-blend-ce-deo",
            "posthoc-balanced": "posthoc-balanced",
            "posthoc-blend-deo": "posthoc-blend-deo",
            "autobalance-blend": HEADLINE,
            ALGORITHM1: HEADLINE,
        },
    }
)
"""For each table the published row beside each of ours. The two tables write the weights of the
blend the other way round, so each has the blend that it prints."""


def rows_of(table: str) -> list[str]:
    """Keys of the rows of a table, in order."""
    return [key for key in METHODS if key in PUBLISHED_AS[table] or key in _OTHERS]
