"""Images as they are stored, made fit for a network inside the model; see also ``standardise``."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from autobalance.errors import DataError

_IMAGES = 256  # converted to float64 at a time
_LARGEST = 255


class Pixels(nn.Module):
    """(x / 255 − mean) / std of bytes, in the channels-last format, convolutions' fastest.

    It stands before the network, in an ``nn.Sequential``, so that a saved model takes images as
    they are stored, and a batch is a quarter of its size until it is on the device.

    Parameters
    ----------
    n_channels
        C.
    size
        Height and width of the middle that is kept of larger images; by default, all is kept.
        Images that are augmented in training to this size, and whole otherwise, come out alike.

    Attributes
    ----------
    mean, std
        Shape (C,), of values in [0, 1]; 0 and 1 until :meth:`fit` sets them.
    """

    mean: Float[Tensor, " C"]
    std: Float[Tensor, " C"]

    def __init__(self, n_channels: int = 3, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("std", torch.ones(n_channels))

    def forward(
        self, images: UInt8[Tensor, "N C H W"] | Float[Tensor, "N C H W"]
    ) -> Float[Tensor, "N C h w"]:
        """Standardise images: bytes, or numbers from 0 to 255 between them, as augmentation gives.

        Raises
        ------
        DataError
            If they are neither, or not of C channels, or smaller than ``size``.
        """
        self._check(images)
        x = self._middle(images).to(self.std.dtype, memory_format=torch.channels_last)
        scale = 1 / (_LARGEST * self.std)
        return x * scale[:, None, None] - (self.mean / self.std)[:, None, None]

    @torch.no_grad()
    def fit(self, images: UInt8[Tensor, "N C H W"]) -> Pixels:
        """Set mean and std from all pixels of training images, and return the module itself.

        A channel that is constant gets std 1: it is 0 in training, and no value is far from it.

        Raises
        ------
        DataError
            If there is no image, or they are not bytes of C channels, or smaller than ``size``.
        """
        if images.dtype != torch.uint8:
            kind = str(images.dtype).removeprefix("torch.")
            raise DataError(f"images are {kind}; fit mean and std to bytes, uint8")
        self._check(images)
        if images.numel() == 0:
            raise DataError("there is no pixel to take mean and std from; give training images")
        parts = torch.split(images, _IMAGES)
        moments = torch.stack([self._moments(part) for part in parts]).sum(0)
        mean, square = moments / (images.numel() / images.shape[1])
        variance = (square - mean**2).clamp_min(0)
        # a deviation that rounding could have made counts as none
        constant = variance <= torch.finfo(variance.dtype).eps * 4 * square
        self.mean.copy_(mean)
        self.std.copy_(variance.sqrt().masked_fill(constant, 1.0))
        return self

    def _moments(self, images: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "2 C"]:
        x = images.double() / _LARGEST
        return torch.stack([x.sum((0, 2, 3)), (x**2).sum((0, 2, 3))])

    def _middle(self, images: Tensor) -> Tensor:
        height, width = self.size or images.shape[2:]
        top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
        return images[:, :, top : top + height, left : left + width]

    def _check(self, images: Tensor) -> None:
        shape = tuple(images.shape)
        numbers = images.dtype == torch.uint8 or images.is_floating_point()
        if images.ndim != 4 or not numbers or shape[1] != len(self.mean):
            raise DataError(
                f"images are {str(images.dtype).removeprefix('torch.')} of shape {shape}; give "
                f"uint8, or floats from 0 to 255, of shape (N, {len(self.mean)}, H, W)"
            )
        if self.size is not None and (shape[2] < self.size[0] or shape[3] < self.size[1]):
            raise DataError(
                f"images of {shape[2]} × {shape[3]} are smaller than the {self.size[0]} × "
                f"{self.size[1]} that the model takes; give larger ones"
            )
