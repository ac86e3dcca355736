"""A trained network as something that predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import nn

from autobalance.training.examples import Examples
from autobalance.training.loop import predict_logits


@dataclass(frozen=True, eq=False)
class Network:
    """Predicts by a trained network, with a bias on its logits if there is one.

    ``workers`` read images that are files ahead.
    """

    model: nn.Module
    bias: Float[ndarray, "K"] | None = None
    workers: int = 0

    def logits(self, examples: Examples) -> Float[torch.Tensor, "N K"]:
        """On the CPU, in float64, with the bias."""
        device = next(self.model.parameters()).device
        examples = examples.to(device)
        everything = torch.arange(len(examples))
        logits = predict_logits(self.model, examples, everything, workers=self.workers).double()
        return logits if self.bias is None else logits + torch.from_numpy(self.bias)

    def __call__(self, examples: Examples) -> Integer[ndarray, "N"]:
        """Codes of classes."""
        return np.asarray(self.logits(examples).argmax(1).numpy())
