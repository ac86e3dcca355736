"""What was gained and what to use, in words that claim no more than was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autobalance.bootstrap import Estimate
from autobalance.contest.contenders import BASELINE, DECISION_RULE, OURS
from autobalance.contest.verdict import OUTER_FOLDS, Verdict
from autobalance.objectives import Objective
from autobalance.report.scale import Scale, scale_of
from autobalance.report.wording import capitalized, objective_name
from autobalance.runs.measure import TEST_SPLIT

Method = Mapping[str, Any]


def verdict_entry(
    reached: Verdict | None,
    note: str,
    objective: str,
    basis: str,
    methods: Sequence[Method],
    examples: int,
    kept_start: str | None = None,
    ridge_tuned: bool = True,
) -> dict[str, Any]:
    """The verdict as the metrics hold it: a headline, further sentences, and the evidence.

    Parameters
    ----------
    reached, note
        The verdict, or why there is none.
    objective
        Canonical text of the objective.
    basis, methods, examples
        Where the errors of the entries of the metrics were measured, the entries, and on how many
        examples.
    kept_start, ridge_tuned
        What the search started from, if it found nothing better, and whether it tuned the ridge.
    """
    by_name = {method["name"]: method for method in methods}
    sentences = [
        _without_verdict(note, basis) if reached is None else _evidence(reached, objective),
        "" if reached is None else _without_a_loss(reached, scale_of(objective)),
        _on_test(reached, by_name, examples, scale_of(objective)) if basis == TEST_SPLIT else "",
        "" if kept_start is None else _start_kept(kept_start, ridge_tuned),
    ]
    return {
        "headline": _headline(objective, by_name, reached),
        "text": " ".join(filter(None, sentences)),
        **({"basis": None} if reached is None else reached.to_json()),
    }


def _headline(objective: str, methods: Mapping[str, Method], reached: Verdict | None) -> str:
    kept = OURS if reached is None else reached.recommended
    name = capitalized(objective_name(objective))
    after, scale = methods[kept], scale_of(objective)
    low, high = after["interval"]
    figure = f"{scale.value(after['value'])} (±{scale.value((high - low) / 2).rstrip('%')})"
    if reached is not None and kept == BASELINE:
        return f"{name} {figure} with plain cross-entropy: {_nothing_better(reached, scale)}."
    change = f"{name} {scale.value(methods[BASELINE]['value'])} → {figure} with {_called(kept)}"
    if kept != OURS:
        return f"{change}; the designed loss would give {scale.value(methods[OURS]['value'])}."
    if reached is None:
        return f"{change}."
    rival = _best_rival(reached)
    return f"{change}; {_called(rival)} alone would give {scale.value(methods[rival]['value'])}."


def _nothing_better(reached: Verdict, scale: Scale) -> str:
    """No more than was found: that is little where examples are few."""
    if reached.best == BASELINE:
        return f"nothing that was tried has a lower {scale.noun}"
    return f"no loss that was tried is better beyond chance on {reached.examples:,} examples"


def _evidence(reached: Verdict, objective: str) -> str:
    """Which contender is kept, and why."""
    best, kept = reached[reached.best], reached[reached.recommended]
    where = f"{reached.parts} outer folds" if reached.basis == OUTER_FOLDS else "an untouched part"
    scale = scale_of(objective)
    unit = "class and group" if Objective.parse(objective).by_group else "class"
    rarest = f" ({reached.rarest:,} of the rarest {unit})" * (reached.rarest < reached.examples)
    leads = (
        f"Judged on {where}, {reached.examples:,} examples that no contender had seen{rarest}, "
        f"{_called(best.name)} has the lowest {scale.noun} ({scale.value(best.error.value)})"
    )
    if kept.minus_best is not None:
        simpler = capitalized(_called(kept.name))
        return (
            f"{leads}. {simpler} is {_gap(kept.minus_best, scale)} from it: the two cannot be told "
            "apart, and the simpler one is kept."
        )
    if not reached.gain:
        behind = reached[BASELINE].minus_best
        because = (
            "nothing is simpler"
            if behind is None
            else f"cross-entropy, the only simpler one, is worse by {_gap(behind, scale)}"
        )
        return f"{leads} and is kept: {because}."
    rival = reached[_best_rival(reached)]
    assert rival.minus_ours is not None  # it is not ours
    return (
        f"{leads}; the best simpler one, {_called(rival.name)}, is worse by "
        f"{_gap(rival.minus_ours, scale)}: the designed loss is worth having, and is kept."
    )


def _on_test(
    reached: Verdict | None, methods: Mapping[str, Method], examples: int, scale: Scale
) -> str:
    """What the test rows, which chose nothing, say of the choice."""
    where = f"On the {examples:,} test examples, which chose nothing,"
    rival = BASELINE if reached is None else reached.recommended
    if rival == OURS and reached is not None:
        rival = _best_rival(reached)
    difference = methods[rival]["difference"]
    gap = Estimate(difference["value"], *difference["interval"])
    reading = (
        "the designed loss is better"
        if gap.low > 0
        else "the designed loss is worse"
        if gap.high < 0
        else "the two cannot be told apart"
    )
    return f"{where} {_called(rival)} minus the designed loss is {_gap(gap, scale)}: {reading}."


def _without_verdict(note: str, basis: str) -> str:
    sentence = f"There is no verdict ({note}), so the designed loss is kept."
    if basis == TEST_SPLIT:
        return sentence
    return f"{sentence} The figures come from the folds that chose the loss and flatter it."


def _without_a_loss(reached: Verdict, scale: Scale) -> str:
    """What the decision rule would do, which nothing here can be kept as."""
    rules = [each for each in reached.standings if each.kind == DECISION_RULE]
    if not rules or rules[0].minus_best is None:
        return ""
    return (
        "Without any loss but cross-entropy, deciding for the least expected cost by its "
        f"calibrated probabilities would come to {scale.value(rules[0].error.value)}, "
        f"{_gap(rules[0].minus_best, scale)} from the best."
    )


def _start_kept(start: str, ridge_tuned: bool) -> str:
    tuned = ", with its ridge tuned" if ridge_tuned else ""
    return (
        f"The designed loss is the one that the search started from ({start}){tuned}: no other "
        "stood out on held-out examples."
    )


def _best_rival(reached: Verdict) -> str:
    """The contender of the lowest error but the designed loss."""
    rivals = [
        standing
        for standing in reached.standings
        if standing.name != OURS and standing.kind != DECISION_RULE
    ]
    return min(rivals, key=lambda standing: standing.error.value).name


def _called(name: str) -> str:
    return {OURS: "the designed loss", BASELINE: "cross-entropy"}.get(name, name)


def _gap(estimate: Estimate, scale: Scale) -> str:
    interval = scale.difference_interval(estimate.interval)
    return f"{scale.difference(estimate.value)}{scale.ending} (95% interval {interval})"
