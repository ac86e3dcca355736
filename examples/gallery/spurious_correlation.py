"""Spurious correlation: which loss keeps a classifier of birds from looking at the background.

python examples/gallery/spurious_correlation.py                    # embeddings that are made
python examples/gallery/spurious_correlation.py --data-dir data    # data/waterbirds/*.npz

Most waterbirds are photographed on water and most landbirds on land, so the place is a clue that
fails where it matters: the worst of the four cells of bird and place. `AutoBalanceClassifier`
designs a loss for that cell on folds of the training rows. The place is no feature. Beside it stand
closed-form losses, their ridge tuned on the same folds. Out come the test errors and a
picture of them.
"""

import looks
import samples
from matplotlib.axes import Axes

from autobalance import AutoBalanceClassifier, objective_error

OBJECTIVE = "worst-group"
LOSSES = {
    "cross-entropy": looks.BEFORE,
    "group-balanced": looks.CLOSED,
    "group-la": looks.CLOSED,
    "designed": looks.DESIGNED,
}


def fitted(name: str, train: samples.Part) -> AutoBalanceClassifier:
    """A linear head trained with one of the losses."""
    # A closed form has its ridge alone to be searched.
    how = {} if name == "designed" else {"start": name, "parameters": ["ridge"]}
    # Embeddings share a unit, so they are not scaled one by one.
    model = AutoBalanceClassifier(OBJECTIVE, standardise=False, verdict=None, random_state=0, **how)
    return model.fit(train.x, train.y, sensitive_features=train.group)


def draw(axes: Axes, name: str, caption: str, cells: list[tuple[float, float]]) -> None:
    """The cells of one loss as bars, the worst one in its colour."""
    looks.quiet(axes, f"{name}\n", "x", color=LOSSES[name], weight="bold", fontsize=13)
    looks.label(axes, caption, (0, -0.5), looks.MUTED, shift=(0, 13), fontsize=10.5)
    for row, (error, spread) in enumerate(cells):
        colour = LOSSES[name] if (error, spread) == max(cells) else looks.PALE
        axes.barh(row, error, 0.62, color=colour, xerr=spread, ecolor=looks.MUTED)
        looks.label(axes, f"{error:.1%}", (error + spread, row), looks.INK, shift=(5, 0))
    axes.set_ylim(len(cells) - 0.5, -0.5)


def main(arguments: list[str] | None = None) -> None:
    """Compare the losses, print their errors, and draw them."""
    given = looks.options(__doc__, "spurious_correlation.png", arguments)
    train, test, title = samples.birds(given.data_dir)
    cells, captions, worst = {}, {}, {}
    for name in LOSSES:
        model = fitted(name, train)
        predicted = model.predict(test.x)
        cells[name] = samples.cell_errors(test, predicted)
        error, mean, worst[name] = (
            objective_error(test.y, predicted, objective=each, sensitive_features=test.group)
            for each in ("error", "group-balanced", OBJECTIVE)
        )
        captions[name] = f"worst {worst[name]:.1%}, mean {mean:.1%}"
        print(f"{name:>14}: test error {error:.1%}, cells {captions[name]}")
        print("; ".join(f"{y} {g} {e:.1%} ± {s:.1%}" for (y, g), (e, s) in cells[name].items()))
    print(f"the search: {model.result_.message}")

    rival = min(("group-balanced", "group-la"), key=lambda name: worst[name])
    figure = looks.new_picture(
        5.0,
        "Worst cell: "
        + ", ".join(f"{name} {worst[name]:.1%}" for name in ("cross-entropy", rival, "designed")),
        f"{title}, linear heads, seed 0; test error of each cell, with standard error",
    )
    longest = max(error + spread for each in cells.values() for error, spread in each.values())
    sizes = [((train.y == y) & (train.group == g)).sum() for y, g in cells["designed"]]
    names = [
        f"{y} {g}\n{n:,} to train on" for (y, g), n in zip(cells["designed"], sizes, strict=True)
    ]
    for place, name in enumerate(LOSSES):
        axes = figure.add_axes((0.17 + 0.208 * place, 0.10, 0.185, 0.58))
        draw(axes, name, captions[name], list(cells[name].values()))
        axes.set_xlim(0, 1.3 * longest)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(labelleft=place == 0)
        looks.in_percent(axes.xaxis, 3)
    looks.save(figure, given.out)


if __name__ == "__main__":
    main()
