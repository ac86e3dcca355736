"""Risks on validation sets against those of the population, for many models and blends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from autobalance.reproduce.theory.known_world import ball_cover, class_blocks, known_world

RISK = 0.05
"""Share of validation sets that may lie above the bound: 2 exp(−t)."""
SIZES = tuple(200 * 2**power for power in range(7))
COVER = 1024
"""Vectors α."""
DRAWS = 10
"""Validation sets of each size from the world of one seed."""
_INNER = 128
"""Blends λ inside the cube, beside its corners, for which a model is chosen."""


@dataclass(frozen=True)
class Finding:
    """What one dimension h and number of objectives R gave.

    Parameters
    ----------
    dimension, objectives
        h and R.
    deviation
        The supremum over α and λ, for each size of the validation set and each draw.
    excess
        The largest excess risk of the chosen models over λ.
    """

    dimension: int
    objectives: int
    deviation: Float[ndarray, "N S"]
    excess: Float[ndarray, "N S"]

    @property
    def slope(self) -> float:
        """Of the logarithm of the mean deviation against log n."""
        means = np.log(self.deviation.mean(1))
        return float(np.polyfit(np.log(SIZES), means, 1)[0])

    @property
    def scale(self) -> float:
        """The mean deviation times √n."""
        return float((self.deviation.mean(1) * np.sqrt(SIZES)).mean())

    @property
    def share(self) -> float:
        """The largest excess risk as a share of twice the deviation of the same draw."""
        return float((self.excess / (2 * self.deviation)).max())

    @property
    def above_bound(self) -> float:
        """The largest share of draws whose deviation is above (C.2), over the sizes."""
        limits = hoeffding(self.objectives)[:, None]
        return float((self.deviation > limits).mean(1).max())

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """For each size and world what its draws gave, as plain values."""
        for size, deviations, excesses in zip(SIZES, self.deviation, self.excess, strict=True):
            worlds = zip(deviations.reshape(-1, DRAWS), excesses.reshape(-1, DRAWS), strict=True)
            for seed, (deviation, excess) in enumerate(worlds):
                yield {
                    "h": self.dimension,
                    "R": self.objectives,
                    "n": size,
                    "seed": seed,
                    "deviation": float(deviation.mean()),
                    "largest_deviation": float(deviation.max()),
                    "excess": float(excess.mean()),
                    "largest_share": float((excess / (2 * deviation)).max()),
                }


def hoeffding(objectives: int) -> Float[ndarray, "N"]:
    """(C.2) with its constants, for each size: what 95% of the draws stay below."""
    exponent = math.log(COVER) + objectives * math.log(2) + math.log(2 / RISK)
    return np.sqrt(exponent / (2 * np.array(SIZES)))


def blends(objectives: int, random: np.random.Generator) -> Float[ndarray, "L R"]:
    """The corners of the cube but 0, and points inside."""
    corners = np.array(list(product((0.0, 1.0), repeat=objectives)))[1:]
    return np.vstack([corners, random.uniform(size=(_INNER, objectives))])


def find(dimension: int, objectives: int, seeds: int) -> Finding:
    """Draw worlds and validation sets of every size, and compare risks with the population's."""
    parts = [_in_one_world(dimension, objectives, seed) for seed in range(seeds)]
    deviation, excess = (np.concatenate(values, axis=1) for values in zip(*parts, strict=True))
    return Finding(dimension, objectives, deviation, excess)


def _in_one_world(
    dimension: int, objectives: int, seed: int
) -> tuple[Float[ndarray, "N S"], Float[ndarray, "N S"]]:
    """Deviations and excess risks of the draws from the world of one seed."""
    world = known_world(seed)
    random = np.random.default_rng([seed, dimension, objectives])
    losses = world.losses(ball_cover(dimension, COVER))
    member = np.eye(objectives)[class_blocks(objectives)]
    table = np.einsum("amk,kr->mkar", losses, member).reshape(-1, COVER * objectives)
    lambdas = blends(objectives, random)

    def risks(frequencies: Float[ndarray, "S M K"]) -> Float[ndarray, "S A R"]:
        flat = frequencies.reshape(len(frequencies), -1) @ table
        return np.asarray(flat.reshape(-1, COVER, objectives))

    population = risks(world.joint[None])[0]
    deviation, excess = [], []
    for size in SIZES:
        measured = risks(world.validation_sets(size, DRAWS, random))
        deviation.append(largest_deviation(measured - population))
        excess.append([largest_excess(each, population, lambdas) for each in measured])
    return np.array(deviation), np.array(excess)


def largest_deviation(differences: Float[ndarray, "S A R"]) -> Float[ndarray, "S"]:
    """The supremum over α and over all λ of the cube."""
    above = np.maximum(differences, 0).sum(2)
    below = np.maximum(-differences, 0).sum(2)
    return np.asarray(np.maximum(above, below).max(1))


def largest_excess(
    measured: Float[ndarray, "A R"],
    population: Float[ndarray, "A R"],
    lambdas: Float[ndarray, "L R"],
) -> float:
    """How far the chosen models are from the best ones, for the worst λ."""
    chosen = (measured @ lambdas.T).argmin(0)
    true = population @ lambdas.T
    return float((true[chosen, np.arange(len(lambdas))] - true.min(0)).max())
