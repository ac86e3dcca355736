"""The designed loss and its simpler rivals, all trained on the same terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from autobalance.bench import Bench, TrainedHead
from autobalance.search.result import Evaluation
from autobalance.space import SearchSpace

OURS = "AutoBalance"
BASELINE = "Cross-entropy"
TUNED_BIAS = "Tuned post-hoc bias"
LEAST_COST = "Least expected cost"
DECISION_RULE = "decision rule"
"""Kind of what is shown beside the contenders but cannot be kept, where logits decide."""


@dataclass(frozen=True)
class ClosedForm:
    """A preset, its name for people, and what of its strength is tuned beside the ridge."""

    preset: str
    name: str
    tuned: tuple[str, ...] = ()


CROSS_ENTROPY = ClosedForm("cross-entropy", BASELINE)
_WEIGHTED = ClosedForm("weighted", "Inverse-frequency weights")
_LOGIT_ADJUSTMENT = ClosedForm("logit-adjustment", "Logit adjustment", ("additive",))

WITHOUT_GROUPS = (
    CROSS_ENTROPY,
    _WEIGHTED,
    ClosedForm("class-balanced", "Class-balanced (effective number)"),
    _LOGIT_ADJUSTMENT,
    ClosedForm("cdt", "CDT", ("multiplicative",)),
    ClosedForm("vs", "VS", ("additive", "multiplicative")),
)
WITH_GROUPS = (
    CROSS_ENTROPY,
    _WEIGHTED,
    _LOGIT_ADJUSTMENT,
    ClosedForm("group-balanced", "Group-balanced CE"),
    ClosedForm("group-la", "Group-LA"),
    ClosedForm("group-vs", "Group-VS", ("additive", "multiplicative")),
)


OF_COSTS = (
    CROSS_ENTROPY,
    ClosedForm("cost-weighted", "Cost weights"),
    ClosedForm("cost-adjustment", "Cost adjustment"),
    _WEIGHTED,
    _LOGIT_ADJUSTMENT,
)


def closed_forms(n_groups: int, about_costs: bool = False) -> tuple[ClosedForm, ...]:
    """The losses to compare with; each is tuned on the folds for the objective, as ours is."""
    if about_costs:
        return OF_COSTS
    return WITHOUT_GROUPS if n_groups == 1 else WITH_GROUPS


def train_all(
    bench: Bench,
    make_space: Callable[[Bench], SearchSpace],
    evaluated: Callable[[Evaluation], None],
    starting: Callable[[str], None],
    wanted: Collection[str] | None = None,
) -> Iterator[TrainedHead]:
    """Train the designed loss, cross-entropy, its tuned bias and the other closed forms.

    Parameters
    ----------
    bench
        Data, folds and objective.
    make_space
        Gives what is searched for the designed loss. It may try several starts, whose time counts.
    evaluated
        Called with every evaluation of that search.
    starting
        Called with the name of each method before its training starts.
    wanted
        Names to train; by default all.
    """

    def is_wanted(name: str) -> bool:
        return wanted is None or name in wanted

    if is_wanted(OURS):
        starting(OURS)
        started = time.perf_counter()
        head = bench.train(make_space(bench), OURS, progress=evaluated)
        yield replace(head, seconds=time.perf_counter() - started)
    about_costs = bench.objective.objective.about_costs
    for form in closed_forms(bench.counts.n_groups, about_costs):
        biased = form is CROSS_ENTROPY and is_wanted(TUNED_BIAS)
        if not (is_wanted(form.name) or biased):
            continue
        starting(form.name)
        head = bench.train_preset(form.preset, form.name, form.tuned)
        if is_wanted(form.name):
            yield head
        if biased:
            yield bench.add_tuned_bias(head, TUNED_BIAS)
