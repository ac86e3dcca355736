"""The loss as a table: read by numpy alone it is the same loss, and weights mean what they do."""

import csv
import io

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from autobalance import Counts, DataError, LossDesign, ParametricCrossEntropy
from autobalance.data.features import FeatureMatrix
from autobalance.export import example_weights, loss_table, portable_as
from autobalance.search.refit import refit

CLASSES, GROUPS = ("common", "rare", "none, or other"), ("land", None)


def design(weight=1.0, additive=0.0, multiplicative=1.0, groups=GROUPS):
    shape = (3, 1 if groups is None else len(groups))
    return LossDesign(
        Counts(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), CLASSES, groups),
        *(np.broadcast_to(values, shape) for values in (weight, additive, multiplicative)),
    )


def random_design():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(3, 3, 2))
    return design(np.exp(drawn[0]), drawn[1], np.exp(drawn[2]))


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_alone_gives_the_value_and_the_gradient_of_the_loss():
    rng = np.random.default_rng(1)
    z, y, g = rng.normal(size=(40, 3)), rng.integers(3, size=40), rng.integers(2, size=40)
    rows = rows_of(loss_table(random_design()))
    w, l, delta = (
        np.array([float(row[name]) for row in rows]).reshape(3, 2)
        for name in ("weight", "additive", "multiplicative")
    )
    adjusted = delta[:, g].T * z + l[:, g].T
    value = -(w[y, g] * log_softmax(adjusted, axis=1)[np.arange(40), y]).mean()
    gradient = w[y, g][:, None] * delta[:, g].T * (softmax(adjusted, axis=1) - np.eye(3)[y]) / 40

    logits = torch.from_numpy(z).requires_grad_()
    loss = ParametricCrossEntropy.from_design(random_design(), dtype=torch.float64)
    ours = loss(logits, torch.from_numpy(y), torch.from_numpy(g))
    ours.backward()
    assert value == pytest.approx(ours.item(), abs=1e-12)
    np.testing.assert_allclose(gradient, logits.grad.numpy(), atol=1e-12)


def test_labels_are_texts_and_numbers_read_back_exactly():
    rows = rows_of(loss_table(random_design()))
    assert [row["class"] for row in rows] == [label for label in CLASSES for _ in range(2)]
    assert [row["group"] for row in rows[:2]] == ["land", "missing"]
    assert [float(row["weight"]) for row in rows] == random_design().weight.ravel().tolist()
    assert list(rows_of(loss_table(design(groups=None)))[0]) == [
        *("class", "examples", "weight", "additive", "multiplicative")
    ]


def test_each_example_has_the_weight_of_its_cell():
    given = random_design()
    weights = example_weights(given, np.array(["rare", "common"]), [[None], ["land"]])
    assert weights.tolist() == [given.weight[1, 1], given.weight[0, 0]]
    plain = design(np.array([[1.0], [2.0], [3.0]]), groups=None)
    assert example_weights(plain, ["rare", "rare"]).tolist() == [2.0, 2.0]
    pairs = design(groups=(("a", 1), ("a", 2)))
    assert example_weights(pairs, ["rare"], [("a", 2)]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        (["rare"], None, "has groups"),
        (["new"], ["land"], "the class 'new' is none of common, rare"),
        (["rare"], ["sea"], "the group 'sea' is none of land, missing"),
        (["rare"], ["land", "land"], "1 class labels but 2 group labels"),
    ],
)
def test_labels_that_the_design_does_not_know_are_refused(labels, groups, words):
    with pytest.raises(DataError, match=words):
        example_weights(random_design(), labels, groups)


def test_what_other_libraries_call_it():
    assert portable_as(design(additive=5.0)) == [
        "This is plain cross-entropy: nothing needs to be set."
    ]
    by_class = np.array([[1.0], [2.0], [3.0]])
    (weights,) = portable_as(design(by_class))
    assert "class_weight={'common': 1.0, 'rare': 2.0, 'none, or other': 3.0}" in weights
    (rows,) = portable_as(design(np.arange(1.0, 7.0).reshape(3, 2)))
    assert "sample_weight" in rows
    margin, posthoc = portable_as(design(additive=by_class))
    assert "base_margin" in margin
    assert "z - additive" in posthoc
    assert len(portable_as(design(additive=np.eye(3, 2)))) == 1
    assert "a loss of your own" in portable_as(random_design())[0]


def trained_with(given, x, y):
    """Logits of the linear head that the loss makes, less their mean over the classes."""
    features = FeatureMatrix(torch.from_numpy(x), torch.ones(len(x)), dtype=torch.float64)
    theta = refit(features, y, np.zeros_like(y), np.ones(len(x)), given, tolerance=1e-9)
    coef, intercept = features.to_original(theta)
    return centred(x @ coef.numpy().T + intercept.numpy())


def centred(logits):
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.fixture
def sample():
    rng = np.random.default_rng(2)
    y = rng.choice(3, 600, p=[0.7, 0.2, 0.1])
    return rng.normal(size=(600, 4)) + np.eye(3, 4)[y], y


def scikit_learns(x, y, ridge, class_weight=None):
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    model = LogisticRegression(
        C=1 / (ridge * len(x)), class_weight=class_weight, tol=1e-9, max_iter=5000
    )
    return centred(model.fit(z, y).decision_function(z))


def test_weights_alone_are_scikit_learns_class_weight(sample):
    counts = Counts.from_codes(sample[1], None, CLASSES)
    weight = np.array([[0.5], [1.5], [4.0]])
    weight /= (counts.frequencies * weight).sum()  # of mean 1, as the weights of a design are
    given = LossDesign(counts, weight, 0 * weight, weight**0, 0.02)
    expected = scikit_learns(*sample, 0.02, dict(enumerate(weight[:, 0])))
    np.testing.assert_allclose(trained_with(given, *sample), expected, atol=1e-4)


def test_adjustments_alone_are_a_shift_of_a_plain_models_logits(sample):
    additive = np.array([[1.0], [-0.5], [-0.5]])
    one = np.ones((3, 1))
    given = LossDesign(design(groups=None).counts, one, additive, one, 0.02)
    expected = scikit_learns(*sample, 0.02) - additive[:, 0]
    np.testing.assert_allclose(trained_with(given, *sample), expected, atol=1e-4)
