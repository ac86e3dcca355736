"""A small convolutional network, for tests and for benchmarks that must be quick on a CPU."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from autobalance.models.initial import initialise


class SmallCNN(nn.Module):
    """Three 3 × 3 convolutions of 16, 32 and 32 channels, then a linear layer.

    The first two have stride 2, which is faster on a CPU than pooling. There is no batch
    normalisation, so that the logits of an example depend on that example alone. For grey 28 × 28
    images and 10 classes it has 29,738 parameters.

    Parameters
    ----------
    n_classes
        K.
    in_channels
        1 for grey images (default, as Fashion-MNIST's are), 3 for colour ones.
    image_size
        Height and width of the images, MNIST's and Fashion-MNIST's by default. They are fixed
        because the linear layer sees every place of the last maps: a network as small as this one
        tells less from their average.
    """

    def __init__(
        self, n_classes: int, in_channels: int = 1, image_size: tuple[int, int] = (28, 28)
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        height, width = (-(-size // 4) for size in image_size)  # each stride halves, rounding up
        self.head = nn.Linear(32 * height * width, n_classes)
        initialise(self)

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """Logits of a batch."""
        logits: Tensor = self.head(self.body(images))
        return logits
