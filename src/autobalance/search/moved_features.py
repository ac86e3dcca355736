r"""Features as training sees them with a ball around each example (Lemma 2).

An example x with radius ε counts as R copies, each moved by its own fixed draw,

.. math:: \tilde x_r = x + ε v_r, \qquad v_r \text{ uniform in the unit ball}.

The draws are the same for every radius and every loss (common random numbers), so that the training
loss is a smooth function of both, and they come in pairs ±v: their mean is exactly 0, so that the
balls of an example move it nowhere on average. A rotation turns balls into balls, so they are drawn
in the rotated coordinates of the :class:`~autobalance.data.features.FeatureMatrix`. The column of
ones is not moved.

A pair has the scores θx ± ε θv, so that R copies cost 1 + R/2 products and not R, and only one draw
is kept of each pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autobalance.augmentation.operations import in_unit_ball
from autobalance.data.features import FeatureMatrix, weighted_moments
from autobalance.errors import SearchError


@dataclass(frozen=True)
class Draws:
    """How many copies stand for the ball of an example, and the seed of their draws.

    Parameters
    ----------
    copies
        R, an even number. With 8 (default) even a class of 20 examples has 160 draws, which tell
        the spread along a direction to a tenth, at five products with the features in place of one.
    seed
        Of the draws.

    Raises
    ------
    SearchError
        If the number is odd or not positive.
    """

    copies: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.copies < 2 or self.copies % 2:
            raise SearchError(
                f"a ball cannot be {self.copies} copies, which come in pairs; use an even number "
                "of at least 2"
            )


DEFAULT_DRAWS = Draws()


class MovedFeatures:
    """The R copies of every example, chunk by chunk: of n examples first all moved by +ε v.

    Parameters
    ----------
    features
        N examples.
    draws
        How many copies and which.

    Attributes
    ----------
    radius
        ε of each example, shape (N,), float64, in the units of the standardised features; 0 until
        it is set.
    example
        Which example each of the N·R rows is a copy of.
    """

    def __init__(self, features: FeatureMatrix, draws: Draws = DEFAULT_DRAWS) -> None:
        self.features, self.copies = features, draws.copies
        count, width = features.shape
        self.radius = torch.zeros(count, dtype=torch.float64)
        step = max(1, features.chunk_rows // draws.copies)
        self._parts = [slice(first, min(first + step, count)) for first in range(0, count, step)]
        generator = torch.Generator().manual_seed(draws.seed)
        pairs = draws.copies // 2
        self._draws = [
            in_unit_ball(pairs * (part.stop - part.start), (width - 1,), generator).to(
                features.values.dtype
            )
            for part in self._parts
        ]
        self.example: Int[Tensor, "NR"] = torch.cat(
            [torch.arange(part.start, part.stop).repeat(draws.copies) for part in self._parts]
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Copies and columns, the ones included."""
        return (len(self.example), self.features.shape[1])

    @property
    def chunks(self) -> list[slice]:
        """Ranges of copies to visit, each all the copies of some examples."""
        return [slice(part.start * self.copies, part.stop * self.copies) for part in self._parts]

    def _part(self, rows: slice) -> tuple[slice, Float[Tensor, "m D"]]:
        """The examples behind a chunk, and one draw v of each pair, pair by pair."""
        number = rows.start // (self._parts[0].stop * self.copies)
        return self._parts[number], self._draws[number]

    def slopes(self, theta: Float[Tensor, "F K E"], rows: slice) -> Float[Tensor, "F K n"]:
        """±θv: how the scores of a chunk's copies grow with the radii."""
        _, draws = self._part(rows)
        along = theta[..., :-1].flatten(0, 1) @ draws.to(theta.dtype).T
        return torch.cat([along, -along], 1).reshape(*theta.shape[:2], -1)

    def logits(self, theta: Float[Tensor, "F K E"], rows: slice) -> Float[Tensor, "F K n"]:
        """θ x̃ᵀ = θ xᵀ ± ε θv for the copies of one chunk."""
        part, _ = self._part(rows)
        centre = self.features.logits(theta, part)[:, :, None]
        moved = self._by_copy(self.slopes(theta, rows))
        scores: Tensor = centre + self.radius[part].to(theta.dtype) * moved
        return scores.flatten(2)

    def pull_back(self, residual: Float[Tensor, "F K n"], rows: slice) -> Float[Tensor, "F K E"]:
        """Σ residual x̃ over the copies of one chunk: the transpose of :meth:`logits`."""
        part, draws = self._part(rows)
        copies = self._by_copy(residual)
        result = self.features.pull_back(copies.sum(2), part)
        ahead, behind = copies.chunk(2, dim=2)
        scaled = (self.radius[part].to(residual.dtype) * (ahead - behind)).flatten(2)
        moved = scaled.flatten(0, 1) @ draws.to(residual.dtype)
        result[..., :-1] += moved.reshape(*residual.shape[:2], -1)
        return result

    def pull_back_squares(
        self, residual: Float[Tensor, "F K n"], rows: slice
    ) -> Float[Tensor, "F K E"]:
        """Σ residual x̃² over the copies of one chunk."""
        squares = self._values(rows, residual.dtype).square_()
        return (residual.flatten(0, 1) @ squares).reshape(*residual.shape[:2], -1)

    def moments(self, weight: Float[Tensor, "M n"], rows: slice) -> Float[Tensor, "E M E"]:
        """Σ weight x̃ x̃ᵀ over the copies of one chunk."""
        return weighted_moments(self._values(rows, weight.dtype), weight)

    def _by_copy(self, values: Float[Tensor, "F K n"]) -> Float[Tensor, "F K R m"]:
        return values.reshape(*values.shape[:2], self.copies, -1)

    def _values(self, rows: slice, dtype: torch.dtype) -> Float[Tensor, "n E"]:
        """The copies of one chunk themselves."""
        part, draws = self._part(rows)
        values = self.features.values[part].to(dtype).repeat(self.copies, 1)
        moved = self.radius[part].to(dtype).repeat(self.copies // 2)[:, None] * draws.to(dtype)
        values[:, :-1] += torch.cat([moved, -moved])
        return values
