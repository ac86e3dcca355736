"""Ridge-penalised linear softmax heads, one per fold, trained exactly and side by side.

For every fold f the head θ_f minimises

    Σ_i s_fi · loss(z_i; y_i, g_i, w, l, δ) + μ/2 ‖W_f‖² + μ₀/2 ‖b_f‖² + (Σ_k b_fk)² / 2K

with z_i = W_f x_i + b_f and s_fi = 1/n_f on the fold's training examples and 0 elsewhere. The
problem is convex; Newton steps with conjugate gradients solve it, warm-started at the last
solution. All folds share each pass over the features. Gradients and values are float64; the
curvature products, which only steer, may run in float32. Several ranks share the chunks of a pass,
each has all the features, and the sums are those of all of them.

Conjugate gradients are preconditioned by the Cholesky factor of a whole Hessian where that is small
(K classes times E features), and by its diagonal otherwise. The factor may belong to an earlier
point, also of another loss: it is made anew when it no longer serves. With a weak ridge and rare
classes the diagonal needs many more products.

The intercepts b of the classes are pulled to sum 0: a constant added to all of them changes no
decision. The loss alone does not fix them where it multiplies logits: with the same δ in every
group it ignores b_k ∝ 1/δ_k, which does change decisions. Apart from that they carry μ₀ = 1e-6
only, too little to matter. An additive adjustment that is the same for all groups is therefore
a pure post-hoc bias here, which is why a tuned bias belongs in every comparison.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autobalance.data.features import FeatureMatrix, FeatureRows
from autobalance.hypergradient.cg import LinearSolution, conjugate_gradient
from autobalance.hypergradient.mixed import LossDerivatives, mixed_products
from autobalance.ranks import current_ranks
from autobalance.search.representatives import Representatives
from autobalance.space import RIDGE_FLOOR, LossValues

INTERCEPT_RIDGE = 1e-6
_CACHE_BYTES = 2**30
_MAX_NEWTON_STEPS = 100
_MAX_HALVINGS = 40
_SUFFICIENT_DECREASE = 1e-4
_ROUNDING = 1e-13
_LOOSEST_CG = 0.1
_MAX_FACTORED = 600
"""Parameters of a head up to which its whole Hessian is factored."""
_PATIENCE = 30
"""Conjugate gradient steps after which a factor no longer serves."""
_ROWS_OF_A_CELL = 10_000
"""Rows of a (class, group) cell that preconditioners look at. Of more, this many stand for all."""
_MAX_FACTORED_OF_SOME = 2000
_PATIENCE_OF_SOME = 8
"""The same two limits where rows stand for others: a factor costs little then."""

logger = logging.getLogger(__name__)


class _LossAt(NamedTuple):
    """The loss of a chunk's n examples: s·w (F, 1, n), l (K, n) and δ (K, n), float64."""

    scaled: Float[Tensor, "F 1 n"]
    additive: Float[Tensor, "K n"]
    multiplicative: Float[Tensor, "K n"]


class _CurvatureAt(NamedTuple):
    """What a product with the Hessian needs of a chunk: q and s·w·δ·q (F, K, n), δ (K, n)."""

    q: Float[Tensor, "F K n"]
    slope: Float[Tensor, "F K n"]
    multiplicative: Float[Tensor, "K n"]


