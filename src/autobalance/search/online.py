"""Algorithm 1 beside any training loop: the loss is designed while the network trains.

After warm-up, every few optimizer steps, the search takes the hypergradient of the held-out
objective at the network as it is and moves the values of the loss. Where several ranks train the
network, each has its search and calls it with its share of every batch; the held-out loader gives
it its share of those. All of them move alike, as one process would on the whole batches. The loop
stays its owner's::

    loss = ParametricCrossEntropy.from_design(preset("logit-adjustment", counts))
    search = OnlineSearch(model, loss, "balanced", held_out_loader)
    for inputs, targets in train_loader:
        optimizer.zero_grad()
        loss(model(inputs), targets).backward()
        optimizer.step()
        search.step(inputs, targets)
    design = search.design()  # to retrain with, from fresh weights on all the data
"""

from __future__ import annotations

import logging
import math
import warnings
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Integer, Shaped
from torch import Tensor, nn

from autobalance.augmentation.module import PolicyAugmentation
from autobalance.batches import Batch, Inputs, map_tensors
from autobalance.design import LossDesign
from autobalance.errors import DataError, DesignError, SearchError
from autobalance.hypergradient.decisions import LossOfDecisions
from autobalance.hypergradient.estimate import Hypergradient, Record, hypergradient
from autobalance.hypergradient.hessian import Hessian
from autobalance.hypergradient.logit_loss import AutogradLoss, LogitLoss, ParametricLoss
from autobalance.hypergradient.network import Network
from autobalance.hypergradient.tangent import FiniteDifference, ForwardMode, Tangent
from autobalance.hypergradient.validation import check_model
from autobalance.hypergradient.wrappers import ranks_of, unwrap
from autobalance.losses.binary import ParametricBinaryCrossEntropy
from autobalance.losses.parametric import ParametricCrossEntropy, adjusted_cross_entropy
from autobalance.objectives import BoundObjective, Objective
from autobalance.ranks import Ranks
from autobalance.rows import Row, write_rows
from autobalance.search.alpha import (
    MovingAlpha,
    OptimizerFactory,
    ScheduleFactory,
    default_optimizer,
)
from autobalance.search.alpha_step import AlphaStep
from autobalance.search.online_settings import OnlineSettings, network_parameters
from autobalance.search.policy_term import PolicyTerm
from autobalance.search.running_objective import RunningObjective
from autobalance.search.settings import AUTO
from autobalance.search.stream import HeldOutStream
from autobalance.search.weight_decay import WeightDecay
from autobalance.space import RIDGE_FLOOR, SearchSpace

logger = logging.getLogger(__name__)

_TRIED = 8
"""Examples on which a model is tried before the first move."""


