"""What the tests of every library share."""

import pytest
from torch.utils.data import TensorDataset

from tests.integrations.loops import examples


@pytest.fixture
def data() -> TensorDataset:
    return TensorDataset(*examples(48, 1))


@pytest.fixture
def held_out() -> TensorDataset:
    return TensorDataset(*examples(40, 2))
