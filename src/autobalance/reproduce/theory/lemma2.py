r"""Lemma 2: a spherical augmentation for each class does what Δ does, for separable data.

Appendix E of the paper claims that three directions are one: of the cost-sensitive machine with
margins :math:`1/\Delta_\pm`, (E.4); of the machine on balls around the points, (E.3), with radii

.. math:: \varepsilon_\pm = (1/\Delta_\pm - 1) / \|\hat w\|,

:math:`\hat w` solving (E.4); and of the parametric loss and the logistic loss on those balls, both
trained to ever larger norms, (E.1). The direction depends on w and l for every finite norm R, and
no longer in the limit. All of it is seen here. Five things to know about the appendix:

- Its loss is not equation (2.1) with two classes, of which the lemma speaks
  (:mod:`~autobalance.reproduce.theory.family`). With a linear logit for each class (2.1) ends in
  the direction of the ordinary machine *whatever Δ is*, which is checked as well.
- :math:`\hat w_\delta` stands for the solutions of (E.2) and of (E.4), and the former is
  :math:`\Delta_-` times the latter. The radii need the latter's norm.
- The radii are not negative only if both Δ are at most 1. Halving both Δ leaves the direction and
  enlarges both radii; their difference :math:`(1/\Delta_+ - 1/\Delta_-) / \|\hat w\|` stays. Only
  the difference matters to the direction, so that equal radii have no effect.
- (E.3) writes the ball around a negative point with a plus, rightly: the worst point of the ball
  has the score :math:`w^T x + \varepsilon_- \|w\|`.
- The logistic loss on a uniform ball tends to (E.3) more slowly than (2.1) to (E.4), like log R / R
  instead of 1/R: little of a ball is near its edge.

Radii can be learned as well: see :mod:`~autobalance.reproduce.theory.learned_radii`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from matplotlib.figure import Figure

from autobalance.report.svg import PALETTE
from autobalance.report.wording import number
from autobalance.reproduce.outcome import Check, Line, Outcome, Picture, Table
from autobalance.reproduce.panels import make_logarithmic, name_axes, panels, write
from autobalance.reproduce.request import Reproduction, Request
from autobalance.reproduce.theory import learned_radii
from autobalance.reproduce.theory.directions import ADJUSTMENTS, BOUNDS, NODES, Finding, find
from autobalance.reproduce.theory.separable import Pair, separable_points
from autobalance.runs.watch import Watch

COSINE, OPTIMAL = 0.9999, 0.999999
_SEEDS = 3
_DIMENSIONS = (3, 10)
_LEARNED_DIMENSIONS = (2,)
_MINORITY, _MAJORITY = 8, 32
_MULTIPLICATIVE: tuple[Pair, ...] = ((0.5, 1.0), (0.25, 0.5), (0.2, 0.8), (0.9, 0.3))


def run(request: Request, watch: Watch) -> Outcome:
    """Compare all directions on every data set, for every Δ."""
    seeds = request.seeds or _SEEDS
    tries = list(product(_DIMENSIONS, range(seeds), _MULTIPLICATIVE))
    findings = []
    for done, (dimension, seed, multiplicative) in enumerate(tries):
        watch.stage(f"{dimension} dimensions, Δ = {_text(multiplicative)}", done / len(tries))
        data = separable_points(seed, dimension, _MINORITY, _MAJORITY)
        findings.append(find(data, multiplicative, seed))
    worlds = list(product(_LEARNED_DIMENSIONS, range(seeds), learned_radii.SHIFTS))
    learned = []
    for done, (dimension, seed, shift) in enumerate(worlds):
        watch.stage(f"learned radii, {dimension} dimensions", done / len(worlds))
        learned += [
            learned_radii.learn(seed, dimension, shift, multiplier, learned_radii.COPIES)
            for multiplier in learned_radii.MULTIPLIERS
        ]
    return Outcome(
        name="lemma2",
        title="Lemma 2: an augmentation for each class does what Δ does",
        conditions={
            "data": f"{_MINORITY} positive and {_MAJORITY} negative points, separable through the "
            f"origin, in {' and '.join(map(str, _DIMENSIONS))} dimensions",
            "seeds": str(seeds),
            "Δ of the positive and negative class": ", ".join(map(_text, _MULTIPLICATIVE)),
            "w and l": "; ".join(map(_adjustment, ADJUSTMENTS)),
            "norms": f"R from 1 to {BOUNDS[-1]:,.0f}, in the logarithmic domain",
            "solvers": "scipy.optimize: nnls for (E.4), SLSQP for (E.3), BFGS on the sphere (E.1)",
            "balls": f"uniform, by Gauss–Jacobi quadrature with {NODES} nodes",
            "learned radii": "the exact search with cross-entropy and an intercept, on "
            f"{learned_radii.COPIES} draws from each ball, points as in figure 2 in "
            f"{' and '.join(map(str, _LEARNED_DIMENSIONS))} dimensions",
        },
        deviations=(
            "the loss is appendix E’s, which is equation (4.2) with a group for each class; "
            "equation (2.1) with two logits is another one, and is tried as well",
        ),
        tables=(_table(findings), learned_radii.table(learned)),
        pictures=(_picture(findings), learned_radii.picture(learned)),
        checks=(*checks(findings), *learned_radii.checks(learned)),
        rows=[*(finding.row for finding in findings), *(each.row for each in learned)],
        facts={"norms": list(BOUNDS)},
    )


def checks(findings: list[Finding]) -> Iterator[Check]:
    """The claims of the lemma, and what equation (2.1) does instead."""
    bound = f"R = {BOUNDS[-1]:,.0f}"
    claims = (
        ("cost-sensitive machine and machine on balls", [each.balls for each in findings], COSINE),
        (
            f"cost-sensitive machine and appendix E’s loss for every w and l, at {bound}",
            [path[-1] for each in findings for path in each.trained],
            COSINE,
        ),
        (
            f"cost-sensitive machine and logistic loss on balls, at {bound}",
            [each.augmented[-1] for each in findings],
            COSINE,
        ),
        (
            f"appendix E’s loss for every w and l and logistic loss on balls, at {bound}",
            [each.pair for each in findings],
            COSINE,
        ),
        (
            f"equation (2.1) with two logits and ordinary machine, whatever Δ, at {bound}",
            [each.two_logits[-1] for each in findings],
            COSINE,
        ),
        (
            "steepest descent of adjusted_cross_entropy and trained parameters, at R = 10",
            [each.optimal for each in findings],
            OPTIMAL,
        ),
    )
    for claim, values, least in claims:
        yield Check(
            f"{claim}: cosine at least {least:g}",
            min(values) >= least,
            f"least cosine 1 − {number(max(0.0, 1 - min(values)), 2)} of {len(values)}",
        )


def _table(findings: list[Finding]) -> Table:
    lines = []
    for multiplicative in _MULTIPLICATIVE:
        group = [each for each in findings if each.multiplicative == multiplicative]
        values = (
            [each.balls for each in group],
            [path[-1] for each in group for path in each.trained],
            [each.augmented[-1] for each in group],
            [each.ordinary for each in group],
        )
        lines.append(
            Line(
                (
                    f"Δ = {_text(multiplicative)}",
                    *(number(max(0.0, 1 - min(each)), 2) for each in values),
                )
            )
        )
    return Table(
        "Distance from the cost-sensitive machine: the largest 1 − cosine",
        (
            "Δ₊, Δ₋",
            "machine on balls",
            "appendix E’s loss",
            "logistic loss on balls",
            "ordinary machine",
        ),
        tuple(lines),
        (
            f"Losses at R = {BOUNDS[-1]:,.0f}; the largest value over seeds, dimensions, w and l.",
            "The last column is for comparison: how far Δ moves the direction.",
        ),
    )


def _text(pair: Pair) -> str:
    return f"({pair[0]:g}, {pair[1]:g})".replace("-", "−")


def _adjustment(values: tuple[Pair, Pair]) -> str:
    weight, additive = values
    return f"w = {_text(weight)}, l = {_text(additive)}"


def _picture(findings: list[Finding]) -> Picture:
    return Picture(
        name="convergence",
        caption=(
            "How far the trained directions are from the cost-sensitive machine’s as the norm "
            "grows: the largest 1 − cosine over all data sets and Δ. The dashed line is the "
            "tolerance."
        ),
        description=(
            "Falling lines on logarithmic axes: appendix E’s loss for three choices of w and l, "
            "which end close together, and the logistic loss on balls, which falls more slowly."
        ),
        draw=lambda width: convergence_figure(findings, width),
    )


def convergence_figure(findings: list[Finding], width: int) -> Figure:
    """The largest 1 − cosine against R, a line for each loss."""
    figure, (axes,) = panels(width, 300.0, ["1 − cosine with the cost-sensitive machine"])
    paths = np.array([each.trained for each in findings])
    worst = 1 - paths.min(axis=0)
    for values, style in zip(worst, ("-", "--", ":"), strict=True):
        axes.plot(BOUNDS, values, style, color=PALETTE["accent"], linewidth=2)
    balls = 1 - np.min([each.augmented for each in findings], axis=0)
    axes.plot(BOUNDS, balls, color=PALETTE["other"], linewidth=2)
    axes.axhline(1 - COSINE, color=PALETTE["muted"], linewidth=1, linestyle=(0, (4, 3)))
    make_logarithmic(axes)
    write(axes, "logistic loss on balls", (0.04, 0.35), PALETTE["other"], of="axes fraction")
    write(axes, "appendix E’s loss", (0.04, 0.27), PALETTE["accent"], of="axes fraction")
    legend = zip(("solid", "dashed", "dotted"), ADJUSTMENTS, strict=True)
    for line, (style, values) in enumerate(legend):
        text = f"{style}: {_adjustment(values)}"
        at = (0.04, 0.2 - 0.07 * line)
        write(axes, text, at, PALETTE["accent"], of="axes fraction")
    name_axes(axes, "bound R on the norm", "largest over the data sets")
    return figure


REPRODUCTION = Reproduction("lemma2", "class-wise augmentation does what Δ does", run)
