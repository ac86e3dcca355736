"""A head whose logits are cosines, as the LDAM loss wants them."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from autobalance.errors import DataError

Model = TypeVar("Model", bound=nn.Module)


class NormalisedLinear(nn.Module):
    """Cosines between features and the weights of each class, ⟨x, v_k⟩ / (‖x‖ ‖v_k‖).

    Section 3.2 and the code of LDAM (Cao et al., NeurIPS 2019), whose weights begin uniform on the
    cube and then of length 1, as here.

    Parameters
    ----------
    n_features, n_classes
        D and K.
    """

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        drawn = torch.empty(n_classes, n_features).uniform_(-1, 1)
        self.weight = nn.Parameter(F.normalize(drawn, dim=1))

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Logits of a batch, from -1 to 1."""
        return F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


def with_normalised_head(model: Model) -> Model:
    """Put a :class:`NormalisedLinear` in the place of the ``nn.Linear`` named ``head``.

    Parameters
    ----------
    model
        Changed, and returned.

    Raises
    ------
    DataError
        If its ``head`` is no linear layer.
    """
    head = getattr(model, "head", None)
    if not isinstance(head, nn.Linear):
        raise DataError(
            f"the {type(model).__name__} has no linear layer named head to normalise; call its "
            "last layer so"
        )
    model.head = NormalisedLinear(head.in_features, head.out_features).to(head.weight)
    return model
