"""PolicySpace: from a short vector α to the values of an augmentation policy.

α = 0 is the starting policy. A searched parameter, ``probability`` or ``magnitude``, has an entry
of α for each column of its dictionary D and each operation, so that D says which cells share a
value: ``one`` for all (MADAO), ``cluster:C`` or ``class`` for a policy each, ``line`` for one that
follows the frequency. Both are searched through the logistic function, which keeps them in range:

    p = σ(log odds p₀ + D α),        m = M σ(log odds (m₀ / M) + D α),

with M the operation's largest magnitude; where there is none such, m = m₀ exp(D α).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from autobalance.augmentation.policy import Policy
from autobalance.dictionary import Dictionary
from autobalance.errors import DesignError

POLICY_PARAMETERS = ("probability", "magnitude")
POLICY_BOUND = 6.0
"""Largest searched change of log odds, or of a log radius."""


@dataclass(frozen=True, eq=False)
class PolicySpace:
    """What of a policy is searched, from where, and how finely.

    Parameters
    ----------
    start
        The policy at α = 0.
    dictionaries
        One for each searched parameter.

    Raises
    ------
    DesignError
        If a searched value starts at an end of its range, from where it could not move, or no
        operation has one.
    """

    start: Policy
    dictionaries: Mapping[str, Dictionary]

    def __post_init__(self) -> None:
        for name in self.dictionaries:
            if not self._searched(name).any():
                raise DesignError(
                    f"no operation of the policy has a {name} to search; leave {name} out"
                )
            values, most = getattr(self.start, name), self._most(name)
            stuck = ((values <= 0) | (values >= most)) & self._searched(name)
            if stuck.any():
                k, j, s, place = (int(at) for at in np.argwhere(stuck)[0])
                raise DesignError(
                    f"the {name} of {self.start.sub_policies[s][place]} is "
                    f"{values[k, j, s, place]:g} for class {k} in group {j}, an end of its range, "
                    f"and cannot be searched from there; start between the ends, or leave {name} "
                    "out"
                )

    def size(self, name: str) -> int:
        """Entries of α for a parameter."""
        return self.dictionaries[name].size * int(self._searched(name).sum())

    def decode(
        self, parts: Mapping[str, Float[Tensor, "A"]]
    ) -> tuple[Float[Tensor, "K G S L"], Float[Tensor, "K G S L"]]:
        """Probabilities and magnitudes, differentiable in the parts of α (float64)."""
        probability, magnitude = (self._decoded(name, parts) for name in POLICY_PARAMETERS)
        return probability, magnitude

    def _decoded(
        self, name: str, parts: Mapping[str, Float[Tensor, "A"]]
    ) -> Float[Tensor, "K G S L"]:
        start = torch.from_numpy(getattr(self.start, name).copy())
        if name not in self.dictionaries:
            return start
        searched = torch.from_numpy(self._searched(name))
        dictionary = self.dictionaries[name]
        by_column = parts[name].reshape(dictionary.size, -1)
        change = torch.stack([dictionary @ column for column in by_column.unbind(1)], 1)
        own, most = start[:, :, searched], torch.from_numpy(self._most(name))[searched]
        change = change.reshape(own.shape)
        endless = torch.isinf(most)
        most = torch.where(endless, 2 * own, most)  # a gradient of 0 times infinity would be NaN
        moved = torch.where(
            endless, own * torch.exp(change), most * torch.sigmoid((own / most).logit() + change)
        )
        values = start.clone()
        values[:, :, searched] = moved
        return values

    def _most(self, name: str) -> Float[ndarray, "S L"]:
        return self.start.largest if name == "magnitude" else np.ones(self.start.shape)

    def _searched(self, name: str) -> Bool[ndarray, "S L"]:
        """Operations that have this parameter."""
        return self.start.has_magnitude if name == "magnitude" else np.ones(self.start.shape, bool)


def searched_in(parameters: Sequence[str]) -> list[str]:
    """Those of the parameters that belong to a policy."""
    return [name for name in POLICY_PARAMETERS if name in parameters]
