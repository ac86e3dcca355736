"""Batches in which rare classes come more often: class-balanced and square-root sampling."""

from __future__ import annotations

import torch
from jaxtyping import Integer
from torch import Tensor

from autobalance.errors import DataError
from autobalance.training.augment import Augmentation
from autobalance.training.examples import Examples
from autobalance.training.sampling import ShuffledBatches


class ResampledBatches(ShuffledBatches):
    """Examples drawn with replacement, a class of n_j examples with probability p_j ∝ n_j^q.

    Kang, Xie, Rohrbach, Yan, Gordo, Feng and Kalantidis, "Decoupling representation and classifier
    for long-tailed recognition", ICLR 2020, section 3, eq. 1: each draw takes a class by p and then
    one of its examples, all alike. q = 0 is class-balanced sampling, in which all classes come
    alike; q = 1/2 is square-root sampling (Mahajan et al., "Exploring the limits of weakly
    supervised pretraining", ECCV 2018); q = 1 takes all examples alike, as
    :class:`~autobalance.training.sampling.ShuffledBatches` does, but with replacement.

    An epoch has as many draws as there are examples, so some come more than once and some not at
    all. Groups are not looked at. A loss that corrects for the class shares, such as logit
    adjustment, would correct a second time.

    Parameters
    ----------
    examples, index, size, seed, augment, workers, device
        As in :class:`~autobalance.training.sampling.ShuffledBatches`; the seed is of the draws.
    exponent
        q, from 0 to 1.

    Raises
    ------
    DataError
        If the exponent is out of its range, or there is something to augment but the inputs are no
        tensor.
    """

    def __init__(
        self,
        examples: Examples,
        index: Integer[Tensor, "M"],
        size: int,
        seed: int,
        augment: Augmentation | None = None,
        workers: int = 0,
        device: torch.device | None = None,
        *,
        exponent: float,
    ) -> None:
        if not 0 <= exponent <= 1:
            raise DataError(
                f"exponent is {exponent}; use 0 for classes that come alike, 0.5 for square-root "
                "sampling, 1 for the classes' own shares, or a number between"
            )
        super().__init__(examples, index, size, seed, augment, workers, device)
        self._exponent = exponent
        _, code, n = torch.unique(examples.targets[index], return_inverse=True, return_counts=True)
        self._chance = (n.double() ** (exponent - 1))[code]

    @property
    def origin(self) -> str:
        """As of shuffled batches, and how classes are drawn."""
        return f"{super().origin}, classes drawn by their size to the power {self._exponent:g}"

    def _order(self) -> Integer[Tensor, "M"]:
        return torch.multinomial(
            self._chance, len(self._chance), replacement=True, generator=self._generator
        )