class OnlineSearch:
    """The search beside a training loop.

    Parameters
    ----------
    model
        The network that is being trained, in its ``DistributedDataParallel`` if it has one.
    loss
        What it is trained with, made by :meth:`ParametricCrossEntropy.from_design`: its values are
        where the search starts, and the search overwrites them. For a network of one logit per
        decision, binary or of many labels, a
        :class:`~autobalance.losses.binary.ParametricBinaryCrossEntropy`.
    objective
        What should be small on held-out examples, such as ``"balanced"``.
    held_out
        A loader of (inputs, targets) or (inputs, targets, groups), read again and again. Batches
        should show all cells alike: see :class:`~autobalance.training.sampling.StratifiedBatches`.
        A list of one batch is the whole held-out set.
    parameters, dictionary, parametrisation
        What is searched; see :class:`~autobalance.space.SearchSpace`, and
        :func:`~autobalance.search.online_settings.network_parameters` for ``"auto"``. ``ridge`` is
        the weight decay and needs ``trained_by``.
    held_out_share
        Held-out examples for each that the loss's design counts, for the default dictionary.
    settings
        How often and how.
    optimizer
        Makes the optimizer of α from its tensors; by default Adam with ``settings.learning_rate``.
    schedule
        Makes a schedule of that optimizer, stepped after each move; by default the rate stays.
    augmentation
        What changes the training examples, made from the policy of the loss's design: the search
        overwrites its values, too, if it searches them. :meth:`step` is then given the examples as
        they were before it.
    trained_by
        The network's optimizer, for its weight decay, which is part of the curvature (a decoupled
        one, as AdamW's, is taken for that of the loss, which it is to first order with plain
        steps). Where the decay is searched, parameter groups keep their ratios, and what is not
        decayed stays so.

    Raises
    ------
    DesignError, ObjectiveError
        If loss, objective and parameters do not go together.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: ParametricCrossEntropy,
        objective: str | Objective,
        held_out: Iterable[Any],
        *,
        parameters: str | Sequence[str] = AUTO,
        dictionary: str | dict[str, str] = "auto",
        parametrisation: str = "exp",
        held_out_share: float = 1.0,
        settings: OnlineSettings | None = None,
        optimizer: OptimizerFactory | None = None,
        schedule: ScheduleFactory | None = None,
        augmentation: PolicyAugmentation | None = None,
        trained_by: torch.optim.Optimizer | None = None,
    ) -> None:
        if loss.design is None:
            raise DesignError(
                "the loss has no design to start from; make it with "
                "ParametricCrossEntropy.from_design(preset(name, counts))"
            )
        if loss.reduction != "mean":
            raise DesignError(
                f"the loss has reduction {loss.reduction!r}; a search needs the mean, on which the "
                "curvature and the weight decay are measured"
            )
        parsed = Objective.parse(objective) if isinstance(objective, str) else objective
        parameters = network_parameters(parameters, parsed)
        if "ridge" in parameters and trained_by is None:
            raise DesignError("to search the weight decay, pass the model's optimizer: trained_by")
        if (augmentation is None) != (loss.design.policy is None):
            raise DesignError(
                "the loss's design has a policy and nothing augments by it, or the other way "
                "round; pass augmentation=PolicyAugmentation(design.policy) with a design that has "
                "one"
            )
        self.model, self.loss, self.augmentation = model, loss, augmentation
        self._ranks = self._found_ranks()
        self.settings = OnlineSettings() if settings is None else settings
        self._decay = None if trained_by is None else WeightDecay(trained_by)
        decay = loss.design.ridge or RIDGE_FLOOR if self._decay is None else self._decay.largest
        start = replace(loss.design, ridge=decay)
        self.space = SearchSpace.build(
            start,
            parameters,
            dictionary,
            parametrisation,
            held_out_share,
            one_logit=isinstance(loss, ParametricBinaryCrossEntropy),
        )
        self._stream = HeldOutStream(held_out)
        self._draws = torch.Generator()
        bound = parsed.bind(start.counts, "drop")
        self.objective = self._running(bound)
        self.alpha = MovingAlpha(
            self.space,
            optimizer or default_optimizer(self.settings.learning_rate, self.space),
            schedule,
            self.settings.pull,
        )
        self.iteration = 0
        self.failures = 0
        self.history: list[AlphaStep] = []
        self._recent: deque[Batch] = deque(maxlen=self.settings.recent_batches)
        self._tangent: Tangent | None = self.settings.tangent
        self._write()

    @property
    def held_out(self) -> Iterable[Any]:
        """The loader of held-out examples."""
        return self._stream.loader

    def step(
        self,
        inputs: Inputs,
        targets: Shaped[Tensor, "B *outputs"],
        groups: Integer[Tensor, "B *dense"] | None = None,
    ) -> AlphaStep | None:
        """Take note of a training batch, after the optimizer's step; move the loss if it is time.

        Parameters
        ----------
        inputs
            What the model was called with: a tensor, a tuple of its arguments, or a mapping; before
            the policy, if one augments, for which the search draws on its own.
        targets, groups
            What the loss was called with; ``targets`` may be soft, dense, or of many labels.
            Weights of examples are not known here: with a ``sample_weight``, this would search for
            another loss.

        Returns
        -------
        AlphaStep or None
            The move, if there was one.

        Raises
        ------
        SearchError
            If moves keep failing; the values of the loss are then the last sound ones. At the first
            move also if a layer of the model rules out hypergradients; the message names it and the
            remedy.
        DataError
            If the held-out loader yields nothing, or something else than labelled examples.
        """
        if self.augmentation is not None and targets.ndim > 1:
            raise DataError(
                f"a policy augments an example by its class, but the targets have shape "
                f"{tuple(targets.shape)}; search the loss without a policy"
            )
        self.note(inputs, targets, groups)
        self.iteration += 1
        since = self.iteration - self.settings.warm_up
        if since <= 0 or since % self.settings.every:
            return None
        move = self._move()
        self.history.append(move)
        if not move.refused:
            self.failures = 0
            return move
        self.failures += 1
        logger.warning("the loss stays as it is: %s", move.refused)
        if self.failures >= self.settings.patience:
            raise SearchError(
                f"the loss could not be moved {self.failures} times in a row, lastly because "
                f"{move.refused}; lower the model's or the search's learning rate, raise the "
                "damping, or lengthen the warm-up"
            )
        return move

    def note(
        self,
        inputs: Inputs,
        targets: Shaped[Tensor, "B *outputs"],
        groups: Integer[Tensor, "B *dense"] | None = None,
    ) -> None:
        """Take note of a training batch whose gradient is still accumulating.

        For all micro-batches but the last before an optimizer's step; that one goes to
        :meth:`step`. Each counts as one of the recent batches.

        Raises
        ------
        DataError
            If one of several ranks has no example.
        """
        if len(targets):
            self._recent.append(Batch(inputs, targets, groups))
        elif self._ranks.size > 1:
            raise DataError(
                f"rank {self._ranks.number} has no example of this batch, and the ranks could not "
                "tell which of their batches belong together; give each a share, as "
                "drop_last=True does"
            )

    def forget_batches(self) -> None:
        """Drop the recent training batches, as at the start of an epoch."""
        self._recent.clear()

    def design(self) -> LossDesign:
        """The loss as it is designed so far."""
        return self.space.design(self.alpha.vector)

    def history_rows(self, first: int = 0) -> list[Row]:
        """The moves as figures to watch, those before ``first`` left out."""
        names, counts = self.space.names, self.space.counts
        return [move.row(names, counts) for move in self.history[first:]]

    def write_history(self, path: str | Path) -> None:
        """Write the moves as CSV: α by name, the hypergradient's norm, losses and errors of cells.

        Raises
        ------
        ArtifactError
            If the file cannot be written.
        """
        write_rows(Path(path), self.history_rows())

    def _found_ranks(self) -> Ranks:
        """Who trains the model; a process that others might train it with is warned."""
        ranks = ranks_of(self.model)
        if ranks.size == 1 and dist.is_available() and dist.is_initialized():
            processes = dist.get_world_size()
            if processes > 1:
                warnings.warn(
                    f"there are {processes} processes but the model of the search is not wrapped "
                    "in DistributedDataParallel, so that each designs a loss of its own; pass the "
                    "wrapped model, or search within autobalance.across_ranks()",
                    stacklevel=3,
                )
        return ranks

    def _move(self) -> AlphaStep:
        """Take the hypergradient and step, if everything about it is sound."""
        if self._tangent is None:
            self._tangent = self._choose_tangent()
        device = next(self.model.parameters()).device
        batches = range(self.settings.held_out_batches)
        held_out = [self._stream.take().to(device) for _ in batches]
        try:
            estimate = self._hypergradient(held_out, self._tangent)
        except SearchError as error:
            return self._refuse(str(error), None)
        record = estimate.record
        if not math.isfinite(record.norm):
            return self._refuse("the training loss, or its hypergradient, is not finite", record)
        by_weight, *others = estimate.loss
        if self.loss.drawn is not None:
            by_weight = by_weight / self.loss.drawn
        if not self.alpha.step((by_weight, *others, *estimate.inputs), estimate.weight_decay):
            return self._refuse("a searched value reached its bounds", record)
        self._write()
        return self._recorded(record)

    def _refuse(self, why: str, record: Record | None) -> AlphaStep:
        """Leave α where it is and halve the rate at which it moves."""
        self.alpha.slow_down()
        return self._recorded(record, why)

    def _recorded(self, record: Record | None, refused: str = "") -> AlphaStep:
        running = self.objective
        return AlphaStep(
            self.iteration,
            self.alpha.vector,
            self.alpha.rate,
            record,
            running.risks.numpy().copy(),
            running.errors.numpy().copy(),
            refused,
        )

    def _hypergradient(self, held_out: list[Batch], tangent: Tangent) -> Hypergradient:
        settings = self.settings
        term = self._policy_term()
        return hypergradient(
            self.model,
            LossOfDecisions(self._logit_loss(), self.loss.decisions),
            self._held_out_objective,
            list(self._recent) if term is None else term.batches,
            held_out,
            solver=settings.solver,
            curvature=settings.curvature,
            tangent=tangent,
            weight_decay=self._weight_decay(),
            mode=settings.mode,
            seed=self.iteration,
            input_term=term if self._searches_policy else None,
        )

    @property
    def _searches_policy(self) -> bool:
        return self.space.policy is not None and bool(self.space.policy.dictionaries)

    def _policy_term(self) -> PolicyTerm | None:
        """The recent batches as the policy changes them, by new draws."""
        if self.augmentation is None:
            return None
        temperature = self.settings.temperature
        searched = "probability" in self.space.parameters
        return PolicyTerm(self.augmentation, self._recent, self._draws, temperature, searched)

    def _logit_loss(self) -> LogitLoss:
        """The training loss of a decision; closed forms where it is the plain family."""
        loss = self.loss
        values = [loss.multiplying, loss.additive, loss.multiplicative]
        labelled = not any(batch.targets.is_floating_point() for batch in self._recent)
        if labelled and not loss.label_smoothing:
            return ParametricLoss(*values)
        values = [value.clone().requires_grad_() for value in values]
        return AutogradLoss(
            lambda logits, batch: adjusted_cross_entropy(
                logits,
                batch.targets,
                *values,
                group=batch.groups,
                label_smoothing=loss.label_smoothing,
            ),
            values,
        )

    def _held_out_objective(
        self, logits: Float[Tensor, "M *outputs"], batches: Sequence[Batch]
    ) -> Float[Tensor, ""]:
        """The objective of the decisions that held-out logits make."""
        parts = torch.split(logits, [len(batch.targets) for batch in batches])
        decided = [self.loss.decisions(*each) for each in zip(parts, batches, strict=True)]
        return self.objective(torch.cat([rows for rows, _ in decided]), [b for _, b in decided])

    def _write(self) -> None:
        """Put the values at α into the loss, and the weight decay into the model's optimizer."""
        values = self.alpha.values
        for name in ("weight", "additive", "multiplicative"):
            getattr(self.loss, name).copy_(getattr(values, name))
        if self.augmentation is not None:
            probability, magnitude = values.policy
            self.augmentation.probability.copy_(probability)
            self.augmentation.magnitude.copy_(magnitude)
        if self.space.search_ridge and self._decay is not None:
            self._decay.set(float(values.ridge))

    def _weight_decay(self) -> float | Float[Tensor, "P"]:
        """Of every trainable parameter; one number where it is the same for all."""
        if self._decay is None:
            return 0.0
        trained = [p for p in unwrap(self.model).parameters() if p.requires_grad]
        decays = self._decay.of(trained)
        if len(set(decays)) == 1:
            return decays[0]
        theta = Network(self.model).theta
        sizes = torch.tensor([parameter.numel() for parameter in trained])
        return theta.new_tensor(decays).repeat_interleave(sizes.to(theta.device))

    def _running(self, objective: BoundObjective) -> RunningObjective:
        settings = self.settings
        options: dict[str, Any] = {"memory": 0.0} if self._stream.whole else {}
        return RunningObjective(
            objective,
            self.space.counts.frequencies,
            loss=settings.held_out_loss,
            sharpness=settings.sharpness,
            profile_temperature=settings.profile_temperature,
            **options,
        )

    def _choose_tangent(self) -> Tangent:
        """Forward mode, or finite differences for a model that has none, said once."""
        needs = {"double backward"} if isinstance(self.settings.curvature, Hessian) else set()
        few = map_tensors(lambda leaf: leaf[:_TRIED], self._recent[-1].inputs)
        findings = check_model(self.model, few, needs)
        blocking = [finding for finding in findings if "forward mode" in finding.blocks]
        if not blocking:
            return ForwardMode()
        warnings.warn(f"{blocking[0]} The search takes finite differences instead.", stacklevel=4)
        return FiniteDifference()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed search needs, as plain values and tensors.

        The recent training batches are not in it; a held-out loader without a ``state_dict`` of its
        own begins anew.
        """
        return {
            "alpha": self.alpha.state_dict(),
            "iteration": self.iteration,
            "failures": self.failures,
            "objective": self.objective.state_dict(),
            **self._stream.state_dict(),
            "draws": self._draws.get_state(),
            "history": [step.to_plain() for step in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.alpha.load_state_dict(state["alpha"])
        self.iteration, self.failures = int(state["iteration"]), int(state["failures"])
        self.objective.load_state_dict(state["objective"])
        self._stream.load_state_dict(state)
        if "draws" in state:  # which searches of earlier versions had not
            self._draws.set_state(state["draws"])
        self.history = [AlphaStep.from_plain(entry) for entry in state["history"]]
        self._write()
