"""What a run starts from is told by values, and never by where they lie in memory."""

import numpy as np
import torch

from autobalance.hypergradient.damped_cg import CG
from autobalance.training.origin import described, described_optimizer
from autobalance.training.settings import TrainingSettings


def test_plain_values_are_told_to_four_digits():
    value = {"a": [1, 0.123456, None], "b": (True, "x")}
    assert described(value) == "{a: [1, 0.1235, None], b: [True, 'x']}"


def test_a_number_is_a_number_whatever_holds_it():
    assert described(np.float32(0.5)) == described(torch.tensor(0.5)) == described(0.5) == "0.5"
    assert described({"lr": torch.tensor(0.25)}) == "{lr: 0.25}"
    assert described({"lr": torch.zeros(2)}) == "{lr: Tensor}"


def test_an_object_is_its_type_and_its_plain_values():
    assert described(CG(3, damping=0.5)) == (
        "CG {'damping': '0.5', 'iterations': '3', 'tolerance': '0.001'}"
    )
    assert described(CG(3)) != described(CG(4))


def test_nothing_tells_where_an_object_lies():
    class Holder:
        def __init__(self):
            self.inner, self.value = object(), [object()]

    assert described(Holder()) == described(Holder())
    assert "object at" not in described(Holder())
    assert "object at" not in described([Holder()])


def test_an_optimizer_is_its_settings_and_groups():
    def of(rate):
        optimizer = torch.optim.SGD([torch.zeros(2, requires_grad=True)], rate)
        return described_optimizer(TrainingSettings(), optimizer)

    assert of(0.1) == of(0.1) != of(0.2)
    assert "SGD" in of(0.1)
