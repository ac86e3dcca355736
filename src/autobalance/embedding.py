"""Features of images, by a network that is used as it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from autobalance.data.images.decoding import fit_to_size
from autobalance.data.images.sources import ImageSource
from autobalance.errors import DataError
from autobalance.models.imported import told

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_RESIZED, _CROPPED = 256, 224


def embed(
    images: ImageSource,
    network: nn.Module,
    *,
    size: int = 224,
    batch_size: int = 64,
    device: torch.device,
    progress: Callable[[float], None] = lambda share: None,
) -> Float[ndarray, "N D"]:
    """The outputs of a network for images, prepared as is usual for networks of ImageNet.

    The shorter side of an image is resized to 8/7 of the size, and the middle is cut out. Channels
    are standardised by the mean and deviation of ImageNet, or by those that timm notes in its
    network; grey images get three equal ones. No more than a batch of images is decoded at a time,
    on all cores.

    Parameters
    ----------
    images
        N of any sizes, at least one.
    network
        From images (n, 3, size, size) to features (n, D). It is moved to the device and put into
        evaluation mode.
    size
        Height and width that the network sees: 224 by default, as most were trained on.
    batch_size
        Images at a time. It changes no feature, but for rounding.
    device
        Where the network computes, in float32.
    progress
        Hears the share in [0, 1] that is done.

    Returns
    -------
    ndarray
        Shape (N, D), float32.

    Raises
    ------
    DataError
        If there is no image or one cannot be read, the size or the batch size is below 1, or the
        network fails or gives anything but one row of finite features an image.
    """
    for noun, value in (("image size", size), ("batch size", batch_size)):
        if value < 1:
            raise DataError(f"the {noun} is {value}; use a whole number of at least 1")
    if not len(images):
        raise DataError("there is no image to embed; check the data set")
    network = network.to(device).eval()
    mean, std = (values.to(device)[:, None, None] for values in _mean_and_deviation(network))
    whole = np.empty((0, 0), dtype=np.float32)
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(images), batch_size):
            progress(first / len(images))
            rows = range(first, min(first + batch_size, len(images)))
            pixels = np.stack(list(pool.map(lambda row: _prepared(images[row], size), rows)))
            batch = torch.from_numpy(pixels).to(device).float() / 255
            features = _features(network, (batch - mean) / std, first).numpy()
            if not first:
                whole = np.empty((len(images), features.shape[1]), dtype=np.float32)
            elif features.shape[1] != whole.shape[1]:
                raise DataError(
                    f"the backbone gives {whole.shape[1]} features for some images and "
                    f"{features.shape[1]} for others; let it give as many for all"
                )
            whole[first : first + len(features)] = features
    return whole


def _mean_and_deviation(network: nn.Module) -> list[Float[Tensor, "3"]]:
    noted = getattr(network, "pretrained_cfg", {})
    return [
        torch.tensor(noted.get(name, usual), dtype=torch.float32)
        for name, usual in _IMAGENET.items()
    ]


def _prepared(image: UInt8[ndarray, "C H W"], size: int) -> UInt8[ndarray, "3 {size} {size}"]:
    """The middle of an image, in colours."""
    resized = round(size * _RESIZED / _CROPPED)
    cut = (resized - size) // 2
    whole = fit_to_size(image, (resized, resized))
    return np.broadcast_to(whole[:, cut : cut + size, cut : cut + size], (3, size, size))


@torch.no_grad()
def _features(
    network: nn.Module, batch: Float[Tensor, "N 3 H W"], first: int
) -> Float[Tensor, "N D"]:
    """In float32 on the CPU; ``first`` is the position of the first image, for errors."""
    shape = tuple(batch.shape)
    try:
        features = network(batch)
    except Exception as error:
        raise DataError(
            f"the backbone fails on images of shape {shape} ({told(error)}); give the --image-size "
            "that it takes, a smaller --batch-size, or correct its code"
        ) from error
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(batch):
        given = (
            f"a tensor of shape {tuple(features.shape)}"
            if isinstance(features, Tensor)
            else f"a value of type {type(features).__name__}"
        )
        raise DataError(
            f"the backbone gives {given} for images of shape {shape}; let it return features of "
            "shape (N, D), as by averaging maps over their places"
        )
    features = features.float().cpu()
    finite = features.isfinite().all(1)
    if not finite.all():
        position = first + int(finite.logical_not().nonzero()[0])
        raise DataError(
            f"the backbone gives features that are not finite for image {position}; check its "
            "weights"
        )
    return features
