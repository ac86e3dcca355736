"""Weights as draws: an example of a class with weight 2 comes twice as often, and counts once."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from autobalance.errors import DataError
from autobalance.training.examples import Examples
from autobalance.training.sampling import ShuffledBatches
from autobalance.training.settings import TrainingSettings


class BatchesByWeight(ShuffledBatches):
    r"""Examples that come as often in an epoch as their (class, group) cell has weight.

    Weights that multiply the loss and weights that draw have the same mean gradient, but where a
    rare class weighs much, a step that multiplies is now and then very large and mostly lacks the
    class. A draw shows a rare example in many batches, with another augmentation each time.

    An epoch has as many draws as there are examples. With chance :math:`p_i \propto w_{y_i g_i}`
    of N examples, example i comes :math:`\lfloor N p_i \rfloor` or :math:`\lceil N p_i \rceil`
    times, :math:`N p_i` in the mean (systematic sampling; Madow and Madow, "On the theory of
    systematic sampling", Annals of Mathematical Statistics, 1944); with equal weights every one
    comes once.

    Parameters are those of :class:`~autobalance.training.sampling.ShuffledBatches`, and until there
    are weights so is the order; the seed is of the draws.
    """

    _chance: Float[Tensor, "M"] | None = None

    @property
    def origin(self) -> str:
        """As of shuffled batches."""
        return f"{super().origin}, drawn by weight"

    def draw_by(self, weight: Float[Tensor, "K G"]) -> Float[Tensor, "K G"]:
        """Draw by these weights of the cells from the next epoch on.

        Returns
        -------
        Tensor
            How many times as often as in the data a cell then comes: the weights, divided by their
            mean over the examples; 1 for weight 0, which never comes.

        Raises
        ------
        DataError
            If no example has a weight.
        """
        cells = torch.from_numpy(self._examples.cells[self._index.numpy()])
        chance = weight.detach().flatten().cpu().double()[cells]
        mean = float(chance.mean())
        if not mean > 0:
            raise DataError("all weights of the loss are 0, and no example can be drawn by them")
        self._chance = chance
        often = weight.detach() / mean
        return torch.where(often > 0, often, 1.0)

    def _order(self) -> Integer[Tensor, "M"]:
        if self._chance is None:
            return super()._order()
        number = len(self._index)
        shuffled = torch.randperm(number, generator=self._generator)
        ends = self._chance[shuffled].cumsum(0)
        start = torch.rand((), dtype=torch.float64, generator=self._generator)
        marks = (torch.arange(number, dtype=torch.float64) + start) * (ends[-1] / number)
        places = torch.searchsorted(ends, marks, right=True).clamp_max(number - 1)
        return shuffled[places][torch.randperm(number, generator=self._generator)]


def training_batches(
    examples: Examples,
    index: Integer[Tensor, "M"],
    settings: TrainingSettings,
    seed: int,
    device: torch.device | None = None,
) -> ShuffledBatches:
    """The batches that the settings ask for."""
    kind = BatchesByWeight if settings.weights == "draw" else ShuffledBatches
    return kind(
        examples, index, settings.batch_size, seed, settings.augment, settings.workers, device
    )
