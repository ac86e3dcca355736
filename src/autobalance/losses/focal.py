"""Focal loss: examples that are well classified count less, outside the parametric family."""

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


class FocalLoss(nn.Module):
    r"""Cross-entropy that counts an example the less, the surer the model is of its class.

    With :math:`p = \mathrm{softmax}(z)` and class :math:`y` the loss of one example is

    .. math:: -w_y (1 - p_y)^\gamma \log p_y

    (Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV 2017, eq. 5,
    with the softmax of several classes in place of their sigmoid). The weights w are
    :func:`~autobalance.losses.presets.class_balanced`'s, 1 at β = 0; with others it is the
    class-balanced focal loss of Cui, Jia, Lin, Song and Belongie (CVPR 2019, section 4.3). The mean
    over a batch divides by the number of its examples, as in the code of the latter, and not by the
    sum of the w. **At inference the plain logits decide.**

    Parameters
    ----------
    counts
        Training examples per class; groups are summed over.
    gamma
        γ, at least 0: 0 is plain (or class-balanced) cross-entropy, 2 was best in the paper.
    beta
        Of the effective numbers. The default, 0, does not weight; 0.9999 is usual for long tails.

    Attributes
    ----------
    weight
        w, shape (K,), of mean 1 over the training examples.

    Raises
    ------
    DesignError
        If an option is out of its range.
    """

    weight: Float[Tensor, " K"]

    def __init__(self, counts: Counts, *, gamma: float = 2.0, beta: float = 0.0) -> None:
        super().__init__()
        if not 0 <= gamma < math.inf:
            raise DesignError(f"gamma is {gamma}; it must be finite and not negative")
        self.gamma = gamma
        weight = torch.from_numpy(class_balanced(counts, beta).weight[:, 0].copy())
        self.register_buffer("weight", weight.float())

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
            Shape (N, K), unnormalised.
        targets
            Class codes, shape (N,).
        groups
            Not looked at: the weights are of classes.

        Raises
        ------
        DataError
            If the logits are of another number of classes, or there is not one code for each.
        """
        check_class_batch(logits, targets, len(self.weight))
        z = logits.to(torch.promote_types(logits.dtype, self.weight.dtype))
        codes = targets.long()
        surprise = F.cross_entropy(z, codes, reduction="none")  # -log p
        # at p = 1 the slope of (1 - p)^γ is infinite for γ < 1, and that of the loss is 0
        doubt = -torch.expm1(-surprise.clamp_min(torch.finfo(z.dtype).tiny))  # 1 - p
        return (self.weight.to(z)[codes] * doubt**self.gamma * surprise).mean()

    def extra_repr(self) -> str:
        """Options, for ``print``."""
        return f"gamma={self.gamma}"
