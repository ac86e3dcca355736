r"""Lemma 1: with distinct multiplicative adjustments no additive ones make the loss consistent.

At a near tie of classes 1 and 2 (:mod:`~autobalance.reproduce.theory.near_tie`) the minimiser of
the population risk prefers class 1 at x where

.. math:: f_1(x) - f_2(x) = \log \frac{\bar\eta_1(x)^{1/\delta_1}}{\bar\eta_2(x)^{1/\delta_2}}
          - \Big( \frac{l_1}{\delta_1} - \frac{l_2}{\delta_2} \Big) > 0.

The bracket is one threshold for both points, whatever l is, while the first terms of the two points
differ by about :math:`(1/\delta_1 - 1/\delta_2) \log \Gamma`. Bayes wants class 1 at one point and
class 2 at the other. The *room* is the first term where class 1 is right less the one where class 2
is right: if it is negative, no l is right at both points. Equal δ leave room, and
:math:`l = \log(w / c)` lies in it: logit adjustment, where w = 1 and c = 1/π.

The lemma needs at least three classes. With two, :math:`\eta_2 = 1 - \eta_1`, the first term
grows with :math:`\eta_1`, and some l is right wherever Bayes is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
from matplotlib.figure import Figure

from autobalance.report.svg import PALETTE
from autobalance.report.wording import number
from autobalance.reproduce.outcome import Check, Line, Outcome, Picture, Table
from autobalance.reproduce.panels import name_axes, panels, write
from autobalance.reproduce.request import Reproduction, Request
from autobalance.reproduce.theory.near_tie import BALANCED, N_CLASSES, STANDARD
from autobalance.reproduce.theory.tie_scan import SCAN, Case, Finding, find, make_case
from autobalance.runs.watch import Watch

TOLERANCE = 1e-5
_TEXT = number(TOLERANCE, 1)
_SEEDS = 3
_GAMMAS, _EPSILONS = (2.0, 4.0), (0.001, 0.01)
_DISTINCT = ((1.0, 0.5), (0.5, 1.0), (1.2, 0.8), (0.8, 1.0))
_EQUAL = ((1.0, 1.0), (0.5, 0.5))
_SHOWN_GAMMA, _SHOWN_EPSILON = 4.0, 0.1  # wide enough to be seen


def cases(seeds: int) -> Iterator[Case]:
    """Every combination that is tried."""
    for objective, gamma, epsilon, pair, seed in product(
        (STANDARD, BALANCED), _GAMMAS, _EPSILONS, (*_DISTINCT, *_EQUAL), range(seeds)
    ):
        yield make_case(objective, gamma, epsilon, pair, seed)


def run(request: Request, watch: Watch) -> Outcome:
    """Minimise the risk of every case and judge the decisions at both points."""
    seeds = request.seeds or _SEEDS
    everything = list(cases(seeds))
    findings = []
    for done, case in enumerate(everything):
        watch.stage(f"{case.objective}, δ = {_pair(case)}", done / len(everything))
        findings.append(find(case))
    shown = [
        find(make_case(BALANCED, _SHOWN_GAMMA, _SHOWN_EPSILON, pair, 0))
        for pair in ((1.0, 0.5), (1.0, 1.0))
    ]
    return Outcome(
        name="lemma1",
        title="Lemma 1: distinct multiplicative adjustments are inconsistent",
        conditions={
            "distribution": f"appendix D, {N_CLASSES} classes, Γ of 2 and 4, ε of 0.001 and 0.01",
            "objectives": f"{STANDARD} (c = 1) and {BALANCED} (c = 1/π)",
            "scan": f"{len(SCAN)} values of l₁ around the thresholds, and l = log(w/c)",
            "seeds": f"{seeds}, each with its class shares, weights and other δ",
            "solver": "scipy.optimize.minimize, trust-ncg, on adjusted_cross_entropy in float64",
        },
        deviations=(
            "one point favours class 1 and the other class 2, where appendix D has both favour the "
            "same class, so that one l is right at both",
            "there are ten classes, since two leave no room for Γ and three little",
            "for the balanced error a third point holds most of the other classes",
        ),
        tables=(_table(findings),),
        pictures=(_picture(shown),),
        checks=tuple(checks(findings)),
        rows=[finding.row for finding in findings],
    )


def checks(findings: Iterable[Finding]) -> Iterator[Check]:
    """The claims of the lemma."""
    findings = list(findings)
    distinct = [finding for finding in findings if finding.case.distinct]
    equal = [finding for finding in findings if not finding.case.distinct]
    miss = max(finding.miss for finding in findings)
    yield Check(
        f"the minimiser is f_y = (log η̄_y − l_y)/δ_y within {_TEXT}",
        miss <= TOLERANCE,
        f"largest distance {number(miss, 2)}",
    )
    room = max((finding.room for finding in distinct), default=0.0)
    most = max((max(finding.right) for finding in distinct), default=0)
    yield Check(
        f"distinct δ are wrong at x₁ or x₂ for every l: no scanned l is right at both, and the "
        f"room is below −{_TEXT}",
        bool(distinct) and most < 2 and room < -TOLERANCE,
        f"{len(distinct)} cases, at most {most} of 2 right, largest room {number(room)}",
    )
    least = max((finding.room_of_least_norm for finding in distinct), default=0.0)
    yield Check(
        f"so is the minimiser of the least norm: its room is below −{_TEXT}",
        bool(distinct) and least < -TOLERANCE,
        f"largest room {number(least)}",
    )
    fewest = min((finding.right[-1] for finding in equal), default=0)
    narrowest = min((finding.room for finding in equal), default=0.0)
    yield Check(
        f"equal δ are right at both with l = log(w/c), and the room is above {_TEXT}",
        bool(equal) and fewest == 2 and narrowest > TOLERANCE,
        f"{len(equal)} cases, at least {fewest} of 2 right, smallest room {number(narrowest)}",
    )


def _table(findings: Iterable[Finding]) -> Table:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.case.objective, _pair(finding.case)), []).append(finding)
    lines = []
    for (objective, pair), group in groups.items():
        rooms = [finding.room for finding in group]
        both = sum(max(finding.right) == 2 for finding in group)
        lines.append(
            Line(
                (
                    f"{objective}, δ = {pair}",
                    f"{both} of {len(group)}",
                    number(min(rooms)),
                    number(max(rooms)),
                )
            )
        )
    return Table(
        "Is any l right at both points?",
        ("rule, δ of the two classes", "right at both", "smallest room", "largest room"),
        tuple(lines),
        (
            "Right at both: cases in which some l of the scan decides as Bayes does at x₁ and x₂.",
            "Room: how far the score difference f₁ − f₂ at the point where class 1 is right lies "
            "above the one where class 2 is right; below 0 no l serves both.",
        ),
    )


def _pair(case: Case) -> str:
    return f"({case.pair[0]:g}, {case.pair[1]:g})"


def _picture(shown: list[Finding]) -> Picture:
    return Picture(
        name="room",
        caption=(
            "The score difference of the two classes at both points, over the additive adjustment "
            f"of class 1 (balanced error, Γ = {_SHOWN_GAMMA:g}, ε = {_SHOWN_EPSILON:g}). Lines are "
            "thick where the decision is right. With distinct δ no adjustment is right at both "
            "points; with equal δ those in the shaded band are."
        ),
        description=(
            "Two panels with two falling lines each. With distinct δ the thick parts of the lines "
            "do not overlap; with equal δ they overlap in a band."
        ),
        draw=lambda width: room_figure(shown, width),
    )


def room_figure(shown: list[Finding], width: int) -> Figure:
    """A panel for each finding: f_1 − f_2 at both points over the scan of l_1."""
    bands = [
        f"δ = {_pair(each.case)}, band: {'wrong' if each.case.distinct else 'right'} at both"
        for each in shown
    ]
    figure, drawn = panels(width, 250.0, bands)
    for axes, finding in zip(drawn, shown, strict=True):
        steps = finding.steps[:-1] - finding.steps[:-1].mean()
        reach = float(steps.max())
        gaps = finding.gaps[:-1]
        wanted = finding.case.distribution.first_is_right
        crossings = [float(np.interp(0, gap[::-1], steps[::-1])) for gap in gaps.T]
        axes.axvspan(
            *sorted(crossings),
            color=PALETTE["other" if finding.case.distinct else "accent"],
            alpha=0.14,
            linewidth=0,
        )
        axes.axhline(0, color=PALETTE["muted"], linewidth=1)
        for point, (gap, crossing, first) in enumerate(zip(gaps.T, crossings, wanted, strict=True)):
            colour = PALETTE["before" if point else "accent"]
            axes.plot(steps, gap, color=colour, linewidth=1.2)
            good = [-reach, crossing] if first else [crossing, reach]
            axes.plot(
                good,
                np.interp(good, steps, gap),
                color=colour,
                linewidth=4.5,
                solid_capstyle="butt",
            )
            upper = gap.sum() > gaps.sum() / 2
            write(
                axes,
                f"x{'₁₂'[point]}: class {1 if first else 2} is right",
                (0.97, 0.93) if upper else (0.03, 0.07),
                colour,
                align="right" if upper else "left",
                of="axes fraction",
            )
        axes.set_xlim(-1.06 * reach, 1.06 * reach)
        axes.margins(y=0.12)
        name_axes(
            axes, "additive adjustment l₁, from the band’s middle", "score of class 1 − class 2"
        )
    return figure


REPRODUCTION = Reproduction("lemma1", "distinct δ are inconsistent, equal δ are not", run)
