"""Long-tailed images: which loss makes a small CNN err least on all classes alike.

python examples/gallery/long_tailed_images.py                    # digits of 8 x 8 pixels
python examples/gallery/long_tailed_images.py --data-dir data    # data/fashion-mnist/*.gz

Some classes have few images, others many; the balanced error counts every class the same. Beside
plain cross-entropy and logit adjustment, a closed form, `search_and_retrain` designs a loss. All
networks, batches and epochs are alike, over three seeds. Out come the errors and a picture of them.
"""

from pathlib import Path

import looks
import numpy as np
import samples
import torch
from torch import nn

from autobalance import (
    Counts,
    LossDesign,
    ParametricCrossEntropy,
    TrainingSettings,
    objective_error,
    preset,
    search_and_retrain,
)
from autobalance.models.small_cnn import SmallCNN

SEEDS = (0, 1, 2)
NAMES = ("cross-entropy", "logit-adjustment", "designed")
COLOURS = dict(zip(NAMES, (looks.BEFORE, looks.CLOSED, looks.DESIGNED), strict=True))


def train(
    network: nn.Module, design: LossDesign, data: samples.Images, settings: TrainingSettings
) -> nn.Module:
    """An ordinary training loop; the design is its loss."""
    loss, optimizer = ParametricCrossEntropy.from_design(design), settings.make_optimizer(network)
    steps = settings.epochs * -(-len(data.y) // settings.batch_size)
    schedule = settings.make_schedule(optimizer, steps)
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(data.y)).split(settings.batch_size):
            optimizer.zero_grad()
            loss(network(data.x[rows]), data.y[rows]).backward()
            optimizer.step()
            schedule.step()
    return network


def compare(data: samples.Images, seed: int) -> dict[str, np.ndarray]:
    """The classes that networks with each loss give to the test images."""

    def network() -> nn.Module:
        return SmallCNN(len(data.names), image_size=tuple(data.x.shape[2:]))

    settings = TrainingSettings(epochs=data.epochs, learning_rate=0.05)
    counts = Counts.from_codes(data.y.numpy(), None, range(len(data.names)))
    networks = {}
    for name in NAMES[:2]:
        torch.manual_seed(seed)  # as the search does, so that all begin with the same weights
        networks[name] = train(network(), preset(name, counts), data, settings)
    how = {"start": "logit-adjustment", "training": settings, "seed": seed}
    found = search_and_retrain(network, (data.x, data.y), "balanced", **how)
    networks["designed"] = found.model
    with torch.no_grad():
        return {name: each(data.x_test).argmax(1).numpy() for name, each in networks.items()}


def draw(data: samples.Images, errors: dict[str, np.ndarray], headline: str, path: Path) -> None:
    """Count, mean image and errors of each class, one below the other."""
    counts, classes = np.bincount(data.y.numpy()), np.arange(len(data.names))
    below_it = (
        f"{data.title} with a long tail, a small CNN, test images, mean of {len(SEEDS)} seeds"
    )
    figure = looks.new_picture(6.4, headline, below_it)
    above = figure.add_axes((0.06, 0.61, 0.76, 0.19))
    below = figure.add_axes((0.06, 0.08, 0.76, 0.36), sharex=above)
    looks.quiet(above, "Training images of the class, and their mean")
    looks.quiet(below, "Test error of the class")
    above.bar(classes, counts, 0.7, color=looks.PALE)
    for k in classes:
        looks.label(above, f"{counts[k]:,}", (k, counts[k]), looks.MUTED, shift=(0, 8), ha="center")
        picture = figure.add_axes((0.06 + 0.076 * (k + 0.14), 0.515, 0.055, 0.085))
        picture.imshow(data.x[data.y == k].mean(0)[0].numpy(), cmap="gray_r")
        picture.axis("off")
    highest = max(each.max() for each in errors.values())
    ends = looks.apart({name: each[-1] for name, each in errors.items()}, 0.09 * highest)
    for name, each in errors.items():
        below.plot(classes, each, "o-", color=COLOURS[name], linewidth=2, markersize=6)
        looks.label(below, name, (classes[-1], ends[name]), COLOURS[name], shift=(12, 0))
    above.set(yticks=[], xlim=(-0.5, len(classes) - 0.5), ylim=(0, 1.15 * counts.max()))
    above.tick_params(labelbottom=False)
    below.set(ylim=(-0.02 * highest, 1.08 * highest))
    below.set_xticks(classes, data.names)
    looks.in_percent(below.yaxis)
    looks.save(figure, path)


def main(arguments: list[str] | None = None) -> None:
    """Compare the losses, print their errors, and draw them."""
    given = looks.options(__doc__, "long_tailed_images.png", arguments)
    data = samples.images(given.data_dir)
    runs = [compare(data, seed) for seed in SEEDS]
    balanced, errors = {}, {}
    for name in NAMES:
        each = [objective_error(data.y_test, run[name], objective="balanced") for run in runs]
        wrong = np.mean([run[name] != data.y_test for run in runs], 0)
        errors[name] = np.bincount(data.y_test, wrong) / np.bincount(data.y_test)
        balanced[name] = f"{np.mean(each):.1%}"
        seeds = ", ".join(f"{error:.1%}" for error in each)
        print(f"{name:>16}: balanced test error {balanced[name]} ({seeds})")
        print("  ".join(f"{k} {e:.0%}" for k, e in zip(data.names, errors[name], strict=True)))
    headline = "Balanced error: " + ", ".join(f"{name} {e}" for name, e in balanced.items())
    draw(data, errors, headline, given.out)


if __name__ == "__main__":
    main()
