"""Features of mean 0 and variance 1, inside the model, so that a saved one takes them raw."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autobalance.errors import DataError

_ROWS = 4096  # converted to float64 at a time


class Standardise(nn.Module):
    """(x − mean) / scale, with buffers that are saved with a model's parameters.

    Parameters
    ----------
    n_features
        D.

    Attributes
    ----------
    mean, scale
        Shape (D,); 0 and 1 until :meth:`fit` sets them.
    """

    mean: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Standardise raw features, of any floating dtype, into that of the buffers."""
        return ((features - self.mean) / self.scale).to(self.scale.dtype)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Tensor, "N D"],
        sample_weight: Float[Tensor, " N"] | None = None,
        *,
        common_scale: bool = False,
    ) -> Standardise:
        """Set mean and scale from training data, in float64, and return the module itself.

        Parameters
        ----------
        features
            Shape (N, D), raw.
        sample_weight
            Weights of the examples in mean and variance, so that weight 2 is the same as two
            copies. All count the same by default.
        common_scale
            Divide all features by one scale, of mean variance 1, instead of each by its own
            deviation: right where features share a unit, as the outputs of a network do, and small
            ones are small because they matter little.

        Raises
        ------
        DataError
            If the features are not floats, not D wide or not finite, or the weights do not fit
            them, are negative, not finite or all 0.

        Notes
        -----
        A feature that is constant in training tells nothing. It gets the largest scale there is,
        so that the layers see 0 for it, also where a new value differs; infinity would do the same
        but is no number that a file should hold.
        """
        share = _shares(features, sample_weight, len(self.mean))
        parts = list(zip(torch.split(features, _ROWS), torch.split(share, _ROWS), strict=True))
        mean = torch.stack([part @ x.double() for x, part in parts]).sum(0)
        variance = torch.stack([part @ (x.double() - mean) ** 2 for x, part in parts]).sum(0)
        broken = ~torch.isfinite(variance)
        if bool(broken.any()):
            raise DataError(
                f"feature {int(broken.int().argmax())} holds values that are not finite or too "
                "large to be squared; replace them"
            )
        # a deviation that rounding could have made counts as none
        constant = variance <= (max(2 * torch.finfo(features.dtype).eps, 1e-12) * mean) ** 2
        if common_scale and not bool(constant.all()):
            variance = variance[~constant].mean().expand_as(variance)
        largest = torch.finfo(self.scale.dtype).max
        self.mean.copy_(mean)
        self.scale.copy_(variance.sqrt().masked_fill(constant, largest))
        return self


def _shares(
    features: Float[Tensor, "N D"], sample_weight: Float[Tensor, " N"] | None, width: int
) -> Float[Tensor, " N"]:
    """Check what goes into the statistics, and give each example's share of the total weight."""
    shape = tuple(features.shape)
    if len(shape) != 2 or shape[1] != width or shape[0] == 0 or not features.is_floating_point():
        raise DataError(
            f"features are {str(features.dtype).removeprefix('torch.')} of shape {shape} but "
            f"floats of shape (N, {width}) are standardised; give one row or more of these"
        )
    if sample_weight is None:
        sample_weight = torch.ones(len(features), device=features.device)
    if sample_weight.shape != shape[:1]:
        raise DataError(
            f"sample_weight has shape {tuple(sample_weight.shape)} but features are of shape "
            f"{shape}; give one weight per example"
        )
    weight = sample_weight.double()
    total = weight.sum()
    if not (bool((weight >= 0).all()) and 0 < float(total) < torch.inf):
        raise DataError(
            "sample_weight must be finite, not negative and somewhere positive; correct the weights"
        )
    return weight / total
