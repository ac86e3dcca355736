"""The data and the network that the examples share: scikit-learn's digits, made long-tailed."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from autobalance import Counts, objective_error
from autobalance.data.longtail import digits_long_tailed


class Digits(NamedTuple):
    """Training digits, a fourth of them held out for the search, and balanced test digits."""

    everything: TensorDataset
    train: TensorDataset
    held_out: TensorDataset
    test_features: Tensor
    test_target: Tensor
    counts: Counts

    def balanced_error(self, model: nn.Module) -> str:
        """Of the test digits, in words."""
        model.eval()
        with torch.no_grad():
            predicted = model(self.test_features).argmax(1)
        error = objective_error(self.test_target.numpy(), predicted.numpy(), objective="balanced")
        return f"balanced test error {100 * error:.1f} %"


def load() -> Digits:
    """50 times as many zeros as nines."""
    digits = digits_long_tailed(ratio=50.0)
    mean, scale = digits.train_features.mean(), digits.train_features.std()
    features = torch.from_numpy((digits.train_features - mean) / scale).float()
    target = torch.from_numpy(digits.train_target).long()
    held_out = torch.from_numpy(np.arange(len(target)) % 4 == 0)
    return Digits(
        TensorDataset(features, target),
        TensorDataset(features[~held_out], target[~held_out]),
        TensorDataset(features[held_out], target[held_out]),
        torch.from_numpy((digits.test_features - mean) / scale).float(),
        torch.from_numpy(digits.test_target).long(),
        Counts.from_codes(digits.train_target, None, range(10)),
    )


def a_network() -> nn.Module:
    """Fresh weights, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
