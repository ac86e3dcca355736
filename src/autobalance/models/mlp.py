"""Fully connected layers for tables and embeddings; without hidden ones a linear model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from autobalance.models.initial import initialise


class MLP(nn.Module):
    """Hidden layers of ReLUs and a linear output.

    Parameters
    ----------
    n_features
        D.
    n_classes
        K.
    hidden
        Widths of the hidden layers: one of 256 by default, a usual start that trains quickly; none,
        ``()``, makes a linear model.
    dropout
        Share of each hidden layer's outputs that training sets to 0; none by default, because it
        makes gradients random, and with them the hypergradients.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [n_features, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.head = nn.Linear(widths[-1], n_classes)
        initialise(self)

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Logits of a batch of features, which should be about of mean 0 and variance 1."""
        for layer in self.hidden:
            features = self.dropout(layer(features).relu())
        logits: Tensor = self.head(features)
        return logits
