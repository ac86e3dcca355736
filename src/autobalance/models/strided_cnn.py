"""A quick convolutional network with batch normalisation, for benchmarks on a CPU."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from autobalance.models.initial import initialise

_STRIDES = 3


class StridedCNN(nn.Module):
    """Three 3 × 3 convolutions of stride 2, each with batch normalisation, then a linear layer.

    It depends on batch statistics as a ResNet does, at a fraction of the cost, because the maps
    are small before they become wide (``python -m benchmarks.training_speed`` times both). For
    colour images of 32 × 32 and 10 classes it has 33,946 parameters.

    Parameters
    ----------
    n_classes
        K.
    in_channels
        3 for colour images (default, as CIFAR's are), 1 for grey ones.
    image_size
        Height and width of the images, CIFAR's by default. They are fixed because the linear layer
        sees every place of the last maps.
    width
        Channels of the first convolution; the others have twice and four times as many. 16 by
        default, as a CIFAR ResNet has.
    """

    def __init__(
        self,
        n_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] = (32, 32),
        width: int = 16,
    ) -> None:
        super().__init__()
        widths = (in_channels, width, 2 * width, 4 * width)
        self.blocks = nn.Sequential(*(_block(*pair) for pair in pairwise(widths)))
        rows, columns = (-(-size // 2**_STRIDES) for size in image_size)  # a stride rounds up
        self.head = nn.Linear(widths[-1] * rows * columns, n_classes)
        initialise(self)

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of a batch."""
        logits: Tensor = self.head(self.blocks(images).flatten(1))
        return logits


def _block(before: int, width: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
