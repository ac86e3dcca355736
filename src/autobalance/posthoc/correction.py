"""A correction of logits that come from anywhere: slopes and biases per class, or per cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import log_softmax, softmax

from autobalance.calibration import BALANCED, check_shares
from autobalance.counts import Counts
from autobalance.errors import ArtifactError, AutoBalanceError, DataError
from autobalance.labels import Label, as_label, codes_of
from autobalance.objectives import Objective
from autobalance.plain import numbers
from autobalance.posthoc.fits import calibrated, for_objective, held_out_risk
from autobalance.sensitive import encode_sensitive
from autobalance.storage import DAMAGED, read_json, read_text, write_text_atomically

FORMAT, VERSION = "autobalance-posthoc", 1
PRIOR, BIAS, SCALING = "prior", "bias", "vector-scaling"
CALIBRATION = "calibration"
"""The objective of probabilities that are right for the shares of the held-out classes."""


@dataclass(frozen=True, eq=False)
class PosthocCorrection:
    """Decisions and probabilities softmax(a[:, g] ⊙ log softmax(z) + b[:, g]) of logits z.

    The log-probabilities take the place of the logits because slopes make something else of a row
    to which a constant is added, which changes no probability. For the same reason probabilities
    are as good as logits: hand in their logarithm.

    Made by :meth:`for_prior` in closed form or by :meth:`tuned` on held-out examples.

    Parameters
    ----------
    counts
        The examples that it was made from, with the labels of the classes in the order of the
        logits. With groups, the correction is one of each (class, group) cell, and predicting
        needs groups.
    slope, bias
        Shape (K, G): a, positive, and b.
    metadata
        How it was made: ``kind``, ``objective`` and more that JSON can hold.

    Raises
    ------
    DataError
        If a shape does not fit the counts, a value is not finite or a slope not positive.
    """

    counts: Counts
    slope: Float[ndarray, "K G"]
    bias: Float[ndarray, "K G"]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in (("slope", self.slope), ("bias", self.bias)):
            if values.shape != self.counts.values.shape or not np.isfinite(values).all():
                raise DataError(
                    f"{name} has shape {values.shape} and must hold a finite number for each of "
                    f"the {self.counts.n_classes} classes and {self.counts.n_groups} groups"
                )
        if (self.slope <= 0).any():
            raise DataError("a slope is not positive; it would turn the order of the scores around")

    @classmethod
    def for_prior(cls, counts: Counts, target: Any = BALANCED) -> PosthocCorrection:
        """Correct for other shares of the classes than in training, in closed form.

        Where p(x | k) stays and the shares π_k of the classes become π'_k, Bayes' rule gives
        p'(k | x) ∝ p(k | x) π'_k / π_k (Saerens, Latinne and Decaestecker, *Neural Computation* 14,
        2002): b_k = log π'_k − log π_k up to a constant. With groups the same holds within each.

        Parameters
        ----------
        counts
            Training examples; with groups, shares are taken within each of them. A cell without
            any counts as half an example.
        target
            ``"balanced"`` (default), all classes equally likely, or positive shares of shape (K,)
            or, with groups, (K, G); they need not sum to 1.

        Raises
        ------
        DataError
            If the target is none of these.
        """
        wanted = _target_shares(target, counts)
        bias = np.log(wanted) - np.log(counts.filled)
        metadata = {"kind": PRIOR, "target": wanted.tolist()}
        return cls(counts, np.ones_like(bias), bias - bias.mean(axis=0), metadata)

    @classmethod
    def tuned(
        cls,
        logits: Float[ndarray, "M K"],
        y: Any,
        groups: Any = None,
        *,
        objective: str = "balanced",
        kind: str = SCALING,
        by_group: bool = False,
        classes: Sequence[Label] | ndarray | None = None,
        positive_class: Label = None,
        empty_cells: str = "error",
    ) -> PosthocCorrection:
        """Tune a correction on held-out examples, which the model was not trained on.

        For an objective, its smooth error on these examples is minimised, as in a search and with
        the same shrinkage (:func:`~autobalance.posthoc.tuning.tune_scaling`), and the scale is the
        one that calibrates best.
        For ``"calibration"`` the cross-entropy is, with the shares of the classes as they are and
        a penalty of about one observation (:func:`~autobalance.calibration.fit_calibration`), in
        each group by itself if asked for.

        Parameters
        ----------
        logits
            Or log-probabilities, finite.
        y, groups
            M labels of classes, and of groups: tuples or rows of a table for several columns.
        objective
            As everywhere, ``"balanced"`` by default, or ``"calibration"``.
        kind
            ``"vector-scaling"`` (default), or ``"bias"`` for slopes that are all the same: fewer
            numbers, which is safer with few examples of a cell.
        by_group
            Whether every group gets slopes and biases of its own. Predictions then need groups.
            Without it groups may still be what the objective speaks about.
        classes
            The labels in the order of the columns of the logits; by default sorted.
        positive_class, empty_cells
            As in :class:`~autobalance.estimators.AutoBalanceClassifier`.

        Raises
        ------
        DataError, ObjectiveError
            If logits, labels, groups and the objective do not go together.
        """
        known = encode_sensitive(y, len(y)).labels if classes is None else classes
        labels = tuple(as_label(label) for label in known)
        checked = check_logits(logits, len(labels))
        code = codes_of(y, labels, "class")
        if len(code) != len(checked):
            raise DataError(f"there are {len(checked)} rows of logits but {len(code)} labels")
        if by_group and groups is None:
            raise DataError("a correction by group needs groups; give them or leave by_group out")
        if kind not in (BIAS, SCALING):
            raise DataError(f"kind is {kind!r}; use {SCALING!r} or {BIAS!r}")
        if kind == BIAS and objective == CALIBRATION:
            raise DataError(f"{CALIBRATION!r} fits slopes, too; leave the kind {BIAS!r} out")
        found = None if groups is None else encode_sensitive(groups, len(code))
        g = np.zeros_like(code) if found is None else found.codes
        counts = Counts.from_codes(
            code,
            None if found is None else g,
            labels,
            None if found is None else found.labels,
        )
        own, own_g = (counts, g) if by_group else (Counts.from_codes(code, None, labels), 0 * g)
        phi = log_softmax(checked, axis=1)
        if objective == CALIBRATION:
            slope, bias = calibrated(phi, code, own_g, own)
        else:
            bound = Objective.parse(objective, positive_class).bind(counts, empty_cells)
            held_out = held_out_risk(bound, code, g, counts)
            slope, bias = for_objective(held_out, phi, own_g, own.n_groups, kind == SCALING)
        return cls(own, slope, bias, {"kind": kind, "objective": objective})

    @property
    def by_group(self) -> bool:
        """Whether it corrects each group in its own way."""
        return self.counts.groups is not None

    def logits(self, logits: Float[ndarray, "N K"], groups: Any = None) -> Float[ndarray, "N K"]:
        """Corrected logits; the largest decides.

        Parameters
        ----------
        logits
            Logits or log-probabilities, finite.
        groups
            N labels of groups, needed exactly if the correction is by group.

        Raises
        ------
        DataError
            If the logits do not fit, groups are missing, not wanted or unknown.
        """
        phi = log_softmax(check_logits(logits, self.counts.n_classes), axis=1)
        if (groups is None) == self.by_group:
            raise DataError(
                "this correction was made by group and needs the group of every row"
                if self.by_group
                else "this correction is the same in every group; leave the groups out"
            )
        g = np.zeros(len(phi), dtype=np.int64)
        if self.counts.groups is not None:
            g = codes_of(groups, self.counts.groups, "group")
            if len(g) != len(phi):
                raise DataError(f"there are {len(phi)} rows of logits but {len(g)} groups")
        return np.asarray(self.slope[:, g].T * phi + self.bias[:, g].T)

    def predict(self, logits: Float[ndarray, "N K"], groups: Any = None) -> ndarray:
        """Labels of the classes that are decided for; parameters as in :meth:`logits`."""
        same = len({type(label) for label in self.counts.classes}) == 1
        labels = np.array(self.counts.classes, dtype=None if same else object)
        return np.asarray(labels[self.logits(logits, groups).argmax(axis=1)])

    def predict_proba(
        self, logits: Float[ndarray, "N K"], groups: Any = None
    ) -> Float[ndarray, "N K"]:
        """Probabilities; parameters as in :meth:`logits`.

        They refer to the target of :meth:`for_prior`, to the shares of the held-out examples for
        ``"calibration"``, and else to the shares that the objective weighs the cells by.
        """
        return np.asarray(softmax(self.logits(logits, groups), axis=1))

    def save(self, path: str | Path) -> None:
        """Write it as JSON, in one step; raises an ArtifactError if that cannot be."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            **self.counts.to_plain(),
            "slope": self.slope.tolist(),
            "bias": self.bias.tolist(),
            "metadata": dict(self.metadata),
        }
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        write_text_atomically(Path(path), text + "\n")

    @classmethod
    def load(cls, path: str | Path) -> PosthocCorrection:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ArtifactError
            If the file is missing, damaged, or was written by a newer AutoBalance.
        """
        text = read_text(Path(path), ArtifactError, "check the path")
        document = read_json(text, str(path), FORMAT, VERSION, ArtifactError)
        try:
            return cls(
                Counts.from_plain(document),
                numbers(document, "slope"),
                numbers(document, "bias"),
                dict(document["metadata"]),
            )
        except (AutoBalanceError, *DAMAGED) as error:
            raise ArtifactError(f"{path} is damaged ({error!s}); restore it") from error


def check_logits(logits: Any, n_classes: int) -> Float[ndarray, "N K"]:
    """Logits in float64.

    Raises
    ------
    DataError
        If they are no finite numbers of shape (N, K), or no row is there.
    """
    found = np.asarray(logits, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != n_classes or not len(found):
        raise DataError(
            f"the logits have shape {found.shape}; give rows of one number for each of the "
            f"{n_classes} classes"
        )
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise DataError(
            f"the logits of row {row} are not finite; clip probabilities away from 0 before taking "
            "their logarithm"
        )
    return found


def _target_shares(target: Any, counts: Counts) -> Float[ndarray, "K G"]:
    """Positive shares that sum to 1 over the classes of each group."""
    if isinstance(target, str) and target == BALANCED:
        return np.full(counts.values.shape, 1 / counts.n_classes)
    columns = list(np.transpose(target)) if np.ndim(target) == 2 else [target] * counts.n_groups
    if len(columns) != counts.n_groups:
        raise DataError(
            f"the target has {len(columns)} columns; give one share per class, or one column of "
            f"them for each of the {counts.n_groups} groups"
        )
    shares = np.stack([check_shares(column, counts.n_classes) for column in columns], axis=1)
    if (shares <= 0).any():
        raise DataError("a share of the target is 0; give positive ones, tiny if need be")
    return shares
