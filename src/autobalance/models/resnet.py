"""Residual networks for small images, as in the CIFAR experiments of the ResNet paper."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from autobalance.errors import DataError
from autobalance.models.initial import initialise


class CifarResNet(nn.Module):
    """A ResNet of three stages, each of twice the channels of the last, for images of any size.

    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2,
    with shortcuts of option A, which hold no parameters. The usual network of CIFAR-LT papers is
    that of depth 32; with 10 classes it has 464,154 parameters.

    Parameters
    ----------
    depth
        6n + 2 layers: the first convolution, three stages of n blocks of two, and the output.
    n_classes
        K.
    in_channels
        3 for colour images (default, as CIFAR's are), 1 for grey ones.
    width
        Channels of the first stage: 16 by default, as published, so that the last has 64.

    Raises
    ------
    DataError
        If the depth is not 6n + 2 with n ≥ 1.
    """

    def __init__(self, depth: int, n_classes: int, in_channels: int = 3, width: int = 16) -> None:
        super().__init__()
        n, rest = divmod(depth - 2, 6)
        if rest or n < 1:
            raise DataError(
                f"a ResNet's depth is 6n + 2 but {depth} is not; use 8, 14, 20, 32, 44 or 56"
            )
        self.stem = _convolution(in_channels, width)
        self.norm = nn.BatchNorm2d(width)
        widths = [each for each in (width, 2 * width, 4 * width) for _ in range(n)]
        self.blocks = nn.Sequential(*(_Block(*pair) for pair in pairwise((width, *widths))))
        self.head = nn.Linear(4 * width, n_classes)
        initialise(self)

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of a batch."""
        maps = self.blocks(self.norm(self.stem(images)).relu())
        logits: Tensor = self.head(maps.mean((2, 3)))
        return logits


resnet8, resnet14, resnet20, resnet32, resnet44, resnet56 = (
    partial(CifarResNet, depth) for depth in (8, 14, 20, 32, 44, 56)
)


class _Block(nn.Module):
    """Two convolutions beside a shortcut; where the channels double, the image is halved."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(before, width, stride=1 if before == width else 2)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        inner = self.norm1(self.conv1(maps)).relu()
        inner = self.norm2(self.conv2(inner))
        out: Tensor = inner + option_a_shortcut(maps, inner.shape[1])
        return out.relu()


def option_a_shortcut(maps: Float[Tensor, "N C H W"], width: int) -> Float[Tensor, "N {width} h w"]:
    """Maps as they are or, for more channels, every other pixel between channels of zeros."""
    if maps.shape[1] == width:
        return maps
    side = (width - maps.shape[1]) // 2
    return F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, side, side))


def _convolution(before: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
