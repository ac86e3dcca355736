"""What a search optimises: blends of cell risks, and their twins in error rates.

From the risk L[k, j] of each (class, group) cell, the mean loss over its examples, come

========================  ==================================================================
``error``                 Σ π[k, j] L[k, j], the plain mean over examples
``balanced``              mean over classes of the class risk L[k] = Σ_j π[j | k] L[k, j]
``group-balanced``        mean over the cells
``worst-class``           max_k L[k]
``worst-group``           max over the cells
``equal-opportunity``     max_j L[+, j] − min_j L[+, j] for the positive class +
``equalized-odds``        Σ_k (max_j L[k, j] − min_j L[k, j]), for two groups eq. 4.1 of the paper
========================  ==================================================================

and any weighted sum, written ``0.1*error+0.9*equalized-odds`` (R objectives, appendix C). Searching
uses cross-entropy as the loss; reporting uses the same formulas on error rates.

Where errors of different kinds cost differently there is ``cost``, the mean over examples of what
their decisions cost (:mod:`autobalance.costs`). It stands alone: costs have a unit of their own.
"""

from autobalance.objectives.bound import DEFAULT_SHARPNESS, BoundObjective, smooth_maximum
from autobalance.objectives.names import COST, OBJECTIVES
from autobalance.objectives.objective import Objective, positive_label

__all__ = [
    "COST",
    "DEFAULT_SHARPNESS",
    "OBJECTIVES",
    "BoundObjective",
    "Objective",
    "positive_label",
    "smooth_maximum",
]
