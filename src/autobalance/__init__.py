"""AutoBalance: design the training loss for imbalanced data, and see what it changed.

>>> from autobalance import AutoBalanceClassifier, LossDesign, ParametricCrossEntropy
"""

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import (
    ArtifactError,
    AutoBalanceError,
    DataError,
    DesignError,
    ObjectiveError,
    SearchError,
)
from autobalance.estimators import AutoBalanceClassifier
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import PRESETS, preset
from autobalance.objectives import OBJECTIVES, Objective
from autobalance.ranks import across_ranks
from autobalance.scoring import objective_error, objective_scorer
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings
from autobalance.training.pipeline import Retrained, search_and_retrain
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings
from autobalance.training.stratified import StratifiedBatchSampler

__version__ = "0.1.0"

__all__ = [
    "OBJECTIVES",
    "PRESETS",
    "ArtifactError",
    "AutoBalanceClassifier",
    "AutoBalanceError",
    "Counts",
    "DataError",
    "DesignError",
    "LossDesign",
    "Objective",
    "ObjectiveError",
    "OnlineSearch",
    "OnlineSettings",
    "ParametricCrossEntropy",
    "Policy",
    "PolicyAugmentation",
    "Retrained",
    "SearchError",
    "SearchPlan",
    "StratifiedBatchSampler",
    "TrainingSettings",
    "across_ranks",
    "objective_error",
    "objective_scorer",
    "preset",
    "search_and_retrain",
]
