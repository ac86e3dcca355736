"""The operations that a policy is made of: those of AutoAugment on images, and a ball on vectors.

Each takes a batch and one strength for each example, and is differentiable in the strength. The
images' are kornia's. Those that move pixels by whole levels, posterise and solarise, are
interpolated between the two levels that the strength lies between. Where an operation gives images
no gradient, as a table of levels does, the gradient passes straight through (Bengio, Léonard and
Courville, "Estimating or propagating gradients through stochastic neurons", 2013).

The space is that of Cubuk et al., "AutoAugment: Learning augmentation policies from data", CVPR
2019, table 6, with its magnitudes' ranges, but without its two operations that mix or erase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType, ModuleType

import torch
from jaxtyping import Float
from torch import Tensor

from autobalance.errors import DataError, DesignError

Apply = Callable[[Tensor, Tensor], Tensor]
"""From examples and their strengths to examples."""
Amounts = Callable[[int, tuple[int, ...], torch.Generator | None], Tensor]
"""From a number of examples, the shape of one, and a generator to a draw for each, in float64."""

IMAGES, VECTORS = "images", "vectors"
_COLOURS = 3
_SOLARIZE_LEVELS = 16


def either_way(
    n: int, shape: tuple[int, ...], generator: torch.Generator | None
) -> Float[Tensor, "{n}"]:
    """Uniform from −1 to 1."""
    return 2 * one_way(n, shape, generator) - 1


def one_way(
    n: int, shape: tuple[int, ...], generator: torch.Generator | None
) -> Float[Tensor, "{n}"]:
    """Uniform from 0 to 1."""
    return torch.rand(n, dtype=torch.float64, generator=generator)


def in_unit_ball(
    n: int, shape: tuple[int, ...], generator: torch.Generator | None
) -> Float[Tensor, "{n} D"]:
    """Uniform in the unit ball: a normal direction, at a radius U^(1/D)."""
    direction = torch.randn(n, *shape, dtype=torch.float64, generator=generator)
    radius = torch.rand(n, 1, dtype=torch.float64, generator=generator) ** (1 / shape[0])
    offsets: Tensor = direction * (radius / direction.norm(dim=1, keepdim=True))
    return offsets


@dataclass(frozen=True)
class Operation:
    """One kind of change; its strength is the magnitude times a draw.

    Parameters
    ----------
    name
        In designs and on the command line.
    apply
        From examples and strengths to examples. Images are in [0, 1].
    largest
        The largest magnitude, infinite if there is none such; 0 for an operation without magnitude.
    wording
        What it does, with a place for the magnitude times ``unit``.
    unit
        See ``wording``.
    amounts
        The draw.
    takes
        ``"images"`` or ``"vectors"``.
    channels
        How many the images must have; ``None`` for any number.
    smallest
        Pixels that height and width of the images must have.
    """

    name: str
    apply: Apply
    largest: float
    wording: str
    unit: float = 1.0
    amounts: Amounts = either_way
    takes: str = IMAGES
    channels: int | None = None
    smallest: int = 1

    def described(self, magnitude: float) -> str:
        """What it does at a magnitude, in words."""
        return self.wording.format(magnitude * self.unit)

    def check(self, inputs: Tensor) -> None:
        """Refuse examples that it cannot take.

        Raises
        ------
        DataError
            If they are no images or no vectors, or have the wrong number of channels.
        """
        shape = tuple(inputs.shape)
        dimensions, wanted = {IMAGES: (4, "(N, C, H, W)"), VECTORS: (2, "(N, D)")}[self.takes]
        if inputs.ndim != dimensions:
            raise DataError(
                f"{self.name} changes {self.takes}, and the inputs have shape {shape}; give a "
                f"tensor of shape {wanted}, or another policy"
            )
        if self.channels is not None and shape[1] != self.channels:
            raise DataError(
                f"{self.name} needs images of {self.channels} channels, and these have {shape[1]}; "
                "leave it out of the policy"
            )
        if self.takes == IMAGES and min(shape[2:]) < self.smallest:
            raise DataError(
                f"{self.name} needs images of at least {self.smallest} × {self.smallest} pixels, "
                f"and these are {shape[2]} × {shape[3]}; leave it out of the policy"
            )


def kornia_modules() -> tuple[ModuleType, ModuleType]:
    """``kornia.enhance`` and ``kornia.geometry.transform``, imported when they are needed.

    Raises
    ------
    DataError
        If kornia is not installed.
    """
    try:
        from kornia import enhance
        from kornia.geometry import transform
    except ImportError as error:
        raise DataError(
            "augmentation policies on images need kornia; install it with pip install "
            '"autobalance[augment]"'
        ) from error
    return enhance, transform


def _rotate(images: Tensor, degrees: Tensor) -> Tensor:
    rotated: Tensor = kornia_modules()[1].rotate(images, degrees)
    return rotated


def _shear(images: Tensor, slope: Tensor, axis: int) -> Tensor:
    sheared: Tensor = kornia_modules()[1].shear(images, _along(slope, axis))
    return sheared


def _translate(images: Tensor, share: Tensor, axis: int) -> Tensor:
    pixels = share * images.shape[3 - axis]
    moved: Tensor = kornia_modules()[1].translate(images, _along(pixels, axis))
    return moved


def _along(values: Tensor, axis: int) -> Tensor:
    parts = [torch.zeros_like(values), torch.zeros_like(values)]
    parts[axis] = values
    return torch.stack(parts, 1)


def _enhanced(images: Tensor, strength: Tensor, function: str) -> Tensor:
    """Kornia's enhancement by a factor, which is 1 for the image as it is."""
    changed: Tensor = getattr(kornia_modules()[0], function)(images, 1 + strength)
    return changed.clamp(0, 1)


