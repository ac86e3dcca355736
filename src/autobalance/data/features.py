"""Features as the exact search sees them: standardised, rotated, and read in chunks.

Standardising makes one ridge strength mean the same for every feature. The rotation to principal
axes leaves the ridge problem as it is (the penalty is rotation-invariant, the intercept apart) and
makes its Hessian nearly diagonal, so that conjugate gradients need a fraction of the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autobalance.ranks import current_ranks

MAX_ROTATED = 3000
"""Features beyond this number are not rotated: the eigendecomposition would cost more than it
saves."""
_CHUNK_BYTES = 4 * 2**20
"""Of what a pass in float64 takes for one chunk: that stays in the processor's cache, where a pass
is several times as fast as through memory."""


@runtime_checkable
class FeatureRows(Protocol):
    """What a linear head needs of the rows that it is trained on, chunk by chunk."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, the ones included."""

    @property
    def chunks(self) -> list[slice]:
        """Row ranges to visit."""

    def logits(self, theta: Float[Tensor, "F K E"], rows: slice) -> Float[Tensor, "F K n"]:
        """θ xᵀ."""

    def pull_back(self, residual: Float[Tensor, "F K n"], rows: slice) -> Float[Tensor, "F K E"]:
        """Σ_n residual x, the transpose of :meth:`logits`."""

    def pull_back_squares(
        self, residual: Float[Tensor, "F K n"], rows: slice
    ) -> Float[Tensor, "F K E"]:
        """Σ_n residual x²."""

    def moments(self, weight: Float[Tensor, "M n"], rows: slice) -> Float[Tensor, "E M E"]:
        """Σ_n weight x xᵀ."""


