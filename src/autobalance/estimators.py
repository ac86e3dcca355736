"""The scikit-learn door: a classifier that designs its own training loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from autobalance.augmentation.policy import Policy
from autobalance.bench import DEFAULT_RIDGE
from autobalance.contest.contenders import OURS
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.contest.recommend import recommend
from autobalance.contest.verdict import Verdict
from autobalance.costs import Costs
from autobalance.design import LossDesign
from autobalance.errors import ArtifactError, DataError
from autobalance.fitted import FittedModel
from autobalance.labels import Label, as_label
from autobalance.models.factory import Factory
from autobalance.network_model import read_model
from autobalance.network_settings import TABULAR_TRAINING, NetworkSettings
from autobalance.objectives import Objective
from autobalance.plain import is_plain, plain
from autobalance.search.constraints import Constraint
from autobalance.search.result import SearchResult
from autobalance.search.settings import AUTO, SearchSettings
from autobalance.sensitive import encode_sensitive
from autobalance.storage import DAMAGED, folder_written_at_once
from autobalance.training.plan import SearchPlan
from autobalance.training.settings import TrainingSettings

DESIGN_FILE = "design.json"
_LARGEST_WEIGHT = 1e100  # squares of such weights, and their inverses, are still numbers


class AutoBalanceClassifier(FittedModel, ClassifierMixin, BaseEstimator):
    """Linear classifier whose training loss is designed for an objective on held-out folds.

    The parametric cross-entropy −w log softmax(δ z + l) is searched by exact bilevel optimisation:
    for every candidate loss the head is trained to its optimum on each fold, and the gradient of
    the held-out objective flows back through that optimum. The head is then trained with the
    designed loss on all the data, unless the verdict from outer folds finds that a simpler loss, or
    a tuned post-hoc bias, does as well: then that one is kept, and the designed one is shown.

    Parameters
    ----------
    objective
        What should be small on new data: ``error``, ``balanced`` (default: it is why one is here),
        ``group-balanced``, ``worst-class``, ``worst-group``, ``equal-opportunity``,
        ``equalized-odds``, or a sum such as ``0.1*error+0.9*equalized-odds``; or ``cost``, the mean
        of what decisions cost, with ``costs``.
    parameters
        What is searched: any of ``weight`` or ``emphasis``, ``additive``, ``multiplicative``,
        ``ridge``, or ``"auto"`` (default): weight, additive and ridge for a linear head, where
        ``multiplicative`` mostly adds local optima; for a network
        :func:`~autobalance.search.online_settings.network_parameters`.
    dictionary
        Which classes or cells share a value (see :mod:`autobalance.dictionary`), one name or one
        per parameter; ``"auto"`` takes the finest that the held-out examples can carry.
    start
        Where the search starts: the name of a preset, a :class:`~autobalance.design.LossDesign`
        for the same classes and groups, or ``"auto"``: the best on the folds of the closed forms
        that are consistent with the objective (Algorithm 1, line 1).
    parametrisation
        ``"exp"`` (default) or the paper's ``"sigmoid"`` for δ.
    ridge
        Strength μ of μ/2 ‖θ‖² beside the mean loss, or its start if it is searched. Features are
        standardised, so 0.01 is a moderate value for any data. Below 1e-6, and so at 0, it counts
        as 1e-6: without any, separable data has no finite optimum.
    cv
        Held-out data: a number of stratified folds (default 5), a share for one split, a
        scikit-learn splitter, or an iterable of (train, validation) positions.
    shrinkage
        Pull towards the start; 1 (default) is a standard normal prior in logits and log weights.
    required_gain
        Standard errors that a designed loss must gain on the folds to replace its closed-form start
        (default 1). ``None`` always takes the lowest point found. See
        :mod:`autobalance.search.evidence`.
    constraints
        Limits on other objectives, such as ``("error<=0.3",)``: smooth error rates on held-out
        examples, or cross-entropies where ``held_out_loss`` asks for them.
    held_out_loss
        What the objective is taken of on held-out examples: ``"error"``, a smooth error rate;
        ``"cross-entropy"``, as in the paper; or ``"auto"`` (default): the error where the objective
        rests on at least 100 held-out examples, or with constraints.
    sharpness
        Sharpness of the smooth maxima in worst-case objectives, per unit of the held-out loss; by
        default 60 for errors and 20 for cross-entropy.
    profile_temperature
        Fit one temperature on held-out logits before taking the objective (default), so that a
        loss cannot win by the scale of its logits.
    standardise
        Scale each feature to variance 1 inside the model (default), or, if false, all by one common
        scale: better for embeddings, whose features share a unit. ``coef_`` is for raw features.
    augmentation
        ``"ball"`` trains a linear head on balls around the examples, of a radius for each class
        (and group) that is searched beside the loss, as Lemma 2 of the paper has it; or a
        :meth:`Policy.ball <autobalance.augmentation.policy.Policy.ball>` to start from. Radii are
        in units of the standardised features. Predictions see examples as they are. It takes
        longer, and the draws depend on the order of the rows. ``None`` (default) moves no example.
    positive_class
        The class that ``equal-opportunity`` is about; by default the second of two.
    costs
        What decisions cost, for ``cost``: K rows of K numbers in the order of ``classes_``, of
        which a row is a true class and a column a decision; a ``DataFrame`` with the classes as
        index and columns; or :class:`~autobalance.costs.Costs`. Only their proportions count.
    empty_cells
        ``"error"`` refuses data with an empty (class, group) cell that the objective needs,
        ``"drop"`` leaves such cells out.
    max_evaluations, tolerance
        Limits of the search: evaluations at most, and the decrease that ends it.
    precision
        ``"mixed"`` (features and Hessian products in float32, everything else in float64) or
        ``"double"``, at twice the memory for features.
    verdict
        How the designed loss is judged beside every closed form and a tuned post-hoc bias: on a
        number of outer folds, on a share that is left untouched, or ``"auto"`` (default): 5 folds,
        or a quarter of large data that holds 100 examples of every cell that counts. It multiplies
        the cost of a fit, since every contender repeats its whole procedure. ``None`` keeps the
        designed loss without asking. See :mod:`autobalance.contest`.
    model
        ``None`` (default) for a linear head and the exact search. For a network, trained and
        searched as in Algorithm 1: ``"mlp"``, ``"linear"``, the import path of a factory such as
        ``"package.module:factory"``, or the factory itself, called with the shape of one example,
        ``(D,)``, and K. It sees standardised features.
    training, plan
        For a network: epochs, batches, optimizer and schedule; warm-up and moves of the loss. See
        :class:`~autobalance.training.settings.TrainingSettings` and
        :class:`~autobalance.training.plan.SearchPlan`.
    device
        Where a network is trained; by default a GPU if there is one.
    n_jobs
        Outer parts handled at once, as joblib takes it.
    random_state
        Seed of the folds; the rest is deterministic.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    coef_ : ndarray of shape (K, D)
        One row of coefficients per class, for the features as handed in.
    intercept_ : ndarray of shape (K,)
        These two of a linear head only.
    network_ : NetworkModel
        The trained network, if there is one.
    model_ : Model
        Either by itself, as :meth:`save` and :func:`~autobalance.export.onnx_file.export_onnx`
        write it.
    temperature_ : float
        Fitted on held-out examples; divides the logits in :meth:`predict_proba`.
    calibration_ : Calibration
        Fitted on held-out examples, for a stated prior in :meth:`predict_proba`.
    design_ : LossDesign
        The loss that was kept, to save or to drop into another training loop.
    kept_ : str
        Its name: ``"AutoBalance"`` for the designed loss.
    verdict_ : Verdict or None
        Every contender's error on the examples left out, with paired intervals. ``None`` without a
        verdict, or if a class is too rare to be left out. Not kept by :meth:`save`.
    designed_ : LossDesign
        What the search designed, whether it was kept or not. Not kept by :meth:`save`.
    result_ : SearchResult
        The course of that search, which ``result_.write_history(path)`` writes as CSV. Not kept by
        :meth:`save`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (D,)
        If ``X`` had string column names.

    References
    ----------
    Li, Zhang, Thrampoulidis, Chen and Oymak, "AutoBalance: Optimized loss functions for imbalanced
    data", NeurIPS 2021.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from autobalance import AutoBalanceClassifier
    >>> X, y = make_classification(500, weights=[0.9], random_state=0)
    >>> model = AutoBalanceClassifier("balanced", random_state=0).fit(X, y)
    >>> model.design_.weight.shape
    (2, 1)
    """

    # Groups reach `fit` inside meta-estimators without a further word.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"sensitive_features": True}
    # What scikit-learn checks the kind of; the rest is checked by those who use it.
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "objective": [str],
        "parameters": [str, "array-like"],
        "dictionary": [str, dict],
        "start": [str, LossDesign],
        "ridge": [Real],
        "shrinkage": [Real],
        "required_gain": [Real, None],
        "constraints": [str, "array-like"],
        "sharpness": [Real, None],
        "max_evaluations": [Real],
        "tolerance": [Real, None],
    }

    def __init__(
        self,
        objective: str = "balanced",
        *,
        parameters: str | Sequence[str] = AUTO,
        dictionary: str | dict[str, str] = "auto",
        start: str | LossDesign = "auto",
        parametrisation: str = "exp",
        ridge: float = DEFAULT_RIDGE,
        cv: Any = 5,
        shrinkage: float = 1.0,
        required_gain: float | None = 1.0,
        constraints: Sequence[str] = (),
        held_out_loss: str = AUTO,
        sharpness: float | None = None,
        profile_temperature: bool = True,
        standardise: bool = True,
        augmentation: str | Policy | None = None,
        positive_class: Label = None,
        costs: Any = None,
        empty_cells: str = "error",
        max_evaluations: int = 60,
        tolerance: float | None = None,
        precision: str = "mixed",
        verdict: str | int | float | None = AUTO,
        model: str | Factory | None = None,
        training: TrainingSettings | None = None,
        plan: SearchPlan | None = None,
        device: str | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.objective = objective
        self.parameters = parameters
        self.dictionary = dictionary
        self.start = start
        self.parametrisation = parametrisation
        self.ridge = ridge
        self.cv = cv
        self.shrinkage = shrinkage
        self.required_gain = required_gain
        self.constraints = constraints
        self.held_out_loss = held_out_loss
        self.sharpness = sharpness
        self.profile_temperature = profile_temperature
        self.standardise = standardise
        self.augmentation = augmentation
        self.positive_class = positive_class
        self.costs = costs
        self.empty_cells = empty_cells
        self.max_evaluations = max_evaluations
        self.tolerance = tolerance
        self.precision = precision
        self.verdict = verdict
        self.model = model
        self.training = training
        self.plan = plan
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sensitive_features: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
    ) -> AutoBalanceClassifier:
        """Design the loss on held-out folds, judge it, and train what is kept on all examples.

        Parameters
        ----------
        X
            Features, shape (N, D), dense, finite.
        y
            Labels, shape (N,). Several labels per example are fitted one by one, by scikit-learn's
            ``MultiOutputClassifier``.
        sensitive_features
            The groups that group objectives speak about, one or several columns of N rows; missing
            values are a group of their own. Never needed to predict.
        sample_weight
            Weights of the examples; 2 is the same as a second copy, 0 the same as leaving out.
        groups
            Units that a scikit-learn splitter in ``cv`` keeps together, such as subjects. They have
            nothing to do with ``sensitive_features``.

        Raises
        ------
        DataError, ObjectiveError, DesignError
            If the data, the objective or the start do not go together; the message says how.
        """
        try:
            self._validate_params()
        except InvalidParameterError as error:
            raise DataError(" ".join(str(error).split())) from error
        _refuse_several_labels(y)
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        weight = np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float64), np.float64)
        if (weight < 0).any():
            raise DataError("a sample weight is negative; weights must be 0 or more")
        used = weight > 0
        if not used.any():
            raise DataError("all sample weights are 0; nothing is left to train on")
        if not 1 / _LARGEST_WEIGHT < weight.max() < _LARGEST_WEIGHT:
            raise DataError(
                f"the largest sample weight is {weight.max():g}; scale them so that 1 stands for "
                "an example"
            )
        self.classes_ = np.unique(y[used])
        if len(self.classes_) < 2:
            raise DataError(
                f"y holds one class only ({self.classes_[0]!r}); a classifier needs at least two"
            )
        if not used.all() and not np.isin(y, self.classes_).all():
            # A class whose examples all weigh nothing is no class of this fit.
            y = np.where(np.isin(y, self.classes_), y, self.classes_[0])
        codes = np.searchsorted(self.classes_, y)
        sensitive = (
            None
            if sensitive_features is None
            else encode_sensitive(sensitive_features, len(y), used)
        )
        data = TrainingData(
            X,
            codes,
            np.zeros(len(y), dtype=np.int64) if sensitive is None else sensitive.codes,
            weight,
            tuple(as_label(label) for label in self.classes_),
            None if sensitive is None else sensitive.labels,
            y,
            groups,
        )
        procedure = self._procedure()
        outcome = recommend(data, procedure, self.verdict, everything=False, n_jobs=self.n_jobs)
        designed, kept = outcome.heads[OURS], outcome.kept
        self._adopt(kept.model)
        self.kept_ = kept.name
        self.verdict_: Verdict | None = outcome.verdict
        self.design_, self.designed_ = (
            head.design.with_metadata(**procedure.objective.facts(), name=head.name)
            for head in (kept, designed)
        )
        self.result_: SearchResult = replace(designed.result, design=self.designed_)
        return self

    def _procedure(self) -> Procedure:
        """How a loss is designed, from the parameters."""
        cv = self.cv
        if isinstance(cv, Iterable) and not isinstance(cv, str) and not hasattr(cv, "split"):
            cv = list(cv)  # pairs of positions, which are read more than once
        return Procedure(
            Objective.parse(
                self.objective,
                self.positive_class,
                None if self.costs is None else Costs.of(self.costs, list(self.classes_)),
            ),
            cv,
            _seed(self.random_state),
            self.empty_cells,
            _texts(self.parameters),
            self.dictionary,
            self.parametrisation,
            self.start,
            self.ridge,
            tuple(Constraint.parse(text, self.positive_class) for text in _texts(self.constraints)),
            SearchSettings(
                held_out_loss=self.held_out_loss,
                sharpness=self.sharpness,
                shrinkage=self.shrinkage,
                profile_temperature=self.profile_temperature,
                required_gain=self.required_gain,
                max_evaluations=self.max_evaluations,
                tolerance=self.tolerance,
                precision=self.precision,
            ),
            self.standardise,
            None
            if self.model is None
            else NetworkSettings(
                self.model,
                self.training or TABULAR_TRAINING,
                self.plan or SearchPlan(),
                self.device,
            ),
            policy=self.augmentation,
        )

    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to ``folder`` as JSON and safetensors, no pickle.

        A folder of an earlier save is replaced as a whole; anything else is left alone.

        Raises
        ------
        ArtifactError
            If the folder cannot be written, or holds something else.
        """
        model = self.model_
        given = {name: plain(value) for name, value in self.get_params(deep=False).items()}
        # What JSON cannot hold, such as a splitter, comes back as the default.
        parameters = {name: value for name, value in given.items() if is_plain(value)}
        if self.costs is not None:
            parameters["costs"] = Costs.of(self.costs, list(self.classes_)).to_json()
        names = getattr(self, "feature_names_in_", None)
        extra = {
            "estimator": type(self).__name__,
            "parameters": parameters,
            "class_dtype": self.classes_.dtype.str,
            "feature_names": None if names is None else [str(name) for name in names],
        }
        with folder_written_at_once(Path(folder), "model.json") as temporary:
            model.write(temporary, extra)
            self.design_.save(temporary / DESIGN_FILE)

    @classmethod
    def load(cls, folder: str | Path, factory: Factory | None = None) -> AutoBalanceClassifier:
        """Read a classifier written by :meth:`save`; ``result_`` does not come back.

        Parameters
        ----------
        folder
            Where it was saved.
        factory
            Makes the network, if it was not a built-in one: no file can have code run.

        Raises
        ------
        ArtifactError, DesignError
            If a file is missing, damaged, or newer than this version.
        """
        model, extra = read_model(folder, factory)
        try:
            parameters: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in extra["parameters"].items()
            }
            if parameters.get("costs") is not None:  # earlier classifiers have none
                parameters["costs"] = Costs.from_json(parameters["costs"])
            classes = np.array(list(model.classes), dtype=np.dtype(extra["class_dtype"]))
            names = extra["feature_names"]
            known = set(cls().get_params(deep=False))
            if extra["estimator"] != cls.__name__ or not set(parameters) <= known:
                raise ValueError("it belongs to another estimator")
            if tuple(map(as_label, classes)) != model.classes:
                raise ValueError(f"its classes are not {classes.dtype}")
            if names is not None and [type(name) for name in names] != [str] * model.shape[0]:
                raise ValueError("it has not one name for each feature")
            estimator = cls(**parameters)
        except DAMAGED as error:
            raise ArtifactError(
                f"{folder} holds no {cls.__name__} ({error}); check the folder"
            ) from error
        estimator.classes_ = classes
        estimator.n_features_in_ = model.shape[0]
        if names is not None:
            estimator.feature_names_in_ = np.array(names, dtype=object)
        estimator._adopt(model)
        estimator.design_ = LossDesign.load(Path(folder) / DESIGN_FILE)
        estimator.kept_ = str(estimator.design_.metadata.get("name", OURS))
        return estimator


def _seed(random_state: Any) -> int | None:
    """A seed for the folds; the state of a RandomState moves on as scikit-learn expects."""
    if random_state is None or isinstance(random_state, (int, np.integer)):
        return None if random_state is None else int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    """A single text counts as a sequence of one."""
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _refuse_several_labels(y: Any) -> None:
    """Name what fits labels one by one."""
    shape: tuple[int, ...] = (y if hasattr(y, "shape") else np.asarray(y, dtype=object)).shape
    if len(shape) == 2 and shape[1] > 1:
        raise DataError(
            f"y has shape {tuple(shape)}, {shape[1]} labels per example; fit one classifier for "
            "each with sklearn.multioutput.MultiOutputClassifier(AutoBalanceClassifier(...)), or "
            "train a network with OnlineSearch and ParametricBinaryCrossEntropy"
        )
