"""What a classifier with a trained model can do, however it was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted, validate_data

from autobalance.labels import as_label
from autobalance.model import LinearModel, Model


class FittedModel:
    """Decisions and probabilities of a scikit-learn classifier, from its fitted attributes.

    A linear head has ``coef_`` and ``intercept_``, a network ``network_``; both have ``classes_``,
    ``temperature_`` and ``calibration_``.
    """

    classes_: ndarray

    def _adopt(self, model: Model) -> None:
        for name in ("coef_", "intercept_", "network_"):
            vars(self).pop(name, None)
        if isinstance(model, LinearModel):
            self.coef_, self.intercept_ = model.coef, model.intercept
        else:
            self.network_ = model
        self.temperature_ = model.temperature
        self.calibration_ = model.calibration

    @property
    def model_(self) -> Model:
        """The trained head or network by itself, as it is saved and exported."""
        check_is_fitted(self)
        if hasattr(self, "network_"):
            return self.network_.with_calibration(self.temperature_, self.calibration_)
        return LinearModel(
            tuple(as_label(label) for label in self.classes_),
            self.coef_,
            self.intercept_,
            self.temperature_,
            self.calibration_,
        )

    def decision_function(self, X: Any) -> ndarray:
        """Logits (N, K), or for two classes their difference (N,), positive for the second."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        logits = self.model_.logits(X)
        return np.asarray(logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits)

    def predict(self, X: Any) -> ndarray:
        """Labels (N,): the class of the largest plain logit; groups play no part."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.asarray(self.classes_[self.model_.predict(X)])

    def predict_proba(self, X: Any, prior: Any = None) -> ndarray:
        """Probabilities (N, K) in the order of ``classes_``.

        Parameters
        ----------
        X
            Features, shape (N, D).
        prior
            How often the classes occur where the probabilities will be used. ``"train"``: as in
            the training data. ``"balanced"``: equally often. K shares in the order of
            ``classes_``: as they say. All are calibrated on held-out examples; see
            :mod:`autobalance.calibration`. With ``None`` (default) the probabilities go with
            :meth:`predict`, which takes the largest: softmax of the logits over a temperature,
            fitted on held-out examples weighted as the objective weighs them. Under a balanced
            objective they refer to about equally likely classes.

        Raises
        ------
        DataError
            If the prior is none of these.
        ArtifactError
            If the classifier was saved before there were priors.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return self.model_.probabilities(X, prior)