class LinearHeads:
    """F heads on the same features, each with its own training examples.

    Parameters
    ----------
    features
        N examples; its values may be float32. Training reads ``features``, what is held out is read
        from ``examples``: they differ only where training sees the examples augmented.
    target, group
        Codes of class and group, each of shape (N,).
    train_weight
        s of shape (F, N), each row summing to about 1.
    n_classes
        K.
    curvature_dtype
        dtype of the products with the Hessian.
    tolerance
        Newton stops when the squared gradient norm, in the metric of the Hessian's diagonal, falls
        below ``tolerance²``: the training loss is then within about that of its minimum.
    """

    def __init__(
        self,
        features: FeatureRows,
        target: Int[Tensor, "N"],
        group: Int[Tensor, "N"],
        train_weight: Float[Tensor, "F N"],
        n_classes: int,
        *,
        curvature_dtype: torch.dtype = torch.float32,
        tolerance: float = 1e-4,
    ) -> None:
        self.features = self.examples = features
        self.target = target
        self.group = group
        self.train_weight = train_weight.double()
        self.n_classes = n_classes
        self.curvature_dtype = curvature_dtype
        self.tolerance = tolerance
        folds, width = len(train_weight), features.shape[1]
        self.theta = torch.zeros(folds, n_classes, width, dtype=torch.float64)
        self.products = 0
        self._ranks = current_ranks()
        self._own = torch.nn.functional.one_hot(target, n_classes).T.double()
        self._cache = 4 * folds * n_classes * len(target) * curvature_dtype.itemsize <= _CACHE_BYTES
        self._losses: dict[int, _LossAt] = {}
        self._curvatures: dict[int, _CurvatureAt] = {}
        self._at = self.theta
        self._factor: Float[Tensor, "#F P P"] | None = None
        cell = target * (int(group.max()) + 1) + group
        self._some = (
            Representatives.of_cells(cell, _ROWS_OF_A_CELL)
            if isinstance(features, FeatureMatrix)
            else None
        )

    def set_loss(self, values: LossValues) -> None:
        """Use these values of the loss from now on; θ stays as the next starting point."""
        self._values = values
        self._losses = {}
        self._penalty = torch.full(
            (self.features.shape[1],), max(float(values.ridge), RIDGE_FLOOR), dtype=torch.float64
        )
        self._penalty[-1] = INTERCEPT_RIDGE

    @property
    def _own_chunks(self) -> list[tuple[int, slice]]:
        """The chunks of the training examples that this rank reads, by number."""
        return [*enumerate(self.features.chunks)][self._ranks.number :: self._ranks.size]

    def _own_rows(self, row: Int[Tensor, "M"]) -> Iterator[tuple[slice, slice]]:
        """The chunks of examples that this rank reads, and which of the M ``row`` lie in each."""
        for rows in self.examples.chunks[self._ranks.number :: self._ranks.size]:
            ends = torch.searchsorted(row, torch.tensor([rows.start, rows.stop]))
            yield rows, slice(*ends.tolist())

    def _penalise(self, theta: Float[Tensor, "F K E"]) -> Float[Tensor, "F K E"]:
        """Gradient of the penalty, which is quadratic: also its Hessian's product."""
        result = theta * self._penalty.to(theta.dtype)
        result[..., -1] += theta[..., -1].mean(1, keepdim=True)
        return result

    def _loss_at(self, number: int, rows: slice) -> _LossAt:
        """The loss of one chunk's examples, gathered from the tables once for each new loss."""
        if number in self._losses:
            return self._losses[number]
        y, g = self.target[rows], self.group[rows]
        loss = _LossAt(
            self.train_weight[:, None, rows] * self._values.weight[y, g],
            self._values.additive[:, g],
            self._values.multiplicative[:, g],
        )
        if self._cache:
            self._losses[number] = loss
        return loss

    def _curvature_at(self, number: int, rows: slice) -> _CurvatureAt:
        """Curvature at the logits of one chunk, where the gradient was last taken."""
        if number in self._curvatures:
            return self._curvatures[number]
        scaled, additive, delta = self._loss_at(number, rows)
        q = torch.softmax(delta * self.features.logits(self._at, rows) + additive, dim=1)
        return self._curvature(q, scaled, delta)

    def _curvature(self, q: Tensor, scaled: Tensor, delta: Tensor) -> _CurvatureAt:
        dtype = self.curvature_dtype
        return _CurvatureAt(q.to(dtype), (scaled * delta * q).to(dtype), delta.to(dtype))

    def value_and_gradient(
        self, theta: Float[Tensor, "F K E"]
    ) -> tuple[Float[Tensor, "F"], Float[Tensor, "F K E"]]:
        """Penalised training loss of every head and its gradient; curvature is now taken here."""
        penalty = self._penalise(theta)
        gradient, value = torch.zeros_like(penalty), penalty.new_zeros(len(theta))
        self._at, self._curvatures = theta, {}
        for number, rows in self._own_chunks:
            scaled, additive, delta = self._loss_at(number, rows)
            adjusted = delta * self.features.logits(theta, rows) + additive
            log_q = torch.log_softmax(adjusted, dim=1)
            own = self._own[:, rows]
            value = value - (scaled * log_q * own).sum((1, 2))
            q = log_q.exp_()
            gradient += self.features.pull_back(scaled * delta * (q - own), rows)
            if self._cache:
                self._curvatures[number] = self._curvature(q, scaled, delta)
        value = 0.5 * (theta * penalty).sum((1, 2)) + self._ranks.total(value)
        return value, penalty + self._ranks.total(gradient)

    def curvature_product(self, vector: Float[Tensor, "F K E"]) -> Float[Tensor, "F K E"]:
        """H v with the exact Hessian, JᵀWJ + penalty, W = s w diag(δ)(diag q − qqᵀ)diag(δ)."""
        self.products += 1
        result = torch.zeros_like(vector)
        for number, rows in self._own_chunks:
            q, slope, delta = self._curvature_at(number, rows)
            a = delta * self.features.logits(vector, rows)
            result += self.features.pull_back(slope * (a - (q * a).sum(1, keepdim=True)), rows)
        return self._penalise(vector) + self._ranks.total(result)

    def _looked_at(self) -> Iterator[tuple[FeatureRows, slice, _CurvatureAt]]:
        """What preconditioners look at of this rank's chunks: rows, and the curvature there."""
        for number, rows in self._own_chunks:
            q, slope, delta = whole = self._curvature_at(number, rows)
            if self._some is None:
                yield self.features, rows, whole
            else:
                assert isinstance(self.features, FeatureMatrix)  # no others have rows for others
                some, times = self._some.within(rows)
                at = some - rows.start
                slope = slope[..., at] * times.to(slope.dtype)
                here = _CurvatureAt(q[..., at], slope, delta[:, at])
                yield self.features.some(some), slice(0, len(some)), here

    def curvature_diagonal(self) -> Float[Tensor, "F K E"]:
        """Diagonal of the Hessian: the metric of gradients, and a preconditioner."""
        result = torch.zeros(self.theta.shape, dtype=self.curvature_dtype)
        for features, rows, (q, slope, delta) in self._looked_at():
            result += features.pull_back_squares(slope * delta * (1 - q), rows)
        result = self._ranks.total(result) + self._penalty.to(self.curvature_dtype)
        result[..., -1] += 1 / self.n_classes
        return result

    def fit(self) -> bool:
        """Minimise the training loss of every head from the current θ; False if it stalled."""
        value, gradient = self.value_and_gradient(self.theta)
        for step_number in range(_MAX_NEWTON_STEPS):
            diagonal = self.curvature_diagonal()
            scaled_norm = (gradient**2 / diagonal).sum((1, 2)).max()
            if float(scaled_norm) <= self.tolerance**2:
                return True
            forcing = min(_LOOSEST_CG, float(scaled_norm) ** 0.5)
            step = -self.solve(gradient, diagonal, max(forcing, self._finest_cg)).value
            moved, value, gradient = self._line_search(step, value, gradient)
            if not moved:
                logger.debug("Newton steps stalled after %d at %.2e", step_number, scaled_norm)
                return bool(scaled_norm <= 1e2 * self.tolerance**2)
        return False

    @property
    def _finest_cg(self) -> float:
        return 1e-2 if self.curvature_dtype == torch.float32 else 1e-3

    def curvature_matrix(self) -> Float[Tensor, "#F P P"]:
        """The whole Hessian of every head, P = K·E (float64).

        Where rows stand for others it is the mean over the heads, which is as near to each.
        """
        folds, classes, width = self.theta.shape
        heads = folds if self._some is None else 1
        result = torch.zeros(heads, classes, width, classes, width, dtype=torch.float64)
        for features, rows, (q, slope, delta) in self._looked_at():
            for k in range(classes):
                weight = -slope[:, k : k + 1] * q[:, k:] * delta[k:]
                weight[:, 0] += slope[:, k] * delta[k]
                for f, of_head in enumerate(weight if heads > 1 else weight.mean(0, keepdim=True)):
                    result[f, k, :, k:] += features.moments(of_head, rows)
        result = self._ranks.total(result)
        for k in range(classes):
            for j in range(k):
                result[:, k, :, j] = result[:, j, :, k].mT
        size = classes * width
        units = torch.eye(size, dtype=torch.float64).reshape(size, classes, width)
        return result.reshape(heads, size, size) + self._penalise(units).reshape(size, size)

    def solve(
        self,
        right: Float[Tensor, "F K E"],
        diagonal: Float[Tensor, "F K E"],
        tolerance: float,
    ) -> LinearSolution:
        """Solve H p = right at the last θ whose gradient was taken (float64 in and out)."""
        right = right.to(self.curvature_dtype)
        few = self._some is None
        if self._factor is not None:
            patience = _PATIENCE if few else _PATIENCE_OF_SOME
            solution = self._iterate(right, self._by_factor, tolerance, patience)
            if float(solution.residual.max()) <= tolerance:
                return solution
        if right[0].numel() <= (_MAX_FACTORED if few else _MAX_FACTORED_OF_SOME):
            factor, failed = torch.linalg.cholesky_ex(self.curvature_matrix())
            self._factor = None if bool(failed.any()) else factor
        if self._factor is not None:
            return self._iterate(right, self._by_factor, tolerance)
        return self._iterate(right, lambda residual: residual / diagonal, tolerance)

    def _iterate(
        self,
        right: Float[Tensor, "F K E"],
        preconditioner: Callable[[Tensor], Tensor],
        tolerance: float,
        max_iterations: int = 1000,
    ) -> LinearSolution:
        solution = conjugate_gradient(
            self.curvature_product, right, preconditioner, tolerance, max_iterations
        )
        return solution._replace(value=solution.value.double())

    def _by_factor(self, residual: Float[Tensor, "F K E"]) -> Float[Tensor, "F K E"]:
        assert self._factor is not None  # only used once there is one
        flat = residual.double().flatten(1)[..., None]
        return torch.cholesky_solve(flat, self._factor).reshape(residual.shape).to(residual.dtype)

    def _line_search(
        self, step: Tensor, value: Tensor, gradient: Tensor
    ) -> tuple[bool, Tensor, Tensor]:
        """Halve the steps of the heads that do not decrease enough (Armijo's rule)."""
        slope = (gradient * step).sum((1, 2))
        length = torch.ones_like(value)
        for _ in range(_MAX_HALVINGS):
            theta = self.theta + length[:, None, None] * step
            new_value, new_gradient = self.value_and_gradient(theta)
            enough = new_value <= (
                value + _SUFFICIENT_DECREASE * length * slope + _ROUNDING * value.abs()
            )
            if bool(enough.all()):
                self.theta = theta
                return True, new_value, new_gradient
            length = torch.where(enough, length, length / 2)
        self.value_and_gradient(self.theta)
        return False, value, gradient

    def outputs(self, fold: Int[Tensor, "M"], row: Int[Tensor, "M"]) -> Float[Tensor, "M K"]:
        """Plain logits of head ``fold[m]`` on example ``row[m]``; rows ascending."""
        result = torch.zeros(len(row), self.n_classes, dtype=torch.float64)
        for rows, here in self._own_rows(row):
            logits = self.examples.logits(self.theta, rows)
            result[here] = logits[fold[here], :, row[here] - rows.start]
        return self._ranks.total(result)

    def pull_back(
        self,
        fold: Int[Tensor, "M"],
        row: Int[Tensor, "M"],
        cotangent: Float[Tensor, "M K"],
    ) -> Float[Tensor, "F K E"]:
        """Transpose of :meth:`outputs`: the gradient in θ from one in those logits."""
        result = torch.zeros_like(self.theta)
        folds, classes, _ = self.theta.shape
        for rows, here in self._own_rows(row):
            dense = torch.zeros(folds, classes, rows.stop - rows.start, dtype=torch.float64)
            dense[fold[here], :, row[here] - rows.start] = cotangent[here]
            result += self.examples.pull_back(dense, rows)
        return self._ranks.total(result)

    def mixed_products(
        self, direction: Float[Tensor, "F K E"]
    ) -> tuple[LossDerivatives, Float[Tensor, ""]]:
        """∂_α ⟨∇_θ L_train, p⟩ over (w, l, δ), and over the logarithm of the ridge."""
        values = self._values
        totals = LossDerivatives(*(torch.zeros_like(values.weight) for _ in range(3)))
        for _, rows in self._own_chunks:
            parts = mixed_products(
                self.features.logits(self.theta, rows),
                self.features.logits(direction, rows),
                self.target[rows],
                self.group[rows],
                values.weight,
                values.additive,
                values.multiplicative,
                self.train_weight[:, rows],
            )
            totals = LossDerivatives(*(a + b for a, b in zip(totals, parts, strict=True)))
        totals = LossDerivatives(*map(self._ranks.total, totals))
        slopes = slice(None, -1)
        ridge = (self._penalty[slopes] * self.theta[..., slopes] * direction[..., slopes]).sum()
        return totals, ridge

    def policy_products(self, direction: Float[Tensor, "F K E"]) -> tuple[Tensor, ...]:
        """∂_α ⟨∇_θ L_train, p⟩ over the values of an augmentation policy; there is none here."""
        return ()
