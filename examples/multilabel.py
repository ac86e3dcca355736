"""Design a loss for examples of several labels, some rare, beside a training loop of your own.

python examples/multilabel.py
"""

import torch
from sklearn.datasets import make_multilabel_classification
from torch import Tensor, nn

from autobalance import (
    LossDesign,
    OnlineSearch,
    OnlineSettings,
    ParametricBinaryCrossEntropy,
    label_counts,
    objective_error,
    preset,
)

LABELS = ("rash", "fever", "cough", "fatigue", "nausea", "chills")
OBJECTIVE = "group-balanced"  # the mean over labels of the balanced error
EPOCHS = 15


def draw() -> tuple[Tensor, Tensor]:
    """6,000 examples, each with some of the labels or none."""
    features, targets = make_multilabel_classification(
        6000, 20, n_classes=len(LABELS), n_labels=1, length=30, random_state=4
    )
    x = torch.from_numpy(features).float()
    return (x - x.mean(0)) / x.std(0), torch.from_numpy(targets)


def train(
    design: LossDesign, x: Tensor, targets: Tensor, held_out: tuple[Tensor, Tensor] | None = None
) -> tuple[nn.Module, LossDesign]:
    """An ordinary loop, with a search beside it if there are held-out examples."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, len(LABELS)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    loss = ParametricBinaryCrossEntropy.from_design(design)
    steps = EPOCHS * (len(x) // 64)
    search = None
    if held_out is not None:
        settings = OnlineSettings(warm_up=steps * 2 // 5, every=steps // 60)
        search = OnlineSearch(
            model,
            loss,
            OBJECTIVE,
            [held_out],
            held_out_share=0.25,
            settings=settings,
            trained_by=optimizer,
        )
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(64)[: len(x) // 64]:
            optimizer.zero_grad()
            loss(model(x[rows]), targets[rows]).backward()
            optimizer.step()
            if search is not None:
                search.step(x[rows], targets[rows])
    return model, design if search is None else search.design()


def main() -> None:
    """Compare plain cross-entropy, where the search starts, a closed form, and what is designed."""
    x, targets = draw()
    x, targets, x_test, test = x[:2000], targets[:2000], x[2000:], targets[2000:]
    counts = label_counts(targets.numpy(), LABELS)
    for name, positives in zip(LABELS, counts.values[1], strict=True):
        print(f"{name:>8}: {100 * positives / len(x):4.1f} % of the examples")

    part = torch.arange(len(x)) % 4 == 0
    start = preset("cross-entropy", counts)
    _, designed = train(start, x[~part], targets[~part], (x[part], targets[part]))
    closed_form = preset("group-la", counts)
    for name, design in (
        ("cross-entropy", start),
        ("group-la", closed_form),
        ("designed", designed),
    ):
        model, _ = train(design, x, targets)
        with torch.no_grad():
            given = (model(x_test) > 0).int()  # the plain logits decide
        error = objective_error(test.numpy(), given.numpy(), objective=OBJECTIVE)
        print(f"{name:>13}: balanced test error {100 * error:.1f} %")


if __name__ == "__main__":
    main()
