"""A small imbalanced problem and a procedure for it."""

import numpy as np
import pytest

from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.objectives import Objective


def training_data(sizes=(120, 40, 15), seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    features = rng.normal(size=(len(y), 4)) + 1.2 * np.eye(4)[y]
    nobody = np.zeros(len(y), dtype=np.int64)
    return TrainingData(features, y, nobody, np.ones(len(y)), tuple("abcdef"[: len(sizes)]))


@pytest.fixture(scope="session")
def make_data():
    return training_data


@pytest.fixture(scope="session")
def data():
    return training_data()


@pytest.fixture(scope="session")
def procedure():
    return Procedure(Objective.parse("balanced"), cv=2)
