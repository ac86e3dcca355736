"""Random changes of training images, a whole batch at a time, where the batch lies.

There is no loop over images and nothing that waits for a GPU: every image's draw is one number of a
tensor, and a gather or one ``grid_sample`` does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from autobalance.errors import DataError

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""From images and a generator on their device to images; no other random stream may be drawn from,
so that training can be resumed."""

_AREA = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_TRIES = 10


@dataclass(frozen=True)
class CropAndFlip:
    """A window as large as the image out of the image padded with zeros; half of them flipped.

    The augmentation of the CIFAR papers: He, Zhang, Ren and Sun, "Deep residual learning for image
    recognition", CVPR 2016, section 4.2, after Lee et al., "Deeply-supervised nets", AISTATS 2015.

    Parameters
    ----------
    padding
        Pixels on each side.
    flip
        Whether half of the images are mirrored, left to right: not for digits and letters.
    """

    padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.padding, Integral) or self.padding < 0:
            raise DataError(f"padding is {self.padding}; use a whole number of pixels, or 0")

    def __call__(
        self, images: UInt8[Tensor, "N C H W"], generator: torch.Generator
    ) -> UInt8[Tensor, "N C H W"]:
        """Other images, by draws from ``generator``."""
        n, channels, height, width = images.shape
        where, p = images.device, self.padding
        padded = F.pad(images, (p, p, p, p))
        offsets = torch.randint(2 * p + 1, (2, n, 1), generator=generator, device=where)
        rows = offsets[0] + torch.arange(height, device=where)
        columns = torch.arange(width, device=where).expand(n, width)
        if self.flip:
            columns = torch.where(_coins(n, generator)[:, None], columns.flip(1), columns)
        columns = columns + offsets[1]
        places = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
        index = places.view(n, 1, -1).expand(-1, channels, -1)
        return padded.flatten(2).gather(2, index).view(images.shape)


@dataclass(frozen=True)
class ResizedCropAndFlip:
    """A window of random area and shape, resized to a square, and half of them flipped.

    The augmentation of ImageNet: Szegedy et al., "Going deeper with convolutions", CVPR 2015,
    section 6, with the area uniform from 8% to 100% of the image and the logarithm of width over
    height uniform from that of 3/4 to that of 4/3. Ten windows are drawn, and the first that fits
    into the image counts, as in torchvision; where none does, it is the largest in the middle of an
    admitted shape. The resizing is bilinear, from windows that need not begin at a whole pixel.

    Parameters
    ----------
    size
        Height and width of what comes out.
    """

    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.size, Integral) or self.size < 1:
            raise DataError(f"size is {self.size}; use a whole number of pixels of at least 1")

    def __call__(
        self, images: UInt8[Tensor, "N C H W"], generator: torch.Generator
    ) -> UInt8[Tensor, "N C {self.size} {self.size}"]:
        """Other images, by draws from ``generator``."""
        n, channels, height, width = images.shape
        # from -1 to 1 over the image's height and width, which is grid_sample's unit
        share, middle = _windows(n, height, width, generator)
        mirrored = 1 - 2 * _coins(n, generator).float()
        theta = torch.zeros(n, 2, 3, device=images.device)
        theta[:, 0, 0], theta[:, 1, 1] = share[1] * mirrored, share[0]
        theta[:, 0, 2], theta[:, 1, 2] = middle[1], middle[0]
        grid = F.affine_grid(theta, [n, channels, self.size, self.size], align_corners=False)
        sampled = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
        return sampled.round().to(torch.uint8)


def _windows(
    n: int, height: int, width: int, generator: torch.Generator
) -> tuple[Float[Tensor, "2 {n}"], Float[Tensor, "2 {n}"]]:
    """Windows' shares of height and width, and their middles from -1 to 1 along both."""
    drawn = torch.rand(4, _TRIES, n, generator=generator, device=generator.device)
    area = height * width * (_AREA[0] + (_AREA[1] - _AREA[0]) * drawn[0])
    low, high = map(math.log, _RATIO)
    ratio = torch.exp(low + (high - low) * drawn[1])
    shares = torch.stack([(area / ratio).sqrt() / height, (area * ratio).sqrt() / width])
    fits = (shares <= 1).all(0)
    first = (fits.cumsum(0) == 0).sum(0)
    chosen = first.clamp_max(_TRIES - 1).expand(2, 1, n)
    none = first == _TRIES
    largest = min(1.0, width / _RATIO[0] / height), min(1.0, height * _RATIO[1] / width)
    height_share, width_share = shares.gather(1, chosen)[:, 0]
    share = torch.stack(
        [torch.where(none, largest[0], height_share), torch.where(none, largest[1], width_share)]
    )
    place = torch.where(none, 0.5, drawn[2:].gather(1, chosen)[:, 0])
    return share, (1 - share) * (2 * place - 1)


def _coins(n: int, generator: torch.Generator) -> Bool[Tensor, "{n}"]:
    return torch.rand(n, generator=generator, device=generator.device) < 1 / 2