class FeatureMatrix:
    """Standardised features with a last column of ones, kept in one dtype and read in chunks.

    Parameters
    ----------
    features
        Shape (N, D), any float dtype.
    sample_weight
        Weights of the examples in mean and variance, so that weight 2 is the same as two copies.
    standardise
        Scale each feature to variance 1 (a constant one to 0). Without it all are centred and
        divided by one common scale, of mean variance 1: right where features share a unit, as the
        outputs of a network do, and small ones are small because they matter little.
    dtype
        What is kept. Products run in the dtype of the other operand: with features in float32,
        float64 operands convert a chunk at a time, float32 operands run at full speed.
    columns
        How many model outputs are computed side by side; with the dtype it sets the chunk's rows.
    """

    def __init__(
        self,
        features: Float[Tensor, "N D"],
        sample_weight: Float[Tensor, "N"],
        *,
        standardise: bool = True,
        dtype: torch.dtype = torch.float32,
        columns: int = 1,
    ) -> None:
        rows, width = features.shape
        per_row = 8 * (width + 1 + 6 * columns)
        self.chunk_rows = _shared_evenly(rows, max(256, _CHUNK_BYTES // per_row))
        share = (sample_weight / sample_weight.sum()).double()
        self.mean = torch.zeros(width, dtype=torch.float64)
        for part in self._slices(rows):
            self.mean += share[part] @ features[part].double()
        variance = torch.zeros_like(self.mean)
        for part in self._slices(rows):
            variance += share[part] @ (features[part].double() - self.mean) ** 2
        # A deviation that rounding could have made counts as none.
        rounding = max(2 * torch.finfo(features.dtype).eps, 1e-12)
        constant = variance <= (rounding * self.mean) ** 2
        if not standardise and not constant.all():
            variance = torch.full_like(variance, float(variance[~constant].mean()))
        self.scale = torch.where(constant, torch.inf, variance).sqrt()
        self.rotation: Float[Tensor, "D E"] | None = None
        if width <= MAX_ROTATED:
            gram = torch.zeros(width, width, dtype=torch.float64)
            for part in self._slices(rows):
                standard = self._standard(features[part])
                gram += standard.T @ (standard * share[part, None])
            self.rotation = torch.linalg.eigh(gram).eigenvectors
        self._converted: tuple[tuple[int, int, torch.dtype], Float[Tensor, "n E"]] | None = None
        self.values = torch.ones(rows, width + 1, dtype=dtype)
        for part in self._slices(rows):
            standard = self._standard(features[part])
            self.values[part, :-1] = (
                standard if self.rotation is None else standard @ self.rotation
            ).to(dtype)

    def _standard(self, features: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        return (features.double() - self.mean) / self.scale

    def _slices(self, rows: int) -> Iterator[slice]:
        for first in range(0, rows, self.chunk_rows):
            yield slice(first, min(first + self.chunk_rows, rows))

    @property
    def shape(self) -> tuple[int, int]:
        """Examples and columns, the ones included."""
        return (self.values.shape[0], self.values.shape[1])

    @property
    def chunks(self) -> list[slice]:
        """Row ranges to visit."""
        return list(self._slices(len(self.values)))

    def some(self, rows: Int[Tensor, "m"]) -> FeatureMatrix:
        """Some of the rows, in an order of their own."""
        result = copy(self)
        result.values, result._converted = self.values[rows], None
        return result

    def _read(self, rows: slice, dtype: torch.dtype) -> Float[Tensor, "n E"]:
        """A chunk in this dtype; the last one that was converted is mostly asked for again."""
        if dtype == self.values.dtype:
            return self.values[rows]
        chunk = (rows.start, rows.stop, dtype)
        if self._converted is None or self._converted[0] != chunk:
            self._converted = chunk, self.values[rows].to(dtype)
        return self._converted[1]

    def logits(self, theta: Float[Tensor, "F K E"], rows: slice) -> Float[Tensor, "F K n"]:
        """θ xᵀ for the rows of one chunk."""
        flat = theta.reshape(-1, theta.shape[2]) @ self._read(rows, theta.dtype).T
        return flat.reshape(theta.shape[0], theta.shape[1], -1)

    def pull_back(self, residual: Float[Tensor, "F K n"], rows: slice) -> Float[Tensor, "F K E"]:
        """Σ_n residual x over the rows of one chunk: the transpose of :meth:`logits`."""
        flat = residual.reshape(-1, residual.shape[2]) @ self._read(rows, residual.dtype)
        return flat.reshape(residual.shape[0], residual.shape[1], -1)

    def pull_back_squares(
        self, residual: Float[Tensor, "F K n"], rows: slice
    ) -> Float[Tensor, "F K E"]:
        """Σ_n residual x² over the rows of one chunk, for the diagonal of a Hessian."""
        squares = self.values[rows].to(residual.dtype).square()
        flat = residual.reshape(-1, residual.shape[2]) @ squares
        return flat.reshape(residual.shape[0], residual.shape[1], -1)

    def moments(self, weight: Float[Tensor, "M n"], rows: slice) -> Float[Tensor, "E M E"]:
        """Σ_n weight x xᵀ over the rows of one chunk, for the blocks of a Hessian."""
        return weighted_moments(self.values[rows].to(weight.dtype), weight)

    def to_original(
        self, theta: Float[Tensor, "K E"]
    ) -> tuple[Float[Tensor, "K D"], Float[Tensor, "K"]]:
        """Coefficients and intercept for the features as they were handed in (float64)."""
        slopes, intercept = theta[:, :-1].double(), theta[:, -1].double()
        if self.rotation is not None:
            slopes = slopes @ self.rotation.T
        slopes = slopes / self.scale
        return slopes, intercept - slopes @ self.mean


def _shared_evenly(rows: int, chunk_rows: int) -> int:
    """Rows of a chunk, at most so many, with which all ranks have as many chunks."""
    ranks = current_ranks().size
    if ranks == 1:
        return chunk_rows
    rounds = math.ceil(rows / (chunk_rows * ranks))
    return max(1, math.ceil(rows / (rounds * ranks)))


def weighted_moments(
    values: Float[Tensor, "n E"], weight: Float[Tensor, "M n"]
) -> Float[Tensor, "E M E"]:
    """Σ_n weight x xᵀ."""
    weighted = (weight.T[:, :, None] * values[:, None, :]).reshape(len(values), -1)
    return (values.T @ weighted).reshape(values.shape[1], len(weight), -1)
