"""The scikit-learn contract, groups, routing, and saving without pickle."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, TimeSeriesSplit, cross_validate
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from autobalance import (
    ArtifactError,
    AutoBalanceClassifier,
    Costs,
    DataError,
    DesignError,
    LossDesign,
    Objective,
    ObjectiveError,
    TrainingSettings,
    objective_error,
    objective_scorer,
)
from autobalance.augmentation.policy import Policy
from autobalance.search.augmented_heads import starting_radius


@parametrize_with_checks([AutoBalanceClassifier(precision="double", verdict=None)])
@pytest.mark.usefixtures("plain_calls")  # the checks pass wrong types on purpose
def test_scikit_learn_contract(estimator, check):
    check(estimator)


Designed = partial(AutoBalanceClassifier, verdict=None)
"""Without a verdict the designed loss is kept: what most tests look at, and quick."""


@pytest.fixture(scope="module")
def grouped():
    """Two classes, two groups; the label follows one feature, the group shifts another."""
    rng = np.random.default_rng(0)
    n = 600
    y = (rng.random(n) < 0.25).astype(int)
    group = np.where(rng.random(n) < np.where(y == 1, 0.8, 0.2), "b", "a").astype(object)
    X = rng.normal(size=(n, 6))
    X[:, 0] += 1.2 * y
    X[:, 1] += 1.5 * (group == "b")
    return X, y, group


def test_cross_entropy_alone_is_logistic_regression():
    # Nothing but the ridge is fixed and nothing of the loss is moved: scikit-learn is the oracle.
    X, y = make_classification(400, 5, n_informative=4, n_redundant=0, random_state=1)
    X = StandardScaler().fit_transform(X)
    ours = Designed(
        "error",
        parameters=("weight",),
        start="cross-entropy",
        ridge=0.01,
        shrinkage=1e9,
        precision="double",
        random_state=0,
    ).fit(X, y)
    # softmax over two logits with ridge μ on each is a logistic regression with μ/2
    theirs = LogisticRegression(C=1 / (400 * 0.005), tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(
        ours.decision_function(X), theirs.decision_function(X), rtol=1e-3, atol=1e-3
    )


def test_designed_loss_serves_the_objective(grouped):
    X, y, group = grouped
    plain = Designed("error", start="cross-entropy", random_state=0)
    designed = Designed("worst-group", required_gain=None, random_state=0)

    def worst(model):
        return objective_error(
            y, model.predict(X), objective="worst-group", sensitive_features=group
        )

    plain.fit(X, y, sensitive_features=group)
    designed.fit(X, y, sensitive_features=group)
    assert worst(designed) < worst(plain) - 0.05
    assert designed.design_.counts.groups == ("a", "b")
    assert designed.result_.value < designed.result_.history[0].objective


def test_deterministic_under_random_state(grouped):
    X, y, group = grouped
    models = [
        Designed("group-balanced", random_state=7).fit(X, y, sensitive_features=group)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)
    assert models[0].design_ == models[1].design_


def test_missing_groups_are_a_group_and_columns_combine(grouped):
    X, y, group = grouped
    second = np.where(np.arange(len(y)) % 2 == 0, "x", "y").astype(object)
    gaps = group.copy()
    gaps[:200] = np.nan
    model = Designed("group-balanced", random_state=0)
    model.fit(X, y, sensitive_features=np.column_stack([gaps, second]))
    assert model.design_.counts.groups == (
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("b", "y"),
        (None, "x"),
        (None, "y"),
    )


def test_routing_in_search_and_cross_validation(grouped):
    X, y, group = grouped
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), Designed("worst-group", random_state=0, cv=3))
        search = GridSearchCV(
            pipeline,
            {"autobalanceclassifier__shrinkage": [0.1, 10.0]},
            scoring=objective_scorer("worst-group"),
            cv=2,
            error_score="raise",
        )
        search.fit(X, y, sensitive_features=group)
        scores = cross_validate(
            pipeline,
            X,
            y,
            scoring=objective_scorer("worst-group"),
            params={"sensitive_features": group},
            cv=2,
            error_score="raise",
        )["test_score"]
    assert -1 < search.best_score_ < 0
    assert (scores < 0).all()
    # groups are not needed to predict
    assert search.predict(X).shape == y.shape


def test_scorer_is_the_hand_computed_error(grouped):
    X, y, group = grouped
    predicted = (X[:, 0] > 0.5).astype(int)
    cells = [(predicted != y)[(y == k) & (group == j)].mean() for k in (0, 1) for j in ("a", "b")]
    for name, expected in (
        ("group-balanced", np.mean(cells)),
        ("worst-group", np.max(cells)),
        ("equalized-odds", abs(cells[0] - cells[1]) + abs(cells[2] - cells[3])),
        ("error", (predicted != y).mean()),
    ):
        found = objective_error(y, predicted, objective=name, sensitive_features=group)
        assert found == pytest.approx(expected, abs=1e-12)


def several_labels(grouped):
    """A frequent label and a rare one, beside the groups of ``grouped``."""
    X, y, group = grouped
    return X, np.column_stack([y, (X[:, 1] + 0.3 * y > 1.6).astype(int)]), group


def test_scorer_of_labels_is_the_hand_computed_error(grouped):
    X, Y, group = several_labels(grouped)
    predicted = (X[:, :2] > 0.5).astype(int)
    cells = [
        (predicted[:, k] != Y[:, k])[(Y[:, k] == t) & (group == j)].mean()
        for t in (0, 1)
        for k in (0, 1)
        for j in ("a", "b")
    ]
    for name, expected in (
        ("group-balanced", np.mean(cells)),
        ("worst-group", np.max(cells)),
        ("error", (predicted != Y).mean()),
    ):
        found = objective_error(Y, predicted, objective=name, sensitive_features=group)
        assert found == pytest.approx(expected, abs=1e-12)
    half = np.where(np.arange(len(Y))[:, None] % 2, Y, np.nan)
    assert objective_error(half, predicted) == objective_error(Y[1::2], predicted[1::2])
    with pytest.raises(DataError, match="give decisions, such as z > 0"):
        objective_error(Y, X[:, :2])
    with pytest.raises(ObjectiveError, match="would compare labels with one another"):
        objective_error(Y, predicted, objective="equalized-odds")


def test_several_labels_are_fitted_one_by_one(grouped):
    X, Y, group = several_labels(grouped)
    for refused in (Y, Y.tolist()):
        with pytest.raises(DataError, match=r"2 labels per example; .*MultiOutputClassifier"):
            Designed().fit(X, refused)
    one = Designed("group-balanced", parameters=("additive",), cv=2, random_state=0)
    many = MultiOutputClassifier(one).fit(X, Y, sensitive_features=group)
    for each, y in zip(many.estimators_, Y.T, strict=True):
        assert each.design_ == one.fit(X, y, sensitive_features=group).design_
    assert many.predict(X).shape == Y.shape
    assert len(many.predict_proba(X)) == 2
    assert objective_error(Y, many.predict(X), objective="group-balanced") < 0.4


def test_scorer_refuses_weights_that_do_not_fit():
    for weight in ([1.0], [-1.0, 1.0], [0.0, 0.0]):
        with pytest.raises(DataError, match="sample_weight"):
            objective_error([0, 1], [0, 1], sample_weight=weight)


@pytest.mark.parametrize(
    "cv", [0.3, TimeSeriesSplit(3), GroupKFold(3), [(range(0, 300), range(300, 600))]]
)
def test_any_way_to_hold_out(grouped, cv):
    X, y, _ = grouped
    if isinstance(cv, list):
        cv = [(np.array(a), np.array(b)) for a, b in cv]
    subjects = np.arange(len(y)) // 4 if isinstance(cv, GroupKFold) else None
    model = Designed("balanced", cv=cv, random_state=0).fit(X, y, groups=subjects)
    assert np.isfinite(model.coef_).all()


def test_save_and_load(tmp_path, grouped):
    X, y, group = grouped
    names = np.where(y == 1, "rare", "common")
    model = Designed("worst-group", random_state=0, cv=3)
    model.fit(X, names, sensitive_features=group)
    model.save(tmp_path / "model")
    loaded = AutoBalanceClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.design_ == model.design_
    assert loaded.get_params() == model.get_params()
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "design.json",
        "model.json",
        "model.safetensors",
    }
    # again into the same folder, but never over somebody else's
    model.save(tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(ArtifactError, match="mine"):
        model.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_damaged_model_is_refused(tmp_path, grouped):
    X, y, _ = grouped
    model = Designed(random_state=0, cv=2).fit(X, y)
    model.save(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        AutoBalanceClassifier.load(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    document = json.loads(path.read_text())
    document["version"] = 99
    path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="version 99"):
        AutoBalanceClassifier.load(tmp_path / "model")


def test_starts_from_a_saved_design(tmp_path, grouped):
    X, y, group = grouped
    first = Designed("group-balanced", random_state=0)
    first.fit(X, y, sensitive_features=group)
    first.design_.save(tmp_path / "design.json")
    design = LossDesign.load(tmp_path / "design.json")
    again = Designed("group-balanced", start=design, shrinkage=0.0, random_state=0)
    again.fit(X, y, sensitive_features=group)
    assert again.result_.history[0].objective == pytest.approx(first.result_.best.objective, 1e-4)
    with pytest.raises(DesignError, match="other classes or groups"):
        Designed(start=design).fit(X, y)


def test_refusals_name_what_and_how(grouped):
    X, y, group = grouped
    with pytest.raises(ObjectiveError, match="sensitive_features"):
        Designed("equalized-odds").fit(X, y)
    with pytest.raises(DataError, match="600 rows"):
        Designed("worst-group").fit(X, y, sensitive_features=group[:-1])
    with pytest.raises(DesignError, match="gamma"):
        Designed(parameters=("gamma",)).fit(X, y)
    with pytest.raises(DataError, match="single example"):
        Designed().fit(X, np.where(np.arange(600) == 3, 2, y))
    emptied = group.copy()
    emptied[y == 1] = "b"
    with pytest.raises(ObjectiveError, match=r"class '1' in group 'a'.*empty_cells"):
        Designed("worst-group").fit(X, y, sensitive_features=emptied)
    dropped = Designed("worst-group", empty_cells="drop", random_state=0)
    dropped.fit(X, y, sensitive_features=emptied)
    assert np.isfinite(dropped.coef_).all()


def test_separable_data_without_a_ridge_ends_finite():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [60, 20])
    X = rng.normal(size=(80, 3)) + 20.0 * y[:, None]
    model = Designed(parameters=("weight", "additive"), ridge=0.0, random_state=0)
    model.fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert model.score(X, y) == 1.0
    searched = Designed(ridge=0.0, random_state=0).fit(X, y)
    assert searched.result_.history[0].ridge == pytest.approx(1e-6)


@pytest.mark.usefixtures("plain_calls")  # as a search over np.arange would pass them
def test_parameters_from_numpy_survive_saving(tmp_path, grouped):
    X, y, _ = grouped
    model = Designed(
        parameters=np.array(["weight", "ridge"]),
        max_evaluations=np.int64(5),
        ridge=np.float32(0.5),
        random_state=np.int64(3),
        cv=GroupKFold(3),
    ).fit(X, y, groups=np.arange(len(y)) // 4)
    model.save(tmp_path / "model")
    loaded = AutoBalanceClassifier.load(tmp_path / "model")
    assert loaded.parameters == ("weight", "ridge")
    assert (loaded.max_evaluations, loaded.ridge, loaded.random_state) == (5, 0.5, 3)
    assert loaded.cv == 5  # a splitter is not saved


def test_weight_zero_is_leaving_out_for_groups_too(grouped):
    X, y, group = grouped
    extra = np.append(group, ["c"] * 5)
    settings = {"objective": "group-balanced", "random_state": 0, "cv": [CUT]}
    weighted = Designed(**settings).fit(
        np.vstack([X, X[:5]]),
        np.append(y, y[:5]),
        sensitive_features=extra,
        sample_weight=np.append(np.ones(600), np.zeros(5)),
    )
    plain = Designed(**settings).fit(X, y, sensitive_features=group)
    assert weighted.design_.counts == plain.design_.counts
    np.testing.assert_allclose(weighted.coef_, plain.coef_, atol=1e-4)


CUT = (np.arange(0, 400), np.arange(400, 600))


@pytest.mark.parametrize(("verdict", "basis"), [(2, "outer folds"), (0.3, "untouched part")])
def test_the_recommended_loss_is_kept_and_the_rest_is_shown(grouped, verdict, basis, tmp_path):
    X, y, _ = grouped
    model = AutoBalanceClassifier("balanced", verdict=verdict, cv=2, random_state=0).fit(X, y)
    assert model.verdict_.basis == basis
    assert model.kept_ == model.verdict_.recommended != "AutoBalance"
    assert model.design_.metadata["name"] == model.kept_
    assert model.designed_.metadata["name"] == "AutoBalance"
    assert model.result_.design == model.designed_
    assert len(model.verdict_.standings) == 8
    designed = Designed("balanced", cv=2, random_state=0).fit(X, y)
    assert designed.verdict_ is None
    assert designed.kept_ == "AutoBalance"
    assert designed.design_ == designed.designed_ == model.designed_
    model.save(tmp_path / "model")
    assert AutoBalanceClassifier.load(tmp_path / "model").kept_ == model.kept_


def test_a_verdict_within_a_search_keeps_subjects_apart(grouped):
    X, y, _ = grouped
    subjects = np.arange(600) // 6
    model = AutoBalanceClassifier(cv=GroupKFold(2), random_state=0).fit(X, y, groups=subjects)
    assert (model.verdict_.parts, model.verdict_.examples) == (2, 600)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_calls")
def test_scikit_learn_contract_with_a_verdict():
    """The quick checks above, with what most calls use: a verdict from an untouched part."""
    results = check_estimator(
        AutoBalanceClassifier(precision="double", cv=2, verdict=0.4), on_fail=None, on_skip=None
    )
    assert len(results) > 40
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


def test_balls_are_learned_kept_and_saved(tmp_path):
    # Many features and next to no ridge: only the balls keep the head from following noise.
    X, y = make_classification(200, 30, n_informative=4, weights=[0.7], random_state=0)
    free = {
        "parameters": ("magnitude",),
        "start": "weighted",
        "ridge": 1e-4,
        "required_gain": None,
        "random_state": 0,
    }
    balls = Designed(augmentation="ball", **free).fit(X, y)
    plain = Designed(**{**free, "parameters": ("weight",)}).fit(X, y)
    assert plain.design_.policy is None
    policy = balls.design_.policy
    assert policy.sub_policies == (("ball",),)
    assert policy.cells == (2, 1)
    assert not np.allclose(policy.magnitude, starting_radius(30), rtol=1e-3)
    assert (balls.coef_ != plain.coef_).any()
    np.testing.assert_array_equal(balls.decision_function(X), balls.decision_function(X))
    balls.save(tmp_path / "model")
    loaded = AutoBalanceClassifier.load(tmp_path / "model")
    assert loaded.design_ == balls.design_
    assert loaded.augmentation == "ball"
    np.testing.assert_array_equal(loaded.predict_proba(X), balls.predict_proba(X))
    again = Designed(start=loaded.design_, random_state=0).fit(X, y)
    assert again.design_.policy is not None
    np.testing.assert_allclose(
        again.result_.history[0].objective, balls.result_.best.objective, rtol=1e-3
    )


def test_a_policy_of_balls_is_where_the_search_starts(grouped):
    X, y, group = grouped
    policy = Policy.ball([[0.5, 0.1], [0.2, 0.3]])
    model = Designed("group-balanced", augmentation=policy, parameters=("ridge",), random_state=0)
    model.fit(X, y, sensitive_features=group)
    assert model.design_.policy == policy
    assert clone(model).augmentation is not None


def test_closed_forms_that_are_kept_have_no_balls(grouped):
    X, y, _ = grouped
    noise = np.random.default_rng(5).permutation(y)
    model = AutoBalanceClassifier("error", augmentation="ball", cv=2, verdict=2, random_state=0)
    model.fit(X, noise)
    assert model.kept_ != "AutoBalance"
    assert model.design_.policy is None
    assert model.designed_.policy is not None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"augmentation": "flip"}, DesignError, "augmentation is 'flip'; use 'ball'"),
        (
            {"augmentation": Policy.uniform(2, 1, (("rotate", "invert"),))},
            DesignError,
            "policy is of rotate, invert.*only a ball",
        ),
        ({"augmentation": Policy.ball([[0.1]] * 3)}, DesignError, "for 3 classes"),
        ({"augmentation": "ball", "model": "mlp"}, DataError, "linear head's.*search_and_retrain"),
        ({"parameters": ("magnitude",)}, DesignError, "augmentation policy"),
        ({"augmentation": "ball", "dictionary": {"weight": "class"}}, DesignError, "no dictionary"),
    ],
)
def test_augmentations_that_cannot_be_are_refused(grouped, options, error, message):
    X, y, _ = grouped
    with pytest.raises(error, match=message):
        Designed(**options).fit(X, y)


MATRIX = np.array([[0.0, 1.0, 1.0, 4.0], [2.0, 0, 6, 1], [1, 8, 0, 1], [20, 1, 3, 0]])
NAMES = np.array(["p", "q", "r", "s"])


def draw_costly(rows):
    """Classes of unlike spread, which no linear head has right."""
    world, rng = np.random.default_rng(1), np.random.default_rng(rows)
    means, spread = world.normal(size=(4, 6)), np.array([1.0, 1.6, 0.8, 1.3])
    y = rng.choice(4, rows, p=[0.55, 0.25, 0.13, 0.07])
    return means[y] + spread[y, None] * rng.normal(size=(rows, 6)), NAMES[y]


def paid(y, decided):
    return MATRIX[np.searchsorted(NAMES, y), np.searchsorted(NAMES, decided)]


@pytest.fixture(scope="module")
def of_costs():
    return Designed("cost", costs=MATRIX, random_state=0).fit(*draw_costly(1000))


class TestCosts:
    def test_decisions_on_new_data_cost_less_than_those_of_cross_entropy(self, of_costs):
        X, y = draw_costly(20_000)
        plain = Designed("error", max_evaluations=1, random_state=0).fit(*draw_costly(1000))
        ours, theirs = (paid(y, model.predict(X)) for model in (of_costs, plain))
        gain = theirs - ours
        assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))
        assert ours.mean() < 0.85 * theirs.mean()
        frame = pd.DataFrame(MATRIX, NAMES, NAMES)
        found = objective_error(y, of_costs.predict(X), objective="cost", costs=frame)
        assert found == pytest.approx(ours.mean())

    def test_costs_are_parameters_like_others(self, of_costs):
        copy = clone(of_costs)
        assert copy.get_params()["costs"].tolist() == MATRIX.tolist()
        frame = pd.DataFrame(MATRIX, NAMES, NAMES).loc[["s", "p", "r", "q"]]
        X, y = draw_costly(1000)
        again = copy.set_params(costs=frame).fit(X, y)
        np.testing.assert_array_equal(again.coef_, of_costs.coef_)
        assert again.design_.metadata["costs"]["classes"] == ["s", "p", "r", "q"]

    def test_they_are_saved(self, of_costs, tmp_path):
        of_costs.save(tmp_path / "model")
        loaded = AutoBalanceClassifier.load(tmp_path / "model")
        assert loaded.costs == Costs.of(MATRIX, NAMES.tolist())
        X, _ = draw_costly(500)
        np.testing.assert_array_equal(loaded.predict(X), of_costs.predict(X))
        assert Objective.parse("cost", costs=loaded.costs).facts().items() <= (
            loaded.design_.metadata.items()
        )

    def test_a_scorer_takes_them_by_name(self, of_costs):
        frame = pd.DataFrame(MATRIX, NAMES, NAMES)
        X, y = draw_costly(500)
        scorer = objective_scorer("cost", costs=frame)
        assert scorer(of_costs, X, y) == pytest.approx(-paid(y, of_costs.predict(X)).mean())
        some = y != "q"
        assert scorer(of_costs, X[some], y[some]) == pytest.approx(
            -paid(y[some], of_costs.predict(X[some])).mean()
        )

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"objective": "cost"}, "needs what decisions cost"),
            ({"objective": "balanced", "costs": MATRIX}, "does not look at them"),
            ({"objective": "cost", "costs": MATRIX[:3]}, r"shape \(3, 4\) but the data have 4"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, parameters, message):
        with pytest.raises(ObjectiveError, match=message):
            Designed(**parameters).fit(*draw_costly(300))

    def test_a_network_is_searched_for_them_too(self):
        model = Designed(
            "cost",
            costs=MATRIX,
            model="linear",
            training=TrainingSettings(epochs=20),
            random_state=0,
        ).fit(*draw_costly(300))
        assert model.design_.metadata["objective"] == "cost"


@pytest.mark.usefixtures("plain_calls")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("objective", 3), ("parameters", 3), ("dictionary", None), ("start", 3), ("ridge", "x")),
        *(("shrinkage", "x"), ("constraints", 5), ("max_evaluations", None), ("tolerance", "x")),
    ],
)
def test_settings_of_another_kind_are_refused(name, value):
    X, y = make_classification(60, random_state=0)
    with pytest.raises(DataError, match=f"The '{name}' parameter of AutoBalanceClassifier must be"):
        AutoBalanceClassifier(**{name: value}).fit(X, y)


@pytest.mark.parametrize("weight", [1e-200, 1e200])
def test_weights_whose_squares_are_no_numbers_are_refused(weight):
    X, y = make_classification(60, random_state=0)
    with pytest.raises(DataError, match="the largest sample weight is"):
        AutoBalanceClassifier().fit(X, y, sample_weight=np.full(60, weight))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("class_dtype", "<U1"), ("class_dtype", "|V9"), ("class_dtype", [])),
        *(("feature_names", ["a"]), ("feature_names", 7), ("feature_names", [["a"], ["b"]])),
    ],
)
def test_a_saved_classifier_whose_labels_or_names_do_not_fit(tmp_path, key, value):
    X, y = make_classification(60, 2, n_informative=2, n_redundant=0, random_state=0)
    model = Designed(cv=2, max_evaluations=2).fit(X, np.where(y, "yes", "no"))
    model.save(tmp_path / "saved")
    path = tmp_path / "saved" / "model.json"
    document = json.loads(path.read_text("utf-8"))
    document["extra"][key] = value
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ArtifactError, match="holds no AutoBalanceClassifier"):
        AutoBalanceClassifier.load(tmp_path / "saved")
