"""The designed loss and those it is compared with, all trained on the same terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autobalance.search.result import Evaluation
from autobalance.space import SearchSpace
from autobalance.workbench import TrainedHead, Workbench

OURS = "AutoBalance"
BASELINE = "Cross-entropy"
TUNED_BIAS = "Tuned post-hoc bias"


@dataclass(frozen=True)
class ClosedForm:
    """A preset, its name for people, and what of its strength is tuned beside the ridge."""

    preset: str
    name: str
    tuned: tuple[str, ...] = ()


CROSS_ENTROPY = ClosedForm("cross-entropy", BASELINE)
_WEIGHTED = ClosedForm("weighted", "Balanced (inverse frequency)")
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


def closed_forms(n_groups: int) -> tuple[ClosedForm, ...]:
    """The losses to compare with; each is tuned on the folds for the objective, as ours is."""
    return WITHOUT_GROUPS if n_groups == 1 else WITH_GROUPS


def train_all(
    bench: Workbench,
    space: SearchSpace,
    evaluated: Callable[[Evaluation], None],
    starting: Callable[[str], None],
) -> Iterator[TrainedHead]:
    """Train the designed loss, cross-entropy, its tuned bias and the other closed forms.

    Parameters
    ----------
    bench
        Data, folds and objective.
    space
        What is searched for the designed loss.
    evaluated
        Called with every evaluation of that search.
    starting
        Called with the name of each method before its training starts.
    """
    starting(OURS)
    yield bench.train(space, OURS, progress=evaluated)
    for form in closed_forms(bench.counts.n_groups):
        starting(form.name)
        head = bench.train_preset(form.preset, form.name, form.tuned)
        yield head
        if form is CROSS_ENTROPY:
            yield bench.add_tuned_bias(head, TUNED_BIAS)
