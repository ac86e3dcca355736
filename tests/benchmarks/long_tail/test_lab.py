"""The recipe of the benchmarks on images, folds, and scores."""

import numpy as np
import torch

from autobalance.training.settings import TrainingSettings
from benchmarks.long_tail.cases import CASES
from benchmarks.long_tail.lab import Recipe


def test_a_recipe_is_that_of_the_records(lab):
    case = CASES["cifar10-lt"]
    recipe = Recipe("resnet20", epochs=60).on(case)
    expected = TrainingSettings(
        epochs=60,
        batch_size=128,
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine",
        warm_up_epochs=1.0,
        augment=case.augment,
    )
    assert recipe.retraining == recipe.searching == expected
    assert recipe.model == "resnet20"
    assert recipe.source.largest == 5000
    assert len(lab.parts[1]) == 21  # a fifth of 105


def test_folds_hold_out_everything_once(lab):
    folds = lab.folds(3)
    assert sorted(torch.cat([held_out for _, held_out in folds]).tolist()) == list(range(105))
    for train, held_out in folds:
        assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(105))
        assert torch.bincount(lab.examples.targets[held_out]).tolist() == [20, 10, 5]


def test_the_score_is_the_mean_of_the_class_errors(lab):
    codes = np.zeros(60, dtype=np.int64)
    codes[25] = 1
    seen = []

    def predict(images):
        seen.append(images)
        return codes

    score = lab.score(predict)
    assert score == {"balanced": 65.0, "class_errors": [0.0, 95.0, 100.0]}
    assert seen == [lab.scored]
