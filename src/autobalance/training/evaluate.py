"""A trained network on other examples, coded as those that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Integer
from torch import Tensor, nn

from autobalance.errors import DataError
from autobalance.evaluation import Evaluation, Evaluator, measurable_objectives
from autobalance.labels import Label
from autobalance.objectives import Objective
from autobalance.training.examples import Examples
from autobalance.training.loop import predict_logits


def evaluate(
    model: nn.Module,
    data: Any,
    trained_on: Examples,
    objective: Objective,
    device: torch.device,
    workers: int = 0,
) -> Evaluation:
    """Errors on other examples, whose labels must be among those that were trained on."""
    examples = coded_alike(data, trained_on).to(device)
    counts = trained_on.counts
    evaluator = Evaluator(
        examples.targets.numpy(),
        None if examples.groups is None else examples.groups.numpy(),
        counts,
        objective.bind(counts),
        measurable_objectives(counts, objective.positive_class),
    )
    logits = predict_logits(model, examples, torch.arange(len(examples)), workers=workers)
    return evaluator.evaluate(logits.argmax(1).numpy())


def coded_alike(data: Any, trained_on: Examples) -> Examples:
    """Other examples, with the codes of those that were trained on.

    Raises
    ------
    DataError
        If a label is not among theirs, or there are no groups although they have some.
    """
    examples = Examples.of(data)
    classes, labels = trained_on.classes, trained_on.group_labels
    y = _codes(examples.targets, examples.classes, classes, "class")
    if labels is None:
        return Examples(examples.inputs, y, None, classes)
    if examples.groups is None or examples.group_labels is None:
        raise DataError("the test data has no groups but the training data has; give them")
    g = _codes(examples.groups, examples.group_labels, labels, "group")
    return Examples(examples.inputs, y, g, classes, labels)


def _codes(
    codes: Integer[Tensor, "N"], labels: Sequence[Label], known: Sequence[Label], kind: str
) -> Integer[Tensor, "N"]:
    code_of = {label: code for code, label in enumerate(known)}
    unknown = [label for label in labels if label not in code_of]
    if unknown:
        raise DataError(
            f"the test data has {kind} {unknown[0]!r}, which the training data has not; leave its "
            "examples out"
        )
    return torch.tensor([code_of[label] for label in labels])[codes]
