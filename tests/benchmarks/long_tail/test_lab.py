"""What every method has in common: networks from the same weights, scored on the same images."""

import numpy as np
import torch

from autobalance.losses.ldam import LDAMLoss
from autobalance.models.normalised import NormalisedLinear
from benchmarks.long_tail.cases import Data
from benchmarks.long_tail.lab import Lab, Recipe


def test_every_loss_starts_from_the_same_weights(lab):
    first, second = (
        lab.training(lab.preset(name), lab.everything, cosines=False).model.state_dict()
        for name in ("cross-entropy", "weighted")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_training_gives_the_same_predictions(lab):
    design = lab.preset("logit-adjustment")
    first, second = (lab.test_logits(lab.train(design)) for _ in range(2))
    assert torch.equal(first, second)


def test_training_leaves_the_callers_random_stream_alone(lab):
    torch.manual_seed(3)
    lab.train(lab.preset("cross-entropy"))
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


def test_the_split_is_stratified_and_of_the_seed(lab, toy_case):
    train, held_out = lab.parts
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(105))
    assert torch.bincount(lab.examples.targets[held_out]).tolist() == [12, 6, 3]
    data = Data(lab.examples, torch.zeros(1, 1, 8, 8, dtype=torch.uint8), np.zeros(1, dtype=int))
    other = Lab(toy_case, data, Recipe(device="cpu"), seed=1)
    assert not torch.equal(other.parts[1], held_out)


def test_ldam_gets_a_head_of_cosines(lab):
    training = lab.training(LDAMLoss(lab.counts), lab.everything, cosines=True)
    assert isinstance(training.model[1].head, NormalisedLinear)


def test_the_score_is_the_mean_of_the_class_errors(lab):
    logits = torch.zeros(60, 3)
    logits[:, 0] = 1
    logits[25, 1] = 2
    score = lab.score(logits)
    assert score["class_errors"] == [0.0, 95.0, 100.0]
    assert score["balanced"] == 65.0
