"""The bench for networks, on features or on images: Algorithm 1 on one split.

A network costs a training for every loss that is tried, so there is one split instead of folds, and
the strengths of closed forms are tuned on a few values, one strength after the other. A designed
loss replaces its start by the same rule as in the exact search: networks are trained with both on
the same part, and its gain on the held-out rest has to stand out.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor, nn

from autobalance.bench import CLOSED_FORM, DESIGNED, Bench, TrainedHead, fitted_values
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import SearchError
from autobalance.models.pixels import Pixels
from autobalance.models.standardise import Standardise
from autobalance.network_model import NetworkModel, front_of, with_front
from autobalance.network_settings import NetworkSettings
from autobalance.objectives import BoundObjective
from autobalance.search.alpha_step import AlphaStep
from autobalance.search.evidence import paired_gain
from autobalance.search.exact import Progress
from autobalance.search.folds import Folds
from autobalance.search.result import START_KEPT, Evaluation, SearchResult
from autobalance.search.settings import SearchSettings
from autobalance.space import RIDGE_FLOOR, SearchSpace
from autobalance.starts import default_starts
from autobalance.training.checkpoint import Checkpoints
from autobalance.training.examples import Examples
from autobalance.training.loop import Epoch, Training, predict_logits
from autobalance.training.pipeline import (
    RETRAINING,
    SEARCH,
    add_search,
    default_device,
    new_training,
    own_randomness,
)

_STRENGTHS = {"additive": "tau", "multiplicative": "gamma"}
_TRIED = (0.5, 1.0, 2.0)
"""Factors on the default strength of a closed form."""

OnEpoch = Callable[[str, Training], None]
"""Called with the phase, ``"search"`` or ``"retraining"``, and the training after an epoch."""


def ignore_epoch(phase: str, training: Training) -> None:
    """Nobody listens."""


class NetworkBench(Bench):
    """Examples and one split on which losses are searched and networks are trained.

    Parameters
    ----------
    features
        Shape (N, D), float; or images (N, C, H, W) of uint8, which are not copied.
    y, g, sample_weight, counts, folds, objective, settings
        As in :class:`~autobalance.bench.Bench`, with one fold; weights are all alike.
    network
        Which network and how.
    standardise
        Scale each feature to variance 1, or all by one common scale. Images have their channels
        scaled either way.
    seed
        Of weights, batches and held-out batches.

    Attributes
    ----------
    on_epoch
        Hears of the epochs of the search, and of the retraining with what it designed.
    """

    def __init__(
        self,
        features: ndarray,
        y: Integer[ndarray, "N"],
        g: Integer[ndarray, "N"],
        sample_weight: Float[ndarray, "N"],
        counts: Counts,
        folds: Folds,
        objective: BoundObjective,
        settings: SearchSettings,
        network: NetworkSettings,
        *,
        standardise: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(y, g, sample_weight, counts, folds, objective, settings)
        self.network, self.seed = network, seed
        self.on_epoch: OnEpoch = ignore_epoch
        self.default_ridge = max(network.training.weight_decay, RIDGE_FLOOR)  # as a search's
        self._factory, self._name = network.factory, network.name
        self._device = default_device(network.device)
        self._common_scale = not standardise
        self._shape = features.shape[1:]
        self._features = torch.from_numpy(
            np.array(features, dtype=np.float32) if features.ndim == 2 else features
        )
        self.examples = Examples(
            self._features,
            torch.from_numpy(y).long(),
            None if counts.groups is None else torch.from_numpy(g).long(),
            counts.classes,
            counts.groups,
        ).to(self._device)
        self._train = torch.from_numpy(np.flatnonzero(folds.train[0]))
        self._held_out = torch.from_numpy(folds.row)
        self._fronts: dict[int, Standardise | Pixels] = {}
        self._known: dict[str, Float[ndarray, "M K"]] = {}

    def best_start(self, ridge: float | None = None) -> LossDesign:
        """The first of the losses that are consistent with the objective, without trying any."""
        return self.start(default_starts(self.objective.objective)[0], ridge)

    def train(
        self,
        space: SearchSpace,
        name: str,
        kind: str = DESIGNED,
        progress: Progress | None = None,
    ) -> TrainedHead:
        """Search beside a training on the split, then train a fresh network on all examples."""
        started = time.perf_counter()
        settings, risk = self.settings, self.held_out_risk()
        plan = self.network.plan
        plan = replace(
            plan,
            settings=replace(
                plan.settings,
                held_out_loss=settings.held_out_loss,
                sharpness=settings.sharpness_used,
                profile_temperature=settings.profile_temperature,
                pull=settings.shrinkage * risk.variance,
            ),
        )
        with own_randomness(self._device):
            training = self._training(self._train, space.start)
            search = add_search(
                training,
                self.examples,
                self._held_out,
                self.objective.objective,
                plan,
                self.seed,
                space.parameters,
                {parameter: each.name for parameter, each in space.all_dictionaries.items()},
                space.parametrisation,
            )

            def report(_: Epoch) -> None:
                self.on_epoch(SEARCH, training)
                if progress is not None and search.history:
                    progress(_evaluation(search.history[-1], space))

            training.run(self._checkpoints(name, SEARCH), report)
            self.on_epoch(SEARCH, training)
        design = search.design()
        # a policy that nobody has chosen is no part of what the search has to beat
        start = replace(space.start, policy=None)
        first, last = (torch.from_numpy(self._split_logits(tried)) for tried in (start, design))
        start_value = float(risk(first).objective)
        gain = paired_gain(risk, first, last)
        moves = len(search.history)
        refused = sum(bool(move.refused) for move in search.history)
        status, message = "converged", f"the loss moved {moves - refused} times beside the training"
        if refused:
            message += f"; {refused} moves were refused"
        required = settings.required_gain if kind == DESIGNED else None
        if required is not None and not gain.stands_out(required):
            design, last, status = start, first, START_KEPT
            message = (
                "the starting loss is kept: the designed loss gains "
                f"{max(gain.value, 0.0):.4f} on held-out examples over it, with a standard error "
                f"of {gain.standard_error:.4f}"
            )
        end = self._measured(search.alpha.vector, last, design, time.perf_counter() - started)
        result = self._result(
            design,
            last.numpy(),
            (*(_evaluation(move, space) for move in search.history), end),
            status,
            message,
            start_value=start_value,
            gain=gain.value,
            gain_standard_error=gain.standard_error,
        )
        return self._retrained(result, name, kind, fitted_values(space), started)

    def train_preset(
        self,
        preset_name: str,
        name: str,
        tuned: Sequence[str] = (),
        ridge: float | None = None,
    ) -> TrainedHead:
        """Train with a closed form, each of its strengths the best of a few on the split."""
        started = time.perf_counter()
        chosen: dict[str, float] = {}
        best = self._tried(preset_name, chosen, ridge)
        for parameter in tuned:
            strength = _STRENGTHS[parameter]
            default = float(self.start(preset_name).metadata["arguments"][strength])
            for factor in _TRIED:
                arguments = {**chosen, strength: factor * default}
                result = self._tried(preset_name, arguments, ridge)
                if result.value < best.value:
                    best, chosen = result, arguments
        return self._retrained(best, name, CLOSED_FORM, len(tuned), started)

    def _tried(
        self, preset_name: str, arguments: Mapping[str, float], ridge: float | None
    ) -> SearchResult:
        """A closed form on the split."""
        design = self.start(preset_name, ridge, **arguments)
        logits = self._split_logits(design)
        evaluation = self._measured(np.zeros(0), torch.from_numpy(logits), design, 0.0)
        return self._result(design, logits, (evaluation,), "converged", "a closed form")

    def _split_logits(self, design: LossDesign) -> Float[ndarray, "M K"]:
        """Held-out logits of a network trained with a design on the rest, once for each design."""
        key = _mark(design)
        if key not in self._known:
            with own_randomness(self._device):
                training = self._training(self._train, design)
                training.run(self._checkpoints("split", key))
            logits = predict_logits(training.model, self.examples, self._held_out)
            if not bool(torch.isfinite(logits).all()):
                raise SearchError(
                    "a network gives logits that are not finite on the held-out examples; lower "
                    "the learning rate"
                )
            self._known[key] = logits.double().numpy()
        return self._known[key]

    def _measured(
        self,
        alpha: Float[ndarray, "A"],
        logits: Float[Tensor, "M K"],
        design: LossDesign,
        seconds: float,
    ) -> Evaluation:
        risk = self.held_out_risk()
        outcome = risk(logits)
        return Evaluation(
            alpha=alpha,
            objective=float(outcome.objective),
            gradient_norm=0.0,
            risks=outcome.risks.numpy(),
            errors=risk.cell_errors(logits).numpy(),
            ridge=float(design.ridge or 0.0),
            temperature=outcome.temperature,
            residual=0.0,
            seconds=seconds,
        )

    def _result(
        self,
        design: LossDesign,
        logits: Float[ndarray, "M K"],
        history: tuple[Evaluation, ...],
        status: str,
        message: str,
        **statistics: float,
    ) -> SearchResult:
        return SearchResult(
            design=design,
            alpha=history[-1].alpha,
            value=history[-1].objective,
            status=status,
            message=message,
            history=history,
            held_out_logits=logits,
            held_out_rows=self.folds.row,
            statistics={
                "evaluations": len(history),
                "seconds": history[-1].seconds,
                "folds": len(self.folds),
                **statistics,
            },
        )

    def _retrained(
        self, result: SearchResult, name: str, kind: str, fitted: int, started: float
    ) -> TrainedHead:
        """Train a fresh network on all examples with the design found."""
        with own_randomness(self._device):
            training = self._training(torch.arange(len(self.examples)), result.design)
            tell = self.on_epoch if kind == DESIGNED else ignore_epoch
            training.run(self._checkpoints(name, RETRAINING), lambda _: tell(RETRAINING, training))
            tell(RETRAINING, training)  # also if it was finished before an interruption
        model = NetworkModel(
            self.counts.classes,
            training.model.cpu().eval(),
            self._name,
            self._shape,
            np.zeros(self.counts.n_classes),
            result.best.temperature,
            device=self.network.device,
        )
        seconds = time.perf_counter() - started
        return TrainedHead(
            name, kind, result.design, model, result.held_out_logits, result, fitted, seconds
        )

    def _training(self, rows: Integer[Tensor, "M"], design: LossDesign) -> Training:
        def make() -> nn.Module:
            front = self._front(rows)
            return with_front(self._factory, front, self._shape, self.counts.n_classes)

        settings = replace(self.network.training, weight_decay=float(design.ridge or 0.0))
        return new_training(make, self.examples, rows, design, settings, self._device, self.seed)

    def _front(self, rows: Integer[Tensor, "M"]) -> Standardise | Pixels:
        """What scales the inputs, learnt once from the split's part and once from everything."""
        if len(rows) not in self._fronts:
            used = self._features if len(rows) == len(self._features) else self._features[rows]
            front = front_of(self._shape)
            self._fronts[len(rows)] = (
                front.fit(used)
                if isinstance(front, Pixels)
                else front.fit(used, common_scale=self._common_scale)
            )
        return deepcopy(self._fronts[len(rows)])

    def _checkpoints(self, name: str, phase: str) -> Checkpoints | None:
        folder = self.network.checkpoints
        return None if folder is None else Checkpoints(folder / _file_name(name) / phase)


def _evaluation(move: AlphaStep, space: SearchSpace) -> Evaluation:
    """A move of the loss as a search without steps would tell it."""
    record = move.record
    return Evaluation(
        alpha=move.alpha,
        objective=np.nan if record is None else record.value,
        gradient_norm=np.nan if record is None else record.norm,
        risks=move.risks,
        errors=move.errors,
        ridge=float(space.start.ridge or 0.0),
        temperature=np.nan,
        residual=np.nan if record is None else record.residual,
        seconds=0.0 if record is None else record.seconds,
    )


def _mark(design: LossDesign) -> str:
    """Tells designs of the same classes apart."""
    digest = hashlib.sha256(repr(design.ridge).encode())
    for values in (design.weight, design.additive, design.multiplicative):
        digest.update(values.tobytes())
    if design.policy is not None:
        digest.update(repr(design.policy.to_plain()).encode())
    return digest.hexdigest()[:16]


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
