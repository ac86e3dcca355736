"""SearchSpace: from a short vector α to the values of a loss, and back to a design.

α = 0 is the starting design. Each searched parameter has a dictionary D (section 2.2) and

- ``weight``: w = exp(log w₀ + D α), scaled to mean 1 over the training examples, Σ π w = 1. Without
  the scaling w would also change the learning rate; its chain-rule term comes with autograd.
- ``additive``: l = l₀ + D α minus its mean over the classes, a direction that changes nothing.
- ``emphasis``: log w and l move together, both by D α, with the scaling and centring above. Where a
  model can express the classes' odds, its decision is argmax of p(y|x) w e^(−l), which stays: only
  how much of the model each class gets changes. From logit adjustment to inverse frequencies as
  weights, the line α = log π · s joins losses that are all Fisher-consistent for the balanced error
  (Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, Theorem 1, whose δ is e^l).
- ``multiplicative``: δ = δ₀ exp(D α − mean), so that the geometric mean over the cells stays: a
  uniform δ is only a ridge rescaling plus a temperature. ``parametrisation="sigmoid"`` is the
  paper's δ = σ(Δ) in (0, 1); there plain cross-entropy lies at infinity, so the start is taken at
  half the scale, δ₀ / (2 max δ₀), which is the same loss up to that rescaling.
- ``ridge``: μ = exp(log μ₀ + α).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from autobalance.augmentation.policy import Policy
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.dictionary import Dictionary, choose_dictionary, make_dictionary
from autobalance.errors import DesignError
from autobalance.labels import label_text
from autobalance.policy_space import (
    POLICY_BOUND,
    POLICY_PARAMETERS,
    PolicySpace,
    searched_in,
)
from autobalance.rows import cell_names

LOSS_PARAMETERS = ("weight", "emphasis", "additive", "multiplicative")
PARAMETERS = (*LOSS_PARAMETERS, *POLICY_PARAMETERS, "ridge")
PARAMETRISATIONS = ("exp", "sigmoid")
RIDGE_BOUNDS = (1e-5, 1e2)
"""Range of the searched ridge, on standardised features and the mean loss."""
RIDGE_FLOOR = 1e-6
"""Smallest ridge in use: separable data has no finite optimum without one."""
_BOUNDS = {"weight": 5.0, "emphasis": 5.0, "additive": 8.0, "multiplicative": 1.5}
"""Largest searched |log w|, |l| and |Δ| from the start; along log π the bound is on its slope."""
_SLOPE_BOUND = 3.0
# values by class followed the noise of the held-out examples
_ONE_SLOPE = "one slope joins all losses consistent for the balanced error"
_ONE_LOGIT = "one δ for both classes, which share a logit"
_POLICY_LINE = "the policy follows a line along log frequency"


@dataclass(frozen=True)
class LossValues:
    """The loss at one α as differentiable tensors (float64, CPU).

    ``policy`` holds probabilities and magnitudes of the augmentation, where the design has one.
    """

    weight: Float[Tensor, "K G"]
    additive: Float[Tensor, "K G"]
    multiplicative: Float[Tensor, "K G"]
    ridge: Float[Tensor, ""]
    policy: tuple[Float[Tensor, "K G S L"], ...] = ()

    def detached(self) -> LossValues:
        """The same values without their graph."""
        return LossValues(
            self.weight.detach(),
            self.additive.detach(),
            self.multiplicative.detach(),
            self.ridge.detach(),
            tuple(values.detach() for values in self.policy),
        )


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """What is searched, from where, and how finely. Build it with :meth:`build`."""

    start: LossDesign
    dictionaries: Mapping[str, Dictionary]
    search_ridge: bool
    parametrisation: str = "exp"
    policy: PolicySpace | None = None

    @classmethod
    def build(
        cls,
        start: LossDesign,
        parameters: Sequence[str] = ("weight", "additive", "multiplicative", "ridge"),
        dictionary: str | Mapping[str, str] = "auto",
        parametrisation: str = "exp",
        held_out_share: float = 1.0,
        examples: Float[ndarray, "K G"] | None = None,
        one_logit: bool = False,
    ) -> SearchSpace:
        """Make a search space around ``start``.

        Parameters
        ----------
        start
            The design at α = 0: a preset or any saved design. A ridge below 1e-6 counts as 1e-6.
        parameters
            Any subset of weight, emphasis, additive, multiplicative, probability, magnitude, ridge,
            but one of weight and emphasis at most; the others keep their start. Probability and
            magnitude are those of the start's augmentation policy.
        dictionary
            A name from :mod:`autobalance.dictionary`, one per parameter, or ``"auto"``: for
            emphasis one slope along log π, for a policy a line along it, for the others the finest
            that the held-out examples can carry (but see ``one_logit``).
        parametrisation
            ``"exp"`` (default, can start at plain cross-entropy) or ``"sigmoid"`` (the paper's).
        held_out_share
            Share of the examples that validate at some point, for ``"auto"``.
        examples
            Examples per cell, for ``"auto"``, where the counts of the start are sums of weights.
        one_logit
            Whether one logit decides between the two classes, as in
            :class:`~autobalance.losses.binary.ParametricBinaryCrossEntropy`. Only one of their δ
            acts then, so ``"auto"`` gives both the same.

        Raises
        ------
        DesignError
            If a name is unknown, nothing is searched, or the start has no ridge.
        """
        unknown = [name for name in parameters if name not in PARAMETERS]
        if unknown or not parameters or len(set(parameters)) < len(parameters):
            raise DesignError(
                f"cannot search {list(parameters)}; choose distinct names from "
                f"{', '.join(PARAMETERS)}"
            )
        if {"weight", "emphasis"} <= set(parameters):
            raise DesignError(
                "emphasis moves weight and additive together, so weight beside it is one too many; "
                "search emphasis with additive, or weight with additive"
            )
        if parametrisation not in PARAMETRISATIONS:
            raise DesignError(f"parametrisation {parametrisation!r} is not 'exp' or 'sigmoid'")
        if start.ridge is None:
            raise DesignError("the starting design has no ridge; set one, such as 0.01")
        start = replace(start, ridge=max(start.ridge, RIDGE_FLOOR))
        of_loss, of_policy = (
            [n for n in LOSS_PARAMETERS if n in parameters],
            searched_in(parameters),
        )
        if of_policy and start.policy is None:
            raise DesignError(
                f"{of_policy[0]} is that of an augmentation policy, and the starting design has "
                "none; give it one with replace(design, policy=...), or search the loss alone"
            )
        kinds = of_loss + of_policy
        names = dict.fromkeys(kinds, dictionary) if isinstance(dictionary, str) else dictionary
        surplus = [name for name in names if name not in kinds]
        if surplus:
            raise DesignError(
                f"a dictionary is named for {surplus[0]!r}, which is not a searched parameter of "
                f"the loss; those are {', '.join(kinds) or 'none'}"
            )
        missing = [name for name in kinds if name not in names]
        if missing:
            raise DesignError(f"no dictionary is named for {missing[0]!r}; name one, or 'auto'")
        others = {"emphasis", "multiplicative"} if one_logit else {"emphasis"}
        vectors = len(set(of_loss) - others)
        finest = choose_dictionary(start.counts, vectors, held_out_share, examples)
        automatic = dict.fromkeys(kinds, finest) | {
            "emphasis": _along_frequency(start.counts, "log-prior", _ONE_SLOPE),
            **dict.fromkeys(of_policy, _along_frequency(start.counts, "line", _POLICY_LINE)),
        }
        if one_logit:
            group = make_dictionary("group", start.counts)
            automatic["multiplicative"] = replace(group, reason=_ONE_LOGIT)
        dictionaries = {
            name: automatic[name]
            if names[name] == "auto"
            else make_dictionary(names[name], start.counts)
            for name in kinds
        }
        policy = None
        if start.policy is not None:
            policy = PolicySpace(start.policy, {name: dictionaries.pop(name) for name in of_policy})
        return cls(start, dictionaries, "ridge" in parameters, parametrisation, policy)

    @property
    def counts(self) -> Counts:
        """The training counts behind the design."""
        return self.start.counts

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the searched parameters, in the order of their places in α."""
        return tuple(self.sizes)

    @cached_property
    def all_dictionaries(self) -> Mapping[str, Dictionary]:
        """Of the loss and then of the policy."""
        return {**self.dictionaries, **(self.policy.dictionaries if self.policy else {})}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Entries of α for each searched parameter, in their order."""
        sizes = {name: dictionary.size for name, dictionary in self.dictionaries.items()}
        if self.policy is not None:
            sizes |= {name: self.policy.size(name) for name in self.policy.dictionaries}
        return sizes | ({"ridge": 1} if self.search_ridge else {})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each entry of α, such as ``additive[cat]`` or ``weight[3]``."""
        names: list[str] = []
        for parameter, size in self.sizes.items():
            dictionary = self.dictionaries.get(parameter)
            kind = "" if dictionary is None else dictionary.name
            if size == 1:
                names.append(parameter)
            elif kind == "class":
                names += [f"{parameter}[{label_text(label)}]" for label in self.counts.classes]
            elif kind == "cell":
                names += cell_names(parameter, self.counts)
            else:
                names += [f"{parameter}[{number}]" for number in range(1, size + 1)]
        return tuple(names)

    @property
    def n_loss_values(self) -> int:
        """How many entries of α shape loss and policy; the ridge, if searched, comes after them."""
        return sum(size for name, size in self.sizes.items() if name != "ridge")

    @cached_property
    def degrees_of_freedom(self) -> int:
        """How many independent directions the loss can move in.

        Weights have mean 1, adjustments sum to 0 over the classes and δ keeps its geometric mean
        (not under the sigmoid), so that a full dictionary of P columns moves in P − 1 directions
        (P − G for adjustments by cell).
        """
        K, G = self.counts.values.shape
        total = 0
        for name, dictionary in self.dictionaries.items():
            if name == "additive":
                removed = np.tile(np.eye(G), (K, 1))
            elif name == "multiplicative" and self.parametrisation == "sigmoid":
                removed = np.zeros((K * G, 0))
            else:
                removed = np.ones((K * G, 1))
            total += dictionary.rank_without(removed)
        return total

    @property
    def dimension(self) -> int:
        """Length of α."""
        return self.n_loss_values + self.search_ridge

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Lower and upper bound of each entry of α."""
        bounds: list[tuple[float, float]] = []
        for name, dictionary in self.dictionaries.items():
            limit = _SLOPE_BOUND if dictionary.name.endswith("log-prior") else _BOUNDS[name]
            bounds += [(-limit, limit)] * dictionary.size
        if self.policy is not None:
            for name in self.policy.dictionaries:
                bounds += [(-POLICY_BOUND, POLICY_BOUND)] * self.sizes[name]
        if self.search_ridge:
            ridge = float(self.start.ridge or 0.0)
            low, high = (float(np.log(bound / ridge)) for bound in RIDGE_BOUNDS)
            bounds.append((min(low, 0.0), max(high, 0.0)))
        return bounds

    def decode(self, alpha: Float[Tensor, "A"]) -> LossValues:
        """The loss at α, differentiable in α (float64)."""
        shape = self.counts.values.shape
        frequencies = torch.from_numpy(self.counts.frequencies.copy())
        log_weight = torch.from_numpy(np.log(self.start.weight))
        additive = torch.from_numpy(self.start.additive.copy())
        multiplicative = torch.from_numpy(self.start.multiplicative.copy())
        ridge = alpha.new_tensor(self.start.ridge)
        parts = dict(zip(self.sizes, torch.split(alpha, list(self.sizes.values())), strict=True))
        for name, dictionary in self.dictionaries.items():
            change = (dictionary @ parts[name]).reshape(shape)
            if name == "weight":
                log_weight = log_weight + change
            elif name == "emphasis":
                log_weight = log_weight + change
                additive = additive + change - change.mean(0)
            elif name == "additive":
                additive = additive + change - change.mean(0)
            elif self.parametrisation == "exp":
                multiplicative = multiplicative * torch.exp(change - change.mean())
            else:
                start = multiplicative / (2 * multiplicative.max())
                multiplicative = torch.sigmoid(torch.logit(start) + change)
        if self.search_ridge:
            ridge = ridge * torch.exp(parts["ridge"][0])
        weight = torch.exp(log_weight - log_weight.max())
        weight = weight / (frequencies * weight).sum()
        policy = () if self.policy is None else self.policy.decode(parts)
        return LossValues(weight, additive, multiplicative, ridge, policy)

    def design(self, alpha: Float[ndarray, "A"]) -> LossDesign:
        """The design at α, to keep."""
        values = self.decode(torch.from_numpy(np.asarray(alpha, dtype=np.float64)))
        return LossDesign(
            self.counts,
            values.weight.numpy(),
            values.additive.numpy(),
            values.multiplicative.numpy(),
            float(values.ridge),
            policy=self._policy_of(values),
        )

    def _policy_of(self, values: LossValues) -> Policy | None:
        if self.policy is None:
            return None
        probability, magnitude = (each.numpy() for each in values.policy)
        return replace(self.policy.start, probability=probability, magnitude=magnitude)

    def describe(self) -> dict[str, object]:
        """What is searched and why, as plain values for a report."""
        kinds = {dictionary.name for dictionary in self.all_dictionaries.values()}
        reasons = dict.fromkeys(d.reason for d in self.all_dictionaries.values())
        return {
            "parameters": list(self.parameters),
            "dictionary": ", ".join(sorted(kinds)) or "none",
            "dimension": self.dimension,
            "reason": "; ".join(reasons) or "only the ridge is searched",
            "parametrisation": self.parametrisation,
        }


def _along_frequency(counts: Counts, name: str, reason: str) -> Dictionary:
    """By the size of classes, or of cells where there are groups."""
    name = name if counts.n_groups == 1 else f"cell-{name}"
    return replace(make_dictionary(name, counts), reason=reason)
