"""The scikit-learn door with a network behind it."""

import numpy as np
import pytest
from sklearn.base import clone
from torch import nn

from autobalance import AutoBalanceClassifier, SearchPlan, TrainingSettings
from autobalance.errors import ArtifactError, DataError

QUICK = {
    "verdict": None,
    "training": TrainingSettings(epochs=4, batch_size=32, learning_rate=0.05),
    "plan": SearchPlan(warm_up=0.4, moves=4),
    "random_state": 0,
}


def draw(rows=200):
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "c"])[rng.choice(3, rows, p=[0.6, 0.3, 0.1])]
    x = 3.0 + rng.normal(size=(rows, 4)) + 2.0 * (y[:, None] == np.array(["a", "b", "c", "d"]))
    return x, y


def own_factory(shape, n_classes):
    return nn.Sequential(nn.Linear(shape[0], 5), nn.Tanh(), nn.Linear(5, n_classes))


@pytest.mark.parametrize("model", ["mlp", "linear", own_factory])
def test_it_fits_predicts_and_comes_back(tmp_path, model):
    x, y = draw()
    fitted = AutoBalanceClassifier("balanced", model=model, **QUICK).fit(x, y)
    assert (fitted.predict(x) == y).mean() > 0.7
    assert not hasattr(fitted, "coef_")
    for prior in (None, "train", "balanced"):
        np.testing.assert_allclose(fitted.predict_proba(x, prior).sum(1), 1.0)
    fitted.save(tmp_path / "model")
    factory = None if isinstance(model, str) else model
    again = AutoBalanceClassifier.load(tmp_path / "model", factory)
    np.testing.assert_array_equal(again.decision_function(x), fitted.decision_function(x))
    if factory is not None:
        with pytest.raises(ArtifactError, match="own_factory"):
            AutoBalanceClassifier.load(tmp_path / "model")


def test_the_same_seed_fits_the_same_network_again():
    x, y = draw()
    fitted = AutoBalanceClassifier("balanced", model="mlp", **QUICK).fit(x, y)
    other = clone(fitted).fit(x, y)
    np.testing.assert_array_equal(other.decision_function(x), fitted.decision_function(x))


def test_what_is_searched_follows_the_model():
    """Emphasis leaves w π / exp(l) alone, by which an ideal classifier decides."""
    x, y = draw()
    network = AutoBalanceClassifier("balanced", model="linear", **QUICK).fit(x, y)
    head = AutoBalanceClassifier("balanced", verdict=None, required_gain=None).fit(x, y)
    decides = []
    for found in (network.designed_, head.designed_):
        assert not np.allclose(found.weight, 1.0, atol=1e-4)
        odds = (found.weight * np.exp(-found.additive)).ravel() * found.counts.frequencies.ravel()
        decides.append(odds / odds[0])
    balanced, moved = decides
    np.testing.assert_allclose(balanced, 1.0, rtol=1e-6)
    assert not np.allclose(moved, 1.0, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "given", "words"),
    [
        ({"constraints": ("error<=0.5",)}, {}, "constraints"),
        ({}, {"sample_weight": np.linspace(1, 2, 200)}, "sample weights"),
        ({"model": "resnet32"}, {}, "images"),
        ({"model": "no-such"}, {}, "no model"),
    ],
    ids=["constraints", "weights", "images", "unknown"],
)
def test_what_a_network_cannot_do_is_refused(options, given, words):
    x, y = draw()
    classifier = AutoBalanceClassifier("balanced", **{"model": "mlp", **QUICK, **options})
    with pytest.raises(DataError, match=words):
        classifier.fit(x, y, **given)
