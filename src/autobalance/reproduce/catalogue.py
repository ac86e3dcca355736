"""Every reproduction by its name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autobalance.data.wording import listing
from autobalance.errors import DataError
from autobalance.reproduce.groups import figure5
from autobalance.reproduce.groups import tables as groups
from autobalance.reproduce.images import cost, figure3, figure4, transfer
from autobalance.reproduce.images import tables as images
from autobalance.reproduce.request import Reproduction
from autobalance.reproduce.theory import figure2, lemma1, lemma2, theorem1

ALL = "all"

CATALOGUE: Mapping[str, Reproduction] = MappingProxyType(
    {
        each.name: each
        for each in (
            images.TABLE1,
            images.TABLE2,
            groups.TABLE3,
            images.TABLE4,
            groups.TABLE5,
            figure2.REPRODUCTION,
            figure3.REPRODUCTION,
            figure4.REPRODUCTION,
            figure5.REPRODUCTION,
            transfer.REPRODUCTION,
            cost.REPRODUCTION,
            lemma1.REPRODUCTION,
            lemma2.REPRODUCTION,
            theorem1.REPRODUCTION,
        )
    }
)
"""In the order in which ``all`` makes them."""


def reproduction(name: str) -> Reproduction:
    """The reproduction of a name.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in CATALOGUE:
        raise DataError(
            f"there is no reproduction {name!r}; choose among {listing([*CATALOGUE, ALL], 30)}"
        )
    return CATALOGUE[name]
