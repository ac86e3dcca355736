r"""Figure 2: balls of equal size leave the boundary as it is, a larger ball moves it.

With balls of radius :math:`\varepsilon_\pm` the machine (E.3) seeks the boundary for which the
smaller of :math:`m_+ - \varepsilon_+` and :math:`m_- - \varepsilon_-` is largest, where
:math:`m_\pm` is the distance of the nearest point of each class. Equal radii take the same from
both, so that the best boundary is the one without balls, as long as they are smaller than its
margin. This holds with and without an intercept. Unequal radii do different things:

- With an intercept :math:`m_+ + m_-` does not depend on it, and the intercept shares the sum out.
  The boundary moves in parallel by half the difference of the radii, which the margin of the
  minority gains and that of the majority loses. This is what the paper's figure shows.
- Through the origin, as in lemma 2, the boundary can only turn. The margin of the minority does not
  shrink. If one class alone bounds the ordinary boundary, a small difference of the radii may
  change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autobalance.report.wording import number
from autobalance.reproduce.outcome import Check, Line, Outcome, Picture, Table
from autobalance.reproduce.request import Reproduction, Request
from autobalance.reproduce.theory.balls import Scene, boundary_figure
from autobalance.reproduce.theory.margins import Boundary, ball_svm, cosine, cost_sensitive_svm
from autobalance.reproduce.theory.separable import Pair, Points, separable_points
from autobalance.runs.watch import Watch

COSINE = 0.9999
TOLERANCE = 1e-4
"""Of distances, in units of the ordinary margin."""
EQUAL: Pair = (0.6, 0.6)
LARGER: Pair = (0.9, 0.2)
"""Radii of minority and majority, in units of the ordinary margin."""
_SEEDS = 10
_MINORITY, _MAJORITY = 6, 24


@dataclass(frozen=True)
class Finding:
    """One data set with balls of one kind.

    Parameters
    ----------
    seed, intercept
        What was tried.
    data
        The points.
    radii
        Of minority and majority, in units of the ordinary margin.
    ordinary, found
        The boundaries without and with balls.
    """

    seed: int
    intercept: bool
    data: Points
    radii: Pair
    ordinary: Boundary
    found: Boundary

    @property
    def equal(self) -> bool:
        """Whether all balls are of one size."""
        return self.radii[0] == self.radii[1]

    @property
    def margin(self) -> float:
        """The ordinary margin, which lengths are measured in."""
        return min(class_margins(self.data, self.ordinary))

    @property
    def cosine(self) -> float:
        """Between the normals of both boundaries."""
        return cosine(self.ordinary.normal, self.found.normal)

    @property
    def growth(self) -> Pair:
        """What the balls add to the margins of minority and majority, in ordinary margins."""
        before = class_margins(self.data, self.ordinary)
        after = class_margins(self.data, self.found)
        return (after[0] - before[0]) / self.margin, (after[1] - before[1]) / self.margin

    @property
    def row(self) -> Mapping[str, Any]:
        """Everything but the points, as plain values."""
        return {
            "seed": self.seed,
            "intercept": self.intercept,
            "radii": list(self.radii),
            "margin": self.margin,
            "cosine": self.cosine,
            "growth": list(self.growth),
        }

    @property
    def scene(self) -> Scene:
        """What is drawn of it."""
        lengths = (self.radii[0] * self.margin, self.radii[1] * self.margin)
        heading = "equal radii" if self.equal else "larger radius of the minority"
        return Scene(heading, self.data, lengths, self.ordinary, self.found)


def class_margins(data: Points, boundary: Boundary) -> Pair:
    """Distances of the nearest minority and majority point."""
    distances = boundary.distances(*data)
    return float(distances[data.labels > 0].min()), float(distances[data.labels < 0].min())


def find(data: Points, radii: Pair, seed: int, *, intercept: bool) -> Finding:
    """Solve the machine with and without balls."""
    ones = np.ones(len(data.labels))
    ordinary = cost_sensitive_svm(*data, ones, intercept=intercept)
    margin = min(class_margins(data, ordinary))
    found = ball_svm(*data, margin * data.by_class(radii), intercept=intercept)
    return Finding(seed, intercept, data, radii, ordinary, found)


def run(request: Request, watch: Watch) -> Outcome:
    """Solve both machines for every data set, with and without an intercept."""
    seeds = request.seeds or _SEEDS
    findings = []
    for seed in range(seeds):
        watch.stage(f"data set {seed + 1}", seed / seeds)
        data = separable_points(seed, 2, _MINORITY, _MAJORITY)
        findings += [
            find(data, radii, seed, intercept=intercept)
            for radii in (EQUAL, LARGER)
            for intercept in (True, False)
        ]
    scenes = [each.scene for each in findings if each.intercept and each.seed == 0]
    return Outcome(
        name="figure2",
        title="Figure 2: balls around the points and the boundary",
        conditions={
            "data": f"{_MINORITY} minority and {_MAJORITY} majority points in the plane, separable "
            "through the origin",
            "seeds": str(seeds),
            "radii": f"equal {EQUAL[0]:g} and {EQUAL[1]:g}, larger {LARGER[0]:g} and "
            f"{LARGER[1]:g}, in units of the ordinary margin",
            "solvers": "scipy.optimize: nnls without balls, SLSQP with balls",
        },
        tables=(_table(findings),),
        pictures=(_picture(scenes),),
        checks=tuple(checks(findings)),
        rows=[finding.row for finding in findings],
    )


def checks(findings: list[Finding]) -> Iterator[Check]:
    """What the figure says, with and without an intercept."""
    equal = [each for each in findings if each.equal]
    least = min(each.cosine for each in equal)
    moved = max(abs(change) for each in equal for change in each.growth)
    yield Check(
        f"equal radii leave the boundary as it is, with and without an intercept: cosine at least "
        f"{COSINE:g}, margins within {TOLERANCE:g}",
        least >= COSINE and moved <= TOLERANCE,
        f"least cosine 1 − {number(max(0.0, 1 - least), 2)}, largest change {number(moved, 2)}",
    )
    free = [each for each in findings if each.intercept and not each.equal]
    least = min(each.cosine for each in free)
    miss = max(
        abs(change - sign * (each.radii[0] - each.radii[1]) / 2)
        for each in free
        for sign, change in zip((1, -1), each.growth, strict=True)
    )
    yield Check(
        "with an intercept a larger radius of the minority moves the boundary in parallel, and the "
        f"minority gains half the difference of the radii: cosine at least {COSINE:g}, margins "
        f"within {TOLERANCE:g}",
        least >= COSINE and miss <= TOLERANCE,
        f"least cosine 1 − {number(max(0.0, 1 - least), 2)}, largest miss {number(miss, 2)}",
    )
    origin = [each.growth[0] for each in findings if not each.intercept and not each.equal]
    yield Check(
        f"through the origin it takes nothing from the minority’s margin, within {TOLERANCE:g}",
        min(origin) >= -TOLERANCE,
        f"least change {number(min(origin), 2)}, more than {TOLERANCE:g} in "
        f"{sum(change > TOLERANCE for change in origin)} of {len(origin)} data sets",
    )


def _table(findings: list[Finding]) -> Table:
    groups: dict[tuple[Pair, bool], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.radii, finding.intercept), []).append(finding)
    lines = []
    for (radii, intercept), group in groups.items():
        growths = np.array([each.growth for each in group])
        lines.append(
            Line(
                (
                    f"{radii[0]:g} and {radii[1]:g}, "
                    + ("with intercept" if intercept else "through the origin"),
                    *(
                        f"{_signed(values.min())} to {_signed(values.max())}"
                        for values in growths.T
                    ),
                    number(max(0.0, 1 - min(each.cosine for each in group)), 2),
                )
            )
        )
    return Table(
        "What balls add to the margins, in units of the ordinary margin",
        ("radii of minority and majority", "minority", "majority", "largest 1 − cosine"),
        tuple(lines),
        (f"The range over {len(findings) // len(groups)} data sets.",),
    )


def _signed(value: float) -> str:
    text = f"{value:+.3f}".replace("-", "−")
    return "0" if float(f"{value:.3f}") == 0 else text


def _picture(scenes: list[Scene]) -> Picture:
    return Picture(
        name="boundary",
        caption=(
            "The boundary of largest margin with balls around the points (solid, in the middle of "
            "the strip that the balls leave free), and without (dashed). Equal balls change "
            "nothing; larger balls around the minority move the boundary towards the majority, in "
            "parallel."
        ),
        description=(
            "Two scatter plots of a minority and a majority with a circle around each point and a "
            "straight boundary. On the second the boundary lies nearer to the majority."
        ),
        draw=lambda width: boundary_figure(scenes, width),
    )


REPRODUCTION = Reproduction("figure2", "balls around the points move the boundary", run)
