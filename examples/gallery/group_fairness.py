"""Group fairness on a table: how far can two groups' errors be brought together, and at what cost.

python examples/gallery/group_fairness.py                    # a table that is made
python examples/gallery/group_fairness.py --data-dir data    # data/tables/adult.csv.gz

Women's and men's errors differ in each class; the equalized-odds difference sums the gaps. It is
blended with the balanced error in several proportions, and `AutoBalanceClassifier` designs a loss
for each blend, on folds of the training rows. The group is no feature. Beside them stand
closed-form losses. Out come the test errors and a picture of them.
"""

import looks
import numpy as np
import samples
from matplotlib.axes import Axes

from autobalance import AutoBalanceClassifier, objective_error

FAIRNESS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7)
CLOSED_FORMS = ("cross-entropy", "logit-adjustment", "group-balanced", "group-la")
COLOURS = dict.fromkeys(CLOSED_FORMS, looks.CLOSED) | {"designed": looks.DESIGNED}
COLOURS["cross-entropy"] = looks.BEFORE
Point = tuple[float, float, float]
Cells = dict[tuple[str, str], tuple[float, float]]


def designed(fairness: float) -> str:
    """What a loss is called that is designed for this share of equalized odds."""
    return f"designed, {fairness:.0%} fairness"


def blend(fairness: float) -> str:
    """The objective with this share of equalized odds."""
    return f"{1 - fairness:g}*balanced+{fairness:g}*equalized-odds" if fairness else "balanced"


def predictions(train: samples.Part, test: samples.Part) -> dict[str, np.ndarray]:
    """The classes that each loss gives to the test rows."""

    def predicted(objective: str, **how: object) -> np.ndarray:
        model = AutoBalanceClassifier(objective, verdict=None, random_state=0, **how)
        return model.fit(train.x, train.y, sensitive_features=train.group).predict(test.x)

    ridge = {"parameters": ["ridge"]}  # all that is searched of a closed form
    closed = {name: predicted(blend(0.5), start=name, **ridge) for name in CLOSED_FORMS}
    return closed | {designed(share): predicted(blend(share)) for share in FAIRNESS}


def draw_cells(axes: Axes, before: Cells, after: Cells) -> None:
    """Errors by cell with cross-entropy and with the designed loss."""
    looks.quiet(axes, "Test error of each class in each group", grid="x")
    farthest = max(after, key=lambda cell: abs(after[cell][0] - before[cell][0]))
    for row, cell in enumerate(after):
        axes.plot((before[cell][0], after[cell][0]), (row, row), color=looks.PALE, linewidth=3)
        ends = {"cross-entropy": before[cell], "designed": after[cell]}
        for name, (error, spread) in ends.items():
            axes.errorbar(error, row, xerr=spread, fmt="o", color=COLOURS[name], zorder=3)
            if cell == farthest:
                side = "right" if ends[name] == min(ends.values()) else "left"
                looks.label(axes, name, (error, row), COLOURS[name], shift=(0, 14), ha=side)
    axes.set_yticks(range(len(after)), [f"{group}, {y}" for y, group in after], color=looks.INK)
    axes.set(ylim=(len(after) - 0.5, -0.6), xlim=(0, 1.15 * axes.get_xlim()[1]))
    looks.in_percent(axes.xaxis)


def draw_trade_off(axes: Axes, points: dict[str, Point]) -> None:
    """All losses by balanced error and by the gap between the groups."""
    looks.quiet(axes, "Gap between women and men (equalized odds)", grid="both")
    line = [points[designed(share)][:2] for share in FAIRNESS]
    axes.plot(*zip(*line, strict=True), color=looks.DESIGNED, linewidth=2)
    for name, (balanced, gap, spread) in points.items():
        colour = COLOURS[name.split(",")[0]]
        axes.errorbar(balanced, gap, spread, fmt="o", markersize=7, color=colour, ecolor=looks.PALE)
    for share in (FAIRNESS[0], 0.5, FAIRNESS[-1]):
        text = f"{share:.0%}" if share else designed(share)
        looks.label(axes, text, points[designed(share)][:2], looks.DESIGNED, shift=(7, 9))
    heights = looks.apart({name: points[name][1] for name in CLOSED_FORMS}, 0.018)
    for name in CLOSED_FORMS:
        side = {} if name == "logit-adjustment" else {"shift": (-8, 0), "ha": "right"}
        looks.label(axes, name, (points[name][0], heights[name]), COLOURS[name], **side)
    axes.margins(x=0.3)
    axes.set_ylim(0)
    axes.set_xlabel("balanced test error", color=looks.MUTED, fontsize=11)
    looks.in_percent(axes.xaxis)
    looks.in_percent(axes.yaxis)


def main(arguments: list[str] | None = None) -> None:
    """Compare the losses, print their errors, and draw them."""
    given = looks.options(__doc__, "group_fairness.png", arguments)
    train, test, title = samples.people(given.data_dir)
    points, cells = {}, {}
    for name, predicted in predictions(train, test).items():
        error, balanced, gap = (
            objective_error(test.y, predicted, objective=each, sensitive_features=test.group)
            for each in ("error", "balanced", "equalized-odds")
        )
        cells[name] = samples.cell_errors(test, predicted)
        spread = sum(each**2 for _, each in cells[name].values()) ** 0.5
        points[name] = balanced, gap, spread
        errors = f"test error {error:.1%}, balanced {balanced:.1%}, gap {gap:.1%} ± {spread:.1%}"
        print(f"{name:>22}: {errors}")
        print("; ".join(f"{g}, {y} {e:.1%} ± {s:.1%}" for (y, g), (e, s) in cells[name].items()))
    rival = min(CLOSED_FORMS[1:], key=lambda name: sum(points[name][:2]))  # for the even blend
    shown = {"cross-entropy": "cross-entropy", rival: rival, "designed": designed(0.5)}
    gaps = ", ".join(f"{name} {points[key][1]:.1%}" for name, key in shown.items())
    figure = looks.new_picture(
        5.2,
        f"Gap between groups: {gaps}",
        f"{title}, linear heads, seed 0; designed for half balanced error, half equalized odds",
    )
    left, right = (figure.add_axes((x, 0.12, w, 0.62)) for x, w in ((0.165, 0.295), (0.53, 0.415)))
    draw_cells(left, cells["cross-entropy"], cells[designed(0.5)])
    draw_trade_off(right, points)
    looks.save(figure, given.out)


if __name__ == "__main__":
    main()
