"""Names of the objectives, by what they look at."""

OBJECTIVES = (
    "error",
    "balanced",
    "group-balanced",
    "worst-class",
    "worst-group",
    "equal-opportunity",
    "equalized-odds",
)
"""Objectives about error rates."""
COST = "cost"
NAMES = (*OBJECTIVES, COST)
DIFFERENCES = ("equal-opportunity", "equalized-odds")
BY_GROUP = ("group-balanced", "worst-group", *DIFFERENCES)