def _posterize(images: Tensor, dropped: Tensor) -> Tensor:
    enhance = kornia_modules()[0]

    def keeping(level: Tensor) -> Tensor:
        return _straight_through(images, lambda x: enhance.posterize(x, 8 - level.long()))

    return _between_levels(keeping, dropped, 8)


def _solarize(images: Tensor, share: Tensor) -> Tensor:
    enhance = kornia_modules()[0]

    def above(level: Tensor) -> Tensor:
        # at level 0 beyond the brightest pixel, which leaves the image as it is
        threshold = torch.where(level > 0, 1 - level / _SOLARIZE_LEVELS, 2.0)
        solarized: Tensor = enhance.solarize(images, threshold.to(images))
        return solarized

    return _between_levels(above, share * _SOLARIZE_LEVELS, _SOLARIZE_LEVELS)


def _between_levels(at: Callable[[Tensor], Tensor], strength: Tensor, most: int) -> Tensor:
    """Between the images at the whole levels below and above a strength."""
    below = strength.detach().floor().clamp(0, most - 1)
    share = (strength - below)[:, None, None, None]
    return torch.lerp(at(below), at(below + 1), share)


def _equalize(images: Tensor, _: Tensor) -> Tensor:
    return _straight_through(images, kornia_modules()[0].equalize)


def _invert(images: Tensor, _: Tensor) -> Tensor:
    return 1 - images


def _autocontrast(images: Tensor, _: Tensor) -> Tensor:
    stretched: Tensor = kornia_modules()[0].normalize_min_max(images)
    flat = images.amax((2, 3), keepdim=True) == images.amin((2, 3), keepdim=True)
    return torch.where(flat, images, stretched)


def _straight_through(images: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    changed = function(images.detach())
    return changed + (images - images.detach())


def _move(vectors: Tensor, offsets: Tensor) -> Tensor:
    return vectors + offsets


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        each.name: each
        for each in (
            Operation("shear-x", partial(_shear, axis=0), 0.3, "shear along x by up to {:.2f}"),
            Operation("shear-y", partial(_shear, axis=1), 0.3, "shear along y by up to {:.2f}"),
            Operation(
                "translate-x",
                partial(_translate, axis=0),
                0.45,
                "shift sideways by up to {:.0f}% of the width",
                100.0,
            ),
            Operation(
                "translate-y",
                partial(_translate, axis=1),
                0.45,
                "shift up or down by up to {:.0f}% of the height",
                100.0,
            ),
            Operation("rotate", _rotate, 30.0, "rotate by up to {:.0f}°"),
            Operation(
                "brightness",
                partial(_enhanced, function="adjust_brightness_accumulative"),
                0.9,
                "change brightness by up to {:.0f}%",
                100.0,
            ),
            Operation(
                "contrast",
                partial(_enhanced, function="adjust_contrast_with_mean_subtraction"),
                0.9,
                "change contrast by up to {:.0f}%",
                100.0,
            ),
            Operation(
                "saturation",
                partial(_enhanced, function="adjust_saturation_with_gray_subtraction"),
                0.9,
                "change saturation by up to {:.0f}%",
                100.0,
                channels=_COLOURS,
            ),
            Operation(
                "sharpness",
                partial(_enhanced, function="sharpness"),
                0.9,
                "change sharpness by up to {:.0f}%",
                100.0,
                smallest=3,
            ),
            Operation(
                "posterize", _posterize, 4.0, "posterise, up to {:.1f} bits fewer", amounts=one_way
            ),
            Operation(
                "solarize",
                _solarize,
                1.0,
                "solarise the brightest, up to {:.0f}% of the range",
                100.0,
                amounts=one_way,
            ),
            Operation("autocontrast", _autocontrast, 0.0, "stretch the contrast"),
            Operation("equalize", _equalize, 0.0, "equalise the histogram"),
            Operation("invert", _invert, 0.0, "invert"),
            Operation(
                "ball",
                _move,
                math.inf,
                "move within a ball of radius {:.3g}",
                amounts=in_unit_ball,
                takes=VECTORS,
            ),
        )
    }
)
"""By their names."""


def operation(name: str) -> Operation:
    """The operation of a name.

    Raises
    ------
    DesignError
        If there is none.
    """
    if name not in OPERATIONS:
        raise DesignError(f"there is no operation {name!r}; use {', '.join(OPERATIONS)}")
    return OPERATIONS[name]
