"""LDAM with deferred re-weighting: margins for rare classes, outside the parametric family."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor, nn

from autobalance.counts import Counts
from autobalance.errors import DesignError
from autobalance.losses._checks import check_class_batch
from autobalance.losses.presets import class_balanced


class LDAMLoss(nn.Module):
    r"""Cross-entropy with a margin that is the larger, the rarer the class.

    With logits :math:`z \in R^K`, class :math:`y` and :math:`n_k` examples of class k the loss of
    one example is

    .. math:: -w_y \log \frac{e^{s (z_y - m_y)}}{e^{s (z_y - m_y)} + \sum_{k \ne y} e^{s z_k}},
        \qquad m_k = C / n_k^{1/4}

    (Cao, Wei, Gaidon, Arechiga and Ma, "Learning imbalanced datasets with label-distribution-aware
    margin loss", NeurIPS 2019, section 3.2), with C such that the largest margin is
    ``max_margin``, and the mean over a batch divides by the sum of its :math:`w_y`, as in the
    authors' code. It is made for cosines as logits: give the network a head of that kind by
    :func:`~autobalance.models.normalised.with_normalised_head`. **At inference the plain logits
    decide.**

    The weights w are 1 at first. From a share of the epochs on they are
    :func:`~autobalance.losses.presets.class_balanced`'s (LDAM-DRW, Algorithm 1 of the paper).

    Parameters
    ----------
    counts
        Training examples per class; groups are summed over.
    max_margin
        Margin of the rarest class, 0.5 in the paper.
    scale
        s, 30 in the authors' code: cosines are too small for a softmax.
    beta
        Of the effective numbers; 0 never weights.
    deferred
        Share of the epochs that are trained before the weights come, 0.8 as the authors' 160 of
        200; 1 never weights.

    Attributes
    ----------
    margins, weight, deferred_weight
        m, w in this epoch, and w in the last ones; shape (K,).

    Raises
    ------
    DesignError
        If an option is out of its range.
    """

    margins: Float[Tensor, " K"]
    weight: Float[Tensor, " K"]
    deferred_weight: Float[Tensor, " K"]

    def __init__(
        self,
        counts: Counts,
        *,
        max_margin: float = 0.5,
        scale: float = 30.0,
        beta: float = 0.9999,
        deferred: float = 0.8,
    ) -> None:
        super().__init__()
        if not 0 <= max_margin < math.inf:
            raise DesignError(f"max_margin is {max_margin}; it must be finite and not negative")
        if not 0 < scale < math.inf:
            raise DesignError(f"scale is {scale}; it must be finite and positive")
        if not 0 <= deferred <= 1:
            raise DesignError(f"deferred is {deferred}; it must be a share from 0 to 1")
        self.scale, self.deferred = scale, deferred
        rarity = torch.from_numpy(counts.per_class**-0.25)
        self.register_buffer("margins", (max_margin * rarity / rarity.max()).float())
        self.register_buffer("weight", torch.ones(len(rarity)))
        balanced = torch.from_numpy(class_balanced(counts, beta).weight[:, 0].copy())
        self.register_buffer("deferred_weight", balanced.float())

    def start_epoch(self, number: int, epochs: int) -> None:
        """Set the weights of epoch ``number`` (from 1) of so many."""
        if number > self.deferred * epochs:
            self.weight.copy_(self.deferred_weight)
        else:
            self.weight.fill_(1.0)

    def forward(
        self,
        logits: Float[Tensor, "N K"],
        targets: Integer[Tensor, "N"],
        groups: Integer[Tensor, "N"] | None = None,
    ) -> Float[Tensor, ""]:
        """Compute the mean loss of a batch, in float32 at least.

        Parameters
        ----------
        logits
            Shape (N, K), cosines for what the paper describes.
        targets
            Class codes, shape (N,).
        groups
            Not looked at: the margins are of classes.

        Raises
        ------
        DataError
            If the logits are of another number of classes, or there is not one code for each.
        """
        check_class_batch(logits, targets, len(self.margins))
        z = logits.to(torch.promote_types(logits.dtype, self.margins.dtype))
        codes = targets.long()
        own = codes[:, None] == torch.arange(z.shape[1], device=z.device)
        return F.cross_entropy(self.scale * (z - self.margins * own), codes, self.weight.to(z))

    def extra_repr(self) -> str:
        """Options, for ``print``."""
        return f"scale={self.scale}, deferred={self.deferred}"
