"""What tests of heads share: the features as a head is penalised on them, and training by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize

INTERCEPT_RIDGE = 1e-6


def log_losses(z, y):
    """−log softmax(z)_y of every example."""
    shifted = z - z.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]


class ByHand:
    """Heads on centred features of one common scale, minimised by a general method."""

    def __init__(self, part):
        x = part.features.astype(np.float64)
        self.y, self.g, self.x = part.y, part.g, x
        self.scale = np.sqrt(x.var(0).mean())
        self.standard = (x - x.mean(0)) / self.scale
        self.cells = [[(self.y == k) & (self.g == j) for j in (0, 1)] for k in (0, 1)]

    def cross_entropies(self, z):
        return log_losses(z, self.y)

    def cell_risks(self, z):
        losses = log_losses(z, self.y)
        return np.array([[losses[cell].mean() for cell in row] for row in self.cells])

    def group_la(self, z):
        """Groups weighted to count alike, each with the log shares of its classes added."""
        total = 0.0
        for j in (0, 1):
            here = self.g == j
            shares = np.array([(self.y[here] == k).mean() for k in (0, 1)])
            total += log_losses(z[here] + np.log(shares), self.y[here]).mean()
        return total / 2

    def penalised(self, loss, ridge):
        """The training objective as a function of flat coefficients and intercepts."""

        def value(flat):
            theta = flat.reshape(2, -1)
            z = self.standard @ theta[:, :-1].T + theta[:, -1]
            penalty = ridge / 2 * (theta[:, :-1] ** 2).sum()
            return loss(z) + penalty + INTERCEPT_RIDGE / 2 * (theta[:, -1] ** 2).sum()

        return value

    def minimum(self, loss, ridge):
        """Difference of the logits at the minimum, and the value there."""
        value = self.penalised(loss, ridge)
        start = np.zeros(2 * (self.x.shape[1] + 1))
        best = minimize(value, start, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
        theta = best.x.reshape(2, -1)
        z = self.standard @ theta[:, :-1].T + theta[:, -1]
        return z[:, 1] - z[:, 0], best.fun

    def theta_of(self, model):
        """Flat parameters of a linear model on the standard features, intercepts of sum 0."""
        intercept = model.intercept + model.coef @ self.x.mean(0)
        return np.column_stack([model.coef * self.scale, intercept - intercept.mean()]).ravel()

    def lead_of(self, model):
        """Difference of a model's logits."""
        z = model.logits(self.x)
        return z[:, 1] - z[:, 0]


@pytest.fixture
def by_hand(small_lab):
    data, _ = small_lab
    return ByHand(data.train)


def model_of(fitted):
    """The linear model behind a prediction."""
    return fitted.predict.__self__


@pytest.fixture(name="model_of")
def _model_of():
    return model_of
