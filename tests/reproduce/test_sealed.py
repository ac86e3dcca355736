"""Test examples score and never choose: nothing that tunes, searches or stops can take them."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

import autobalance
from autobalance.baselines.ce_deo import ce_deo_blend
from autobalance.baselines.dfr import dfr
from autobalance.baselines.direct_search import Strength, compass_search, grid_search
from autobalance.baselines.group_dro import group_dro
from autobalance.baselines.group_vs_dro import group_vs_dro
from autobalance.baselines.posthoc_grid import tuned_on_what_it_scores
from autobalance.baselines.tau_normalisation import tau_normalisation
from autobalance.baselines.tuning import tune
from autobalance.baselines.vector_scaling import tune_scaling, vector_scaling
from autobalance.calibration import fit_calibration
from autobalance.counts import Counts
from autobalance.data.heldout import held_out_split
from autobalance.errors import AutoBalanceError
from autobalance.estimators import AutoBalanceClassifier
from autobalance.losses.parametric import ParametricCrossEntropy
from autobalance.losses.presets import preset
from autobalance.network_bench import NetworkBench
from autobalance.network_settings import NetworkSettings
from autobalance.objectives import Objective
from autobalance.posthoc import tune_bias
from autobalance.reproduce.groups.data import Part
from autobalance.reproduce.groups.lab import GroupLab
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.settings import CIFAR10_LT, RECIPES
from autobalance.reproduce.request import PAPER
from autobalance.reproduce.sealed import Sealed
from autobalance.search.evidence import paired_gain
from autobalance.search.exact import ExactProblem, exact_search
from autobalance.search.folds import make_folds
from autobalance.search.heldout import HeldOutRisk
from autobalance.search.online import OnlineSearch
from autobalance.search.online_settings import OnlineSettings
from autobalance.search.settings import SearchSettings
from autobalance.space import SearchSpace
from autobalance.training.examples import Examples
from autobalance.training.loop import Training
from autobalance.training.pipeline import add_search, search_and_retrain, split
from autobalance.training.plan import SearchPlan
from autobalance.training.resampling import ResampledBatches
from autobalance.training.sampling import ShuffledBatches, StratifiedBatches
from autobalance.training.settings import TrainingSettings
from autobalance.workbench import Workbench

ROWS = 48
Y, G = np.arange(ROWS) % 2, np.arange(ROWS) // 2 % 2
X = np.random.default_rng(0).normal(size=(ROWS, 3)) + np.eye(2, 3)[Y]
SEALED = Sealed(X, Y, G, (2, 2))


def test_errors_are_those_of_a_confusion_matrix():
    predicted = SEALED.predictions(lambda x: (x[:, 0] > 0.4).astype(int))
    errors = SEALED.errors(predicted)
    for j in (0, 1):
        here = np.equal(G, j)
        table = confusion_matrix(Y[here], predicted[here])
        np.testing.assert_allclose(errors[:, j], 1 - np.diag(table) / table.sum(1))


def test_without_groups_there_is_one_column():
    sealed = Sealed(X, Y, None, (2, 1))
    np.testing.assert_allclose(sealed.errors(np.zeros(ROWS, dtype=int)), [[0.0], [1.0]])
    counts, half = Counts.from_codes(Y, None, (0, 1)), np.zeros((3, ROWS), dtype=int)
    objective = Objective.parse("balanced").bind(counts)
    found = sealed.mean_difference(objective, counts, half, half[:, ::-1])
    assert found.value == 0


def test_a_difference_is_paired_over_runs():
    counts = Counts.from_codes(Y, G, (0, 1), (0, 1))
    objective = Objective.parse("error").bind(counts)
    wrong, right = np.stack([1 - Y, 1 - Y]), np.stack([Y, Y])
    found = SEALED.mean_difference(objective, counts, wrong, right)
    assert (found.value, found.interval) == (1.0, [1.0, 1.0])


WAYS_IN = (
    *("__len__", "__iter__", "__next__", "__getitem__", "__contains__", "__call__", "__float__"),
    *("__array__", "__array_interface__", "__array_struct__", "__array_ufunc__", "__buffer__"),
    *("__array_function__", "__dlpack__", "__torch_function__", "__cuda_array_interface__"),
    *("shape", "dtype", "ndim", "numpy", "to", "tolist"),
)


@pytest.mark.parametrize("name", WAYS_IN)
def test_it_has_nothing_by_which_data_are_read(name):
    assert not hasattr(SEALED, name)


@pytest.mark.parametrize(
    "read",
    [len, iter, list, tuple, float, torch.as_tensor, torch.tensor, memoryview, lambda s: s[0]],
)
def test_it_cannot_be_read(read):
    with pytest.raises((TypeError, RuntimeError)):
        read(SEALED)


def test_as_an_array_it_is_one_thing_without_numbers():
    found = np.asarray(SEALED)
    assert (found.shape, found.dtype) == ((), object)
    assert found[()] is SEALED
    assert "array" not in repr(SEALED)


# What tunes, searches or stops, each with data that it takes: sealed ones it must not take.


class Given:
    """Small data, and what is made of them."""

    def __init__(self):
        self.counts = Counts.from_codes(Y, G, (0, 1), (0, 1))
        self.weight = np.ones(ROWS)
        self.folds = make_folds(2, X, Y, Y, 2 * Y + G, self.counts, self.weight, 0)
        self.bound = Objective.parse("worst-group").bind(self.counts)
        self.settings = SearchSettings(max_evaluations=2, precision="double")
        self.bench = self.workbench(X, Y)
        self.head = self.bench.train_preset("cross-entropy", "Cross-entropy")
        self.risk = self.bench.held_out_risk()
        self.logits = torch.from_numpy(self.head.held_out_logits)
        self.design = replace(preset("group-la", self.counts), ridge=0.1)
        self.space = SearchSpace.build(self.design, ("ridge",))
        self.examples = Examples.of((X, Y, G))
        self.index = torch.arange(ROWS)

    def workbench(self, x, y):
        return Workbench(x, y, G, self.weight, self.counts, self.folds, self.bound, self.settings)

    def network_bench(self, x):
        folds = make_folds(0.5, X, Y, Y, 2 * Y + G, self.counts, self.weight, 0)
        network = NetworkSettings("linear", TrainingSettings(epochs=1), device="cpu")
        return NetworkBench(
            x, Y, G, self.weight, self.counts, folds, self.bound, self.settings, network
        )

    def held_out_risk(self, y, g, weight):
        return HeldOutRisk(y, g, weight, self.bound, sharpness=20.0)

    def risk_of_folds(self, y, folds):
        return HeldOutRisk.of_folds(
            y,
            G,
            self.weight,
            folds,
            self.bound,
            self.counts,
            sharpness=20.0,
            loss="error",
            profile_temperature=True,
        )

    def problem(self, features, y):
        return ExactProblem(
            features, y, G, self.weight, self.folds, self.space, self.bound, sharpness=20.0
        )

    def searching(self, held_out):
        model, loss = torch.nn.Linear(3, 2), ParametricCrossEntropy.from_design(self.design)
        search = OnlineSearch(
            model, loss, "worst-group", held_out, settings=OnlineSettings(every=1)
        )
        return search.step(*self.examples.batch(self.index))

    def add_search(self, examples, held_out):
        training = Training(
            torch.nn.Linear(3, 2),
            ParametricCrossEntropy.from_design(self.design),
            ShuffledBatches(self.examples, self.index, 16, 0),
            TrainingSettings(epochs=1),
        )
        add_search(training, examples, held_out, self.bound.objective, SearchPlan(warm_up=0.5), 0)
        training.run()

    def image_lab(self, examples):
        return ImageLab(examples, RECIPES[PAPER][CIFAR10_LT], 0, "cpu")

    def images(self):
        pixels = torch.zeros(ROWS, 3, 4, 4, dtype=torch.uint8)
        pixels[::2] = 9
        return Examples(pixels, torch.from_numpy(Y), None, (0, 1))


def tuned_by(search):
    return lambda evaluate: search(evaluate, {"ridge": Strength(0.1, 4.0, 1e-5, 1e2)})


def constant_heads(values, train_weight, start):
    return torch.zeros(len(train_weight), 2, 4, dtype=torch.float64)


STRENGTHS = {"a": Strength(1.0, 4.0, 0.1, 10.0)}
Y_TENSOR, G_TENSOR, ONES = torch.from_numpy(Y), torch.from_numpy(G), torch.ones(ROWS).double()
ROUTINES = {
    "tune_bias, objective": lambda p: (lambda it: tune_bias(it, p.logits), p.risk),
    "tune_bias, logits": lambda p: (lambda it: tune_bias(p.risk, it), p.logits),
    "tune_scaling, objective": lambda p: (lambda it: tune_scaling(it, p.logits), p.risk),
    "tune_scaling, logits": lambda p: (lambda it: tune_scaling(p.risk, it), p.logits),
    "vector_scaling, bench": lambda p: (lambda it: vector_scaling(it, p.head), p.bench),
    "vector_scaling, head": lambda p: (lambda it: vector_scaling(p.bench, it), p.head),
    "tau_normalisation": lambda p: (lambda it: tau_normalisation(it, p.head), p.bench),
    "add_tuned_bias": lambda p: (lambda it: p.bench.add_tuned_bias(it, "bias"), p.head),
    "fit_calibration, logits": lambda p: (
        lambda it: fit_calibration(it, Y, p.weight, np.full(2, 0.5), np.zeros(2)),
        p.head.held_out_logits,
    ),
    "fit_calibration, classes": lambda p: (
        lambda it: fit_calibration(
            p.head.held_out_logits, it, p.weight, np.full(2, 0.5), np.zeros(2)
        ),
        Y,
    ),
    "HeldOutRisk, classes": lambda p: (lambda it: p.held_out_risk(it, G_TENSOR, ONES), Y_TENSOR),
    "HeldOutRisk, groups": lambda p: (lambda it: p.held_out_risk(Y_TENSOR, it, ONES), G_TENSOR),
    "HeldOutRisk, weights": lambda p: (lambda it: p.held_out_risk(Y_TENSOR, G_TENSOR, it), ONES),
    "HeldOutRisk.of_folds, classes": lambda p: (lambda it: p.risk_of_folds(it, p.folds), Y),
    "HeldOutRisk.of_folds, folds": lambda p: (lambda it: p.risk_of_folds(Y, it), p.folds),
    "HeldOutRisk of logits": lambda p: (p.risk, p.logits),
    "paired_gain, before": lambda p: (lambda it: paired_gain(p.risk, it, p.logits), p.logits),
    "paired_gain, after": lambda p: (lambda it: paired_gain(p.risk, p.logits, it), p.logits),
    "make_folds, folds": lambda p: (
        lambda it: make_folds(it, X, Y, Y, 2 * Y + G, p.counts, p.weight, 0),
        [(np.arange(24), np.arange(24, ROWS))],
    ),
    "make_folds, classes": lambda p: (
        lambda it: make_folds(2, X, it, it, 2 * Y + G, p.counts, p.weight, 0),
        Y,
    ),
    "held_out_split": lambda p: (lambda it: held_out_split(it, (0, 1), 0.5), Y),
    "Workbench, features": lambda p: (lambda it: p.workbench(it, Y), X),
    "Workbench, classes": lambda p: (lambda it: p.workbench(X, it), Y),
    "NetworkBench": lambda p: (p.network_bench, X),
    "ExactProblem, features": lambda p: (
        lambda it: exact_search(p.problem(it, Y), max_evaluations=2, tolerance=0.1),
        p.bench.features,
    ),
    "ExactProblem, classes": lambda p: (lambda it: p.problem(p.bench.features, it), Y),
    "exact_search": lambda p: (
        lambda it: exact_search(it, max_evaluations=2, tolerance=0.1),
        p.problem(p.bench.features, Y),
    ),
    "compass_search, values": lambda p: (
        lambda it: compass_search(it, STRENGTHS),
        lambda *_: (1, 0),
    ),
    "compass_search, what they are worth": lambda p: (
        lambda it: compass_search(lambda *_: it, STRENGTHS),
        (1.0, None),
    ),
    "compass_search, worth": lambda p: (
        lambda it: compass_search(lambda *_: (it, None), STRENGTHS),
        1.0,
    ),
    "grid_search, values": lambda p: (lambda it: grid_search(it, {"a": (1, 2)}), lambda *_: (1, 0)),
    "grid_search, worth": lambda p: (
        lambda it: grid_search(lambda *_: (it, None), {"a": (1, 2)}),
        1.0,
    ),
    "tune": lambda p: (
        lambda it: tune(it, "any", constant_heads, tuned_by(compass_search)),
        p.bench,
    ),
    "group_dro": lambda p: (group_dro, p.bench),
    "group_vs_dro": lambda p: (group_vs_dro, p.bench),
    "ce_deo_blend": lambda p: (
        lambda it: ce_deo_blend(
            it, "blend", strengths={"ridge": Strength.fixed(0.1), "ratio": Strength.fixed(1.0)}
        ),
        p.bench,
    ),
    "dfr": lambda p: (lambda it: dfr(it, draws=1), p.bench),
    "tuned_on_what_it_scores": lambda p: (
        lambda it: tuned_on_what_it_scores(it, Y, G, p.bound),
        X[:, :2],
    ),
    "Examples.of": lambda p: (Examples.of, (X, Y, G)),
    "Examples.of, inputs": lambda p: (lambda it: Examples.of((it, Y, G)), X),
    "Examples.of, classes": lambda p: (lambda it: Examples.of((X, it, G)), Y),
    "Examples.of, groups": lambda p: (lambda it: Examples.of((X, Y, it)), G),
    "ShuffledBatches": lambda p: (lambda it: ShuffledBatches(it, p.index, 8, 0), p.examples),
    "ShuffledBatches, which": lambda p: (
        lambda it: list(ShuffledBatches(p.examples, it, 8, 0)),
        p.index,
    ),
    "ResampledBatches": lambda p: (
        lambda it: ResampledBatches(it, p.index, 8, 0, exponent=0.5),
        p.examples,
    ),
    "StratifiedBatches": lambda p: (lambda it: StratifiedBatches(it, p.index, 8, 0), p.examples),
    "StratifiedBatches, which": lambda p: (
        lambda it: StratifiedBatches(p.examples, it, 8, 0),
        p.index,
    ),
    "OnlineSearch, held-out loader": lambda p: (p.searching, [p.examples.batch(p.index)]),
    "OnlineSearch, held-out batch": lambda p: (
        lambda it: p.searching([it]),
        p.examples.batch(p.index),
    ),
    "add_search, examples": lambda p: (lambda it: p.add_search(it, p.index), p.examples),
    "add_search, held-out": lambda p: (lambda it: p.add_search(p.examples, it), p.index),
    "split": lambda p: (lambda it: split(it, 0.5, 0), p.examples),
    "search_and_retrain": lambda p: (
        lambda it: search_and_retrain(
            lambda: torch.nn.Linear(3, 2),
            it,
            "worst-group",
            training=TrainingSettings(epochs=1, batch_size=8),
            plan=SearchPlan(warm_up=0.5, held_out=0.5),
            device="cpu",
        ),
        p.examples,
    ),
    "AutoBalanceClassifier.fit, features": lambda p: (
        lambda it: AutoBalanceClassifier(parameters="ridge", cv=2, verdict=None).fit(it, Y),
        X,
    ),
    "AutoBalanceClassifier.fit, classes": lambda p: (
        lambda it: AutoBalanceClassifier(parameters="ridge", cv=2, verdict=None).fit(X, it),
        Y,
    ),
    "GroupLab": lambda p: (lambda it: GroupLab(it, p.counts, 0), Part(X, Y, G)),
    "ImageLab": lambda p: (p.image_lab, p.images()),
}


@pytest.fixture(scope="module")
def given():
    return Given()


@pytest.mark.filterwarnings("ignore:the training takes:UserWarning")
@pytest.mark.usefixtures("plain_calls", "coarse")
@pytest.mark.parametrize("name", ROUTINES)
def test_nothing_that_tunes_searches_or_stops_takes_sealed_data(given, name):
    call, data = ROUTINES[name](given)
    call(data)
    with pytest.raises((TypeError, ValueError, AttributeError, AutoBalanceError)):
        call(SEALED)


def openings(text):
    """The class and the function around every mention of an attribute ``opened``."""
    found = []

    def visit(node, around):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            around = (*around, node.name)
        if isinstance(node, ast.Attribute) and node.attr == "opened":
            found.append(around)
        for child in ast.iter_child_nodes(node):
            visit(child, around)

    visit(ast.parse(text), ())
    return found


def test_sealed_data_are_opened_in_one_place():
    """And nobody reaches behind the seal."""
    opened = []
    package = Path(autobalance.__file__).parent
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"_Sealed__|[\"']opened[\"']", text), path
        if "opened" in text:
            opened += [(path.relative_to(package).as_posix(), *at) for at in openings(text)]
    assert opened == [("reproduce/groups/methods.py", "PostHocOnScored", "fit_on_scored")]
