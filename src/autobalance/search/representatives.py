"""Some rows that stand for all, where what is computed from them only steers.

The preconditioner of a head's Hessian and the metric in which its gradient is measured need not be
exact: conjugate gradients reach the same solution with any preconditioner, and each step reads all
the rows. With many rows a whole Hessian of all of them costs as much as a hundred of these steps.
So of each (class, group) cell that has many rows only some are looked at, evenly spaced, and each
counts for as many as it stands for. A rare cell, which a loss may weigh heavily, is looked at
whole. In the same way some rows go ahead of a search (:mod:`autobalance.search.scout`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Representatives:
    """Rows, ascending, and how many each of them stands for.

    Parameters
    ----------
    row
        Which of the N rows.
    times
        Adds up to N, over all and over each cell.
    """

    row: Int[Tensor, "M"]
    times: Float[Tensor, "M"]

    @classmethod
    def of_cells(cls, cell: Int[Tensor, "N"], most: int) -> Representatives | None:
        """At most so many rows of each cell, or ``None`` if no cell has more."""
        sizes = torch.bincount(cell)
        if int(sizes.max()) <= most:
            return None
        kept = sizes.clamp_max(most)
        ordered = torch.argsort(cell, stable=True)
        of_cell = cell[ordered]
        place = torch.arange(len(cell)) - (torch.cumsum(sizes, 0) - sizes)[of_cell]
        before, after = (
            (place + step) * kept[of_cell] // sizes[of_cell] for step in (0, 1)
        )  # of the kept rows of a cell, those that have been passed
        row = ordered[after > before].sort().values
        return cls(row, (sizes.double() / kept)[cell[row]])

    def within(self, rows: slice) -> tuple[Int[Tensor, "m"], Float[Tensor, "m"]]:
        """Those within a range of rows."""
        first, last = torch.searchsorted(self.row, torch.tensor([rows.start, rows.stop])).tolist()
        return self.row[first:last], self.times[first:last]
