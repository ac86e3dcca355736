"""How many odd inputs there are in all, and that they are the same every time."""

import random

from tests.odd_inputs.kit import PROMISED, mutated_json


def test_there_are_ten_thousand():
    assert sum(PROMISED.values()) >= 10_000


def test_a_seed_makes_the_same_input():
    document = {"a": [1, 2.5, "x"], "b": {"c": None}}
    made = [[mutated_json(random.Random(seed), document) for seed in range(50)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 40
