"""Policy: for the examples of each (class, group) cell, which operations, how often, how strongly.

A policy is a list of sub-policies, each a short chain of operations; an example gets one of them
at random. Every operation in it has a probability and a magnitude for each cell, so that one policy
for all (MADAO; Hataya et al., "Meta approach to data augmentation optimization", WACV 2022),
policies of clusters and policies of cells (AutoBalance, NeurIPS 2021, eq. 2.2) differ in their
values alone.

Equation 2.2 as printed puts class i's augmentation inside logit i, which would take K passes for an
example; what is meant, and done here, is that an example gets the augmentation of its own class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from autobalance.augmentation.operations import OPERATIONS, Operation, operation
from autobalance.counts import Counts
from autobalance.errors import DesignError
from autobalance.plain import numbers
from autobalance.storage import DAMAGED

_TABLES = ("probability", "magnitude")
SUB_POLICIES: tuple[tuple[str, ...], ...] = (
    ("rotate", "brightness"),
    ("translate-x", "contrast"),
    ("translate-y", "sharpness"),
    ("shear-x", "posterize"),
    ("shear-y", "solarize"),
    ("autocontrast", "equalize"),
    ("saturation", "invert"),
)
"""All operations on images once, where possible one that moves pixels before one that changes them.
Grey images go without the last."""


@dataclass(frozen=True, eq=False)
class Policy:
    """Probabilities and magnitudes of S sub-policies of L operations for each (class, group) cell.

    Parameters
    ----------
    sub_policies
        The names of their operations, the same number in each; see
        :data:`~autobalance.augmentation.operations.OPERATIONS`.
    probability
        Shape (K, G, S, L), from 0 to 1: how often an operation of the drawn sub-policy is applied.
    magnitude
        Shape (K, G, S, L): the largest strength, from 0 to the operation's largest, in its unit
        (degrees, shares, bits, the features' own for a ball); 0 where it has none.

    Raises
    ------
    DesignError
        If there is no such operation, they do not go together, or a value is out of range.
    """

    sub_policies: tuple[tuple[str, ...], ...]
    probability: Float[ndarray, "K G S L"]
    magnitude: Float[ndarray, "K G S L"]

    def __post_init__(self) -> None:
        names = tuple(tuple(each) for each in self.sub_policies)
        object.__setattr__(self, "sub_policies", names)
        _refuse_uneven(names)
        kinds = {each.takes for chain in self.operations for each in chain}
        if len(kinds) > 1:
            raise DesignError(
                "the policy has operations on images and on vectors; give a policy of either"
            )
        for name in _TABLES:
            values = np.array(getattr(self, name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
            if values.ndim != 4 or values.shape[2:] != self.shape or 0 in values.shape:
                raise DesignError(
                    f"{name} has shape {values.shape} but the policy has {self.shape[0]} "
                    f"sub-policies of {self.shape[1]} operations; give (K, G, {self.shape[0]}, "
                    f"{self.shape[1]})"
                )
        if self.probability.shape != self.magnitude.shape:
            raise DesignError(
                f"probability has shape {self.probability.shape} and magnitude "
                f"{self.magnitude.shape}; give both the same cells"
            )
        self._refuse_outside(self.probability, np.ones(self.shape), "probability")
        self._refuse_outside(self.magnitude, self.largest, "magnitude")

    @classmethod
    def uniform(
        cls,
        n_classes: int,
        n_groups: int = 1,
        sub_policies: Sequence[Sequence[str]] = SUB_POLICIES,
        probability: float = 0.3,
        strength: float = 0.3,
    ) -> Policy:
        """The same for all cells.

        Parameters
        ----------
        n_classes, n_groups
            K and G.
        sub_policies
            As above.
        probability
            Of every operation. The defaults are mild: a policy that is not searched gains with them
            where it gains at all (``benchmarks.policy_study``).
        strength
            Magnitudes as a share of the largest, or the magnitude itself where that is infinite.
        """
        names = tuple(tuple(each) for each in sub_policies)
        _refuse_uneven(names)
        largest = np.array([[operation(name).largest for name in chain] for chain in names])
        shape = (n_classes, n_groups, *largest.shape)
        magnitude = strength * np.where(np.isinf(largest), 1.0, largest)
        return cls(names, np.full(shape, probability), np.broadcast_to(magnitude, shape))

    @classmethod
    def ball(cls, radius: Float[ndarray, "K G"] | Sequence[Sequence[float]]) -> Policy:
        """Vectors drawn from a ball around each, of a radius for each cell (Lemma 2)."""
        values = np.asarray(radius, dtype=np.float64)
        if values.ndim != 2:
            raise DesignError(
                f"the radii have shape {values.shape}; give one for each cell, (K, G)"
            )
        magnitude = values[:, :, None, None]
        return cls((("ball",),), np.ones(magnitude.shape), magnitude)

    @property
    def operations(self) -> tuple[tuple[Operation, ...], ...]:
        """The operations of each sub-policy."""
        return tuple(tuple(operation(name) for name in chain) for chain in self.sub_policies)

    @property
    def takes(self) -> str:
        """``"images"`` or ``"vectors"``."""
        return self.operations[0][0].takes

    @property
    def shape(self) -> tuple[int, int]:
        """S and L."""
        return len(self.sub_policies), len(self.sub_policies[0])

    @property
    def cells(self) -> tuple[int, int]:
        """K and G."""
        return self.probability.shape[0], self.probability.shape[1]

    @property
    def largest(self) -> Float[ndarray, "S L"]:
        """The largest magnitude of each operation; 0 where it has none."""
        return np.array([[each.largest for each in chain] for chain in self.operations])

    @property
    def has_magnitude(self) -> Bool[ndarray, "S L"]:
        """Which operations have one."""
        return self.largest > 0

    def to_plain(self) -> dict[str, Any]:
        """As plain values, for a design's JSON."""
        return {
            "sub_policies": [list(chain) for chain in self.sub_policies],
            "probability": self.probability.tolist(),
            "magnitude": self.magnitude.tolist(),
        }

    @classmethod
    def from_plain(cls, entry: Mapping[str, Any]) -> Policy:
        """Read :meth:`to_plain`.

        Raises
        ------
        DesignError
            If a value is missing, of another kind, or refused by the class.
        """
        try:
            names = tuple(tuple(str(name) for name in chain) for chain in entry["sub_policies"])
            tables = [numbers(entry, name) for name in _TABLES]
        except DAMAGED as error:
            raise DesignError(f"the policy is damaged ({error}); restore the file") from error
        return cls(names, *tables)

    def _refuse_outside(
        self, values: Float[ndarray, "K G S L"], largest: Float[ndarray, "S L"], what: str
    ) -> None:
        outside = ~((values >= 0) & (values <= largest) & np.isfinite(values))
        if outside.any():
            k, j, s, place = (int(at) for at in np.argwhere(outside)[0])
            name = self.sub_policies[s][place]
            limit = largest[s, place]
            allowed = "a finite number of at least 0" if np.isinf(limit) else f"0 to {limit:g}"
            raise DesignError(
                f"the {what} of {name} is {values[k, j, s, place]:g} for class {k} in group {j}; "
                f"use {allowed}"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Policy):
            return NotImplemented
        return (
            self.sub_policies == other.sub_policies
            and np.array_equal(self.probability, other.probability)
            and np.array_equal(self.magnitude, other.magnitude)
        )

    __hash__ = None  # type: ignore[assignment]


def _refuse_uneven(names: tuple[tuple[str, ...], ...]) -> None:
    if not names or len({len(each) for each in names}) != 1 or not names[0]:
        raise DesignError(
            f"the sub-policies {names} are not of one length; give each the same number of "
            "operations, at least one"
        )


def policy_for_images(n_classes: int, n_groups: int, channels: int, **options: float) -> Policy:
    """The whole space for images of so many channels: what they cannot take is left out.

    ``options`` are those of :meth:`Policy.uniform`.
    """

    def fits(name: str) -> bool:
        return OPERATIONS[name].channels in (None, channels)

    names = tuple(chain for chain in SUB_POLICIES if all(map(fits, chain)))
    return Policy.uniform(n_classes, n_groups, names, **options)


def policy_by_frequency(
    counts: Counts, channels: int, frequent: float = 0.2, rare: float = 0.6
) -> Policy:
    r"""A closed form: the rarer the cell, the more it is augmented, by the whole space for images.

    Every probability of a cell with n examples, and every strength as a share of the largest, is

    .. math:: f + (r - f) \frac{\log n_{\max} - \log n}{\log n_{\max} - \log n_{\min}},

    f for the most frequent and r for the rarest. Empty cells are as the rarest; where all have the
    same size, the level is f.

    Parameters
    ----------
    counts
        Examples of each cell.
    channels
        Of the images; what they cannot take is left out.
    frequent, rare
        f and r, from 0 to 1. The defaults were the best of a few on training images
        (``benchmarks.policy_study``).

    Raises
    ------
    DesignError
        If f or r is out of range.
    """
    for given in (frequent, rare):
        if not 0 <= given <= 1:
            raise DesignError(f"the level of the policy is {given:g}; use 0 to 1")
    sizes = counts.values
    own = np.log(np.where(sizes > 0, sizes, sizes[sizes > 0].min()))
    fewest, most = own.min(), own.max()
    share = (most - own) / (most - fewest) if most > fewest else np.zeros_like(own)
    level = np.clip(frequent + (rare - frequent) * share, 0, 1)[:, :, None, None]
    whole = policy_for_images(
        counts.n_classes, counts.n_groups, channels, probability=1.0, strength=1.0
    )
    return replace(whole, probability=level * whole.probability, magnitude=level * whole.magnitude)
