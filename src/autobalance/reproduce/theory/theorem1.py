r"""Theorem 1: one validation set serves every blend of R objectives, for h hyperparameters.

The theorem says that with probability :math:`1 - 2e^{-t}`, for all α and λ at once,

.. math:: |L^V_\lambda(f_\alpha) - L_\lambda(f_\alpha)|
          \le \Xi \sqrt{\tilde O(h + R + t) / n_V},

and that the α chosen on the validation set then has an excess risk of at most twice that. Here all
of it can be computed: risks are exact (:mod:`~autobalance.reproduce.theory.known_world`), the set H
of α is finite, and the supremum over λ has a closed form. The R objectives are the Brier scores of
R blocks of classes, :math:`\ell_i(y, \hat y) = 1\{y \in B_i\} \ell(y, \hat y)`, and λ is any point
of the cube :math:`[0, 1]^R`, so that Ξ = 1. With :math:`d_i` the deviation of objective i,

.. math:: \sup_\lambda \Big| \sum_i \lambda_i d_i \Big|
          = \max \Big( \sum_i d_i^+, \sum_i d_i^- \Big).

For a finite H the proof's (C.2) has its constants: by Hoeffding's inequality and a union over H and
the corners of the cube, the supremum is below
:math:`\sqrt{(\log |H| + R \log 2 + t) / 2 n_V}`. Three remarks on appendix C:

- Its last lines write :math:`\min_\alpha L_\alpha(f_\alpha)` where :math:`L_\lambda` is meant.
- It offers class-conditional risks as R = K objectives. Their losses are
  :math:`1\{y = i\} \ell / \pi_i`, so that Ξ is one over the rarest class's share. A bound that
  calls Ξ a constant then hides how few examples of that class :math:`n_V` brings.
- The bound grows like :math:`\sqrt{h + R}`. It is an upper bound: what the deviation really does is
  measured, and has no pass or fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from autobalance.report.svg import PALETTE
from autobalance.report.wording import number
from autobalance.reproduce.outcome import Check, Line, Outcome, Picture, Table
from autobalance.reproduce.panels import make_logarithmic, name_axes, panels, write
from autobalance.reproduce.request import Reproduction, Request
from autobalance.reproduce.theory.known_world import N_CLASSES, N_INPUTS, N_TRAINING
from autobalance.reproduce.theory.validation import (
    COVER,
    DRAWS,
    RISK,
    SIZES,
    Finding,
    find,
    hoeffding,
)
from autobalance.runs.watch import Watch

SLOPE, WITHIN = -0.5, 0.1
_SEEDS = 6
_DIMENSIONS = _OBJECTIVES = (1, 2, 4, 8)


def growth_exponent(findings: Sequence[Finding]) -> float:
    """The power of h + R that the deviation grows with."""
    sums = [each.dimension + each.objectives for each in findings]
    return float(np.polyfit(np.log(sums), np.log([each.scale for each in findings]), 1)[0])


def run(request: Request, watch: Watch) -> Outcome:
    """Measure deviation and excess for every h and R."""
    seeds = request.seeds or _SEEDS
    pairs = list(product(_DIMENSIONS, _OBJECTIVES))
    findings = []
    for done, (dimension, objectives) in enumerate(pairs):
        watch.stage(f"h = {dimension}, R = {objectives}", done / len(pairs))
        findings.append(find(dimension, objectives, seeds))
    return Outcome(
        name="theorem1",
        title="Theorem 1: one validation set for every blend of objectives",
        conditions={
            "worlds": f"{seeds}, each with {N_INPUTS} inputs, {N_CLASSES} long-tailed classes, "
            f"{N_TRAINING:,} training examples and exact population risks",
            "models": f"closed-form minimisers of the parametric loss for {COVER:,} vectors α in "
            "the unit ball of dimension h",
            "objectives": "Brier scores of R blocks of classes, λ in [0, 1]^R, Ξ = 1",
            "validation sets": f"{DRAWS} of each size from {SIZES[0]:,} to {SIZES[-1]:,} in each "
            "world",
        },
        deviations=(
            "H is a finite set such as the proof covers a ball with, so that the supremum and the "
            "best model are exact",
        ),
        tables=tuple(_tables(findings)),
        pictures=(_picture(findings),),
        checks=tuple(checks(findings)),
        rows=[row for finding in findings for row in finding.rows()],
        facts={"growth_exponent": growth_exponent(findings)},
    )


def checks(findings: Sequence[Finding]) -> Iterator[Check]:
    """The rate, the excess risk and the bound."""
    slopes = [each.slope for each in findings]
    yield Check(
        f"the deviation falls as n to the power {number(SLOPE, 1)}, within {WITHIN:g}, for every h "
        "and R",
        all(abs(slope - SLOPE) <= WITHIN for slope in slopes),
        f"slopes from {number(min(slopes))} to {number(max(slopes))}",
    )
    share = max(each.share for each in findings)
    yield Check(
        "the excess risk of the chosen model is at most twice the deviation, for every draw and "
        "the worst λ",
        share <= 1 + 1e-9,
        f"at most {share:.0%} of it in {sum(each.deviation.size for each in findings):,} draws",
    )
    above = max(each.above_bound for each in findings)
    yield Check(
        "the deviation is below (C.2) with its constants in at least 95% of the draws, for every "
        "h, R and n",
        above <= RISK,
        f"above it in at most {above:.0%}",
    )


def _tables(findings: Sequence[Finding]) -> Iterator[Table]:
    columns = ("hyperparameters", *(f"R = {objectives}" for objectives in _OBJECTIVES))
    exponent = number(growth_exponent(findings), 2)
    measures: tuple[tuple[str, Callable[[Finding], str], str], ...] = (
        (
            "Slope of log deviation against log n",
            lambda each: number(each.slope),
            "The theorem has −0.5.",
        ),
        (
            "Mean deviation times √n",
            lambda each: number(each.scale),
            f"It grows like h + R to the power {exponent}. The bound has 0.5, and lies far above.",
        ),
        (
            "Largest excess risk, of twice the deviation",
            lambda each: f"{each.share:.0%}",
            "Over all draws and λ.",
        ),
    )
    for title, text, note in measures:
        lines = [
            Line((f"h = {dimension}", *map(text, group)))
            for dimension, group in (
                (h, [each for each in findings if each.dimension == h]) for h in _DIMENSIONS
            )
        ]
        yield Table(title, columns, tuple(lines), (note,))


def _picture(findings: Sequence[Finding]) -> Picture:
    return Picture(
        name="rate",
        caption=(
            "Left: the mean deviation falls like one over the root of the validation set’s size, "
            "for every h and R (grey), and lies below the bound. Right: how it grows with h and R."
        ),
        description=(
            "Parallel falling lines on logarithmic axes, one for each h and R, and a scatter of "
            "the deviation against h + R with a rising trend."
        ),
        draw=lambda width: rate_figure(findings, width),
    )


def rate_figure(findings: Sequence[Finding], width: int) -> Figure:
    """Deviation against n, and its scale against h + R."""
    headings = ["deviation by size of the set", "deviation × √n by h + R"]
    figure, (rate, growth) = panels(width, 280.0, headings)
    for each in findings:
        rate.plot(SIZES, each.deviation.mean(1), color=PALETTE["rule"], linewidth=1.2)
    least, most = findings[0], findings[-1]
    rate.plot(SIZES, least.deviation.mean(1), color=PALETTE["before"], linewidth=2)
    rate.plot(SIZES, most.deviation.mean(1), color=PALETTE["accent"], linewidth=2)
    rate.plot(SIZES, most.excess.mean(1), "--", color=PALETTE["accent"], linewidth=1.6)
    rate.plot(SIZES, hoeffding(most.objectives), ":", color=PALETTE["ink"], linewidth=1.8)
    make_logarithmic(rate)
    rate.xaxis.set_major_locator(FixedLocator(SIZES[::2]))
    rate.xaxis.set_major_formatter("{x:,.0f}")
    rate.set_ylim(bottom=most.excess.mean(1).min() / 5)
    legend = (
        ("dotted: (C.2) for h = R = 8", "ink", 0.97, 0.94, "right"),
        ("deviation for h = R = 8", "accent", 0.04, 0.19, "left"),
        ("dashed: its excess risk", "accent", 0.04, 0.12, "left"),
        ("deviation for h = R = 1", "before", 0.04, 0.05, "left"),
    )
    for text, colour, across, up, align in legend:
        write(rate, text, (across, up), PALETTE[colour], align=align, of="axes fraction")
    name_axes(rate, "examples in the validation set", "deviation or excess risk")

    sums = np.array([each.dimension + each.objectives for each in findings])
    scales = np.array([each.scale for each in findings])
    power, start = np.polyfit(np.log(sums), np.log(scales), 1)
    grid = np.linspace(sums.min(), sums.max())
    growth.plot(grid, np.exp(start) * grid**power, color=PALETTE["muted"], linewidth=1.4)
    growth.plot(sums, scales, "o", color=PALETTE["accent"])
    growth.set_ylim(bottom=0)
    write(
        growth,
        f"fit: (h + R) to the power {number(power, 2)}",
        (0.97, 0.06),
        PALETTE["muted"],
        align="right",
        of="axes fraction",
    )
    name_axes(growth, "h + R", "mean deviation × √n")
    return figure


REPRODUCTION = Reproduction("theorem1", "one validation set serves every blend", run)
