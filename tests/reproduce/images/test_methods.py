"""Every kind of row, on a few small images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.counts import Counts
from autobalance.hypergradient.hessian import Hessian
from autobalance.losses.ldam import LDAMLoss
from autobalance.losses.presets import preset
from autobalance.models.normalised import NormalisedLinear
from autobalance.posthoc import tune_bias
from autobalance.reproduce.fitted import DESIGNED, POST_HOC, PUBLISHED, TUNED
from autobalance.reproduce.images.interpolation import interpolated
from autobalance.reproduce.images.methods import (
    ClosedForm,
    CrossEntropyAndPostHoc,
    Designed,
    Row,
    TunedForm,
    course_of,
    values,
)
from autobalance.reproduce.images.settings import CIFAR100_LT, RECIPES, Course, Upper
from autobalance.reproduce.request import AUTHORS_CODE
from autobalance.search.alpha_step import AlphaStep
from autobalance.search.online import OnlineSearch
from autobalance.space import SearchSpace
from autobalance.training.plan import SearchPlan

THREE = CrossEntropyAndPostHoc(
    Row("ce", "Cross-entropy"), Row("la", "Adjusted", POST_HOC), Row("bias", "Tuned", POST_HOC)
)
VS = TunedForm(
    "vs", "VS", preset="vs", start={"tau": 1.0}, grid={"gamma": (0.0, 0.1), "tau": (1.0, 0.5)}
)
OURS = Designed("ours", "Ours", parameters=("additive", "multiplicative"))


def weights_of(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def closed(key="la", preset="logit-adjustment", **options):
    return ClosedForm(key, key.upper(), loss=lambda lab: lab.preset(preset), **options)


@pytest.mark.parametrize(
    ("method", "kinds"),
    [
        (closed(), [PUBLISHED]),
        (THREE, [PUBLISHED, POST_HOC, POST_HOC]),
        (VS, [TUNED]),
        (OURS, [DESIGNED]),
    ],
    ids=["closed", "three", "tuned", "designed"],
)
def test_what_is_fitted_is_what_is_named(lab, method, kinds):
    fitted = method.fit(lab)
    assert list(fitted) == list(method.names) == list(method.kinds)
    assert list(method.kinds.values()) == kinds
    for each in fitted.values():
        codes = each.predict(lab.examples)
        assert codes.shape == (105,)
        assert set(codes.tolist()) <= {0, 1, 2}
        assert each.seconds > 0


def test_a_closed_form_is_trained_with_on_everything(lab):
    (fitted,) = closed(exponent=0.5).fit(lab).values()
    model = lab.train(lab.preset("logit-adjustment"), exponent=0.5)
    assert torch.equal(weights_of(fitted.predict.model), weights_of(model))
    assert fitted.facts == {"trainings": 1}
    plain = lab.train(lab.preset("logit-adjustment"))
    assert not torch.equal(weights_of(plain), weights_of(model))


def test_a_loss_may_be_a_module_with_cosines_for_logits(lab):
    method = ClosedForm("ldam", "LDAM", loss=lambda lab: LDAMLoss(lab.counts), cosines=True)
    model = method.fit(lab)["ldam"].predict.model
    assert isinstance(model[1].head, NormalisedLinear)


def test_the_adjusted_row_is_cross_entropy_minus_the_log_prior(lab):
    fitted = THREE.fit(lab)
    plain = lab.train(lab.preset("cross-entropy"))
    logits = torch.cat([plain.eval()(part) for part in lab.examples.inputs.split(50)]).detach()
    assert fitted["ce"].predict(lab.examples).tolist() == logits.argmax(1).tolist()
    prior = torch.log(torch.tensor([60, 30, 15]) / 105)
    adjusted = fitted["la"].predict.logits(lab.examples) - (logits - prior)
    torch.testing.assert_close(adjusted, adjusted[:1, :1].expand(105, 3), rtol=0, atol=1e-5)
    assert fitted["la"].predict(lab.examples).tolist() == (logits - prior).argmax(1).tolist()
    assert fitted["la"].seconds == fitted["ce"].seconds < fitted["bias"].seconds
    assert fitted["ce"].facts == fitted["la"].facts == {"trainings": 1}


def test_the_bias_is_that_of_the_network_that_has_not_seen_the_held_out_examples(lab):
    fitted = THREE.fit(lab)
    unseen = lab.train(lab.preset("cross-entropy"), lab.parts[0])
    bias = tune_bias(lab.held_out_risk(), lab.held_out_logits(unseen))
    assert fitted["bias"].facts == {"trainings": 2, "bias": bias.tolist()}
    shift = fitted["bias"].predict.logits(lab.examples) - fitted["ce"].predict.logits(lab.examples)
    torch.testing.assert_close(shift, torch.from_numpy(bias).expand(105, 3))
    # and goes to the one that was trained on everything
    assert fitted["bias"].predict.model is fitted["ce"].predict.model


def test_strengths_are_tuned_in_turn_by_the_held_out_risk(lab):
    (fitted,) = VS.fit(lab).values()
    facts = fitted.facts
    tried = {(each["tau"], each["gamma"]): each["held_out"] for each in facts["tried"]}
    gamma = min((0.0, 0.1), key=lambda value: tried[1.0, value])
    assert set(tried) == {(1.0, 0.0), (1.0, 0.1), (0.5, gamma)}
    tau = min((1.0, 0.5), key=lambda value: tried[value, gamma])
    assert facts["choice"] == {"tau": tau, "gamma": gamma}
    assert facts["trainings"] == 4
    unseen = lab.train(lab.preset("vs", tau=1.0, gamma=0.1), lab.parts[0])
    assert tried[1.0, 0.1] == float(lab.held_out_risk()(lab.held_out_logits(unseen)).total)
    best = lab.train(lab.preset("vs", tau=tau, gamma=gamma))
    assert torch.equal(weights_of(fitted.predict.model), weights_of(best))


def test_a_design_is_searched_as_the_recipe_says_and_trained_with(lab):
    (fitted,) = OURS.fit(lab).values()
    recipe = lab.recipe
    search = lab.search(
        lab.preset("cross-entropy"), OURS.parameters, recipe.dictionary, recipe.course
    )
    design = search.design()
    assert fitted.facts["design"] == values(design)
    assert not np.allclose(design.additive, 0, atol=1e-3)
    assert not np.allclose(design.multiplicative, 1, atol=1e-4)
    assert torch.equal(weights_of(fitted.predict.model), weights_of(lab.train(design)))
    course = fitted.facts["course"]
    assert course["steps_per_epoch"] == 6
    assert course["steps"] == [11, 18]
    ends = [course[name][-1] for name in ("additive", "multiplicative")]
    assert ends == [fitted.facts["design"][name] for name in ("additive", "multiplicative")]


def test_start_dictionary_and_course_of_its_own(lab):
    own = Course(SearchPlan(warm_up=0.5, moves=1, batch_size=12), Upper(0.02))
    method = replace(OURS, start="logit-adjustment", dictionary="log-prior", course=own)
    search = method.search(lab)
    assert search.space.dimension == 2
    assert search.space.start.additive == pytest.approx(lab.preset("logit-adjustment").additive)
    assert [move.iteration for move in search.history] == [18]
    assert isinstance(search.alpha.optimizer, torch.optim.SGD)


def test_a_search_as_in_the_authors_code(lab_of):
    theirs = RECIPES[AUTHORS_CODE][CIFAR100_LT].course
    plan = replace(theirs.plan, warm_up=0.2, batch_size=12)
    lab = lab_of(course=replace(theirs, plan=plan, every=7), dictionary="cluster:2")
    search = OURS.search(lab)
    assert [move.iteration for move in search.history] == [11, 18]
    assert [move.refused for move in search.history] == ["", ""]
    for move in search.history:
        assert move.record.products >= 5  # terms of the series, the last one unless it was halved
    assert isinstance(search.settings.curvature, Hessian)
    assert search.settings.held_out_batches == 10
    assert search.space.parametrisation == "sigmoid"
    found, design = search.design(), OURS.design(lab, search)
    # classes 0 and 1 are a cluster with its centre between them, and class 2 is one alone
    assert found.additive[0] == found.additive[1] != found.additive[2]
    assert design.additive.tolist() == interpolated(found, 2).additive.tolist()
    first, last = found.additive[0, 0], found.additive[2, 0]
    assert design.additive[:, 0] == pytest.approx([first, first + (last - first) / 3, last])
    (fitted,) = OURS.fit(lab).values()
    assert fitted.facts["design"] == values(design)
    by_class = replace(OURS, dictionary="class")
    assert by_class.design(lab, search).additive.tolist() == found.additive.tolist()


def search_with(counts, alphas, parameters=("additive", "multiplicative")):
    """A search that has gone through these values, at steps 10, 20 and so on."""
    start = replace(preset("cross-entropy", counts), ridge=0.1)
    search = object.__new__(OnlineSearch)
    search.space = SearchSpace.build(start, parameters, "class")
    nothing = np.zeros(counts.values.shape)
    search.history = [
        AlphaStep(10 * place, np.asarray(alpha), 0.1, None, nothing, nothing)
        for place, alpha in enumerate(alphas, 1)
    ]
    return search


def test_the_course_of_twelve_classes_by_hand():
    sizes = np.array([5, 120, 60, 110, 50, 100, 40, 90, 30, 80, 20, 70])
    counts = Counts(sizes[:, None].astype(float), tuple(range(12)))
    additive = np.arange(12) - 5.5  # of mean 0
    delta = np.where(np.arange(12) == 1, 0.11, -0.01)
    course = course_of(search_with(counts, [np.concatenate([additive, delta])]), 7)
    # ranks: 1 3 | 5 7 | 9 | 11 | 2 | 4 | 6 | 8 | 10 | 0
    assert course["classes"] == [2, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert (course["steps_per_epoch"], course["steps"]) == (7, [10])
    assert course["additive"] == [[-3.5, 0.5, 3.5, 5.5, -3.5, -1.5, 0.5, 2.5, 4.5, -5.5]]
    high, low = np.exp(0.11), np.exp(-0.01)
    expected = [(high + low) / 2, *[low] * 9]
    assert course["multiplicative"] == [pytest.approx(expected, abs=5e-5)]


def test_few_classes_are_their_own_clusters_and_few_points_are_kept():
    counts = Counts(np.array([[2.0], [9.0], [5.0]]), tuple("abc"))
    moves = np.linspace(0, 1, 200)
    alphas = [np.array([0, move, -move]) for move in moves]
    course = course_of(search_with(counts, alphas, ("additive",)), 3)
    assert course["classes"] == [1, 1, 1]
    assert len(course["steps"]) == len(course["additive"]) == 60
    assert (course["steps"][0], course["steps"][-1]) == (10, 2000)
    assert np.ptp(np.diff(course["steps"])) <= 10
    for step, (most, middle, least) in zip(course["steps"], course["additive"], strict=True):
        move = moves[step // 10 - 1]
        assert [most, middle, least] == pytest.approx([move, -move, 0.0], abs=5e-5)
    assert course["multiplicative"] == [[1.0, 1.0, 1.0]] * 60


def test_a_search_that_never_moved_has_an_empty_course():
    counts = Counts(np.array([[2.0], [9.0]]), (0, 1))
    assert course_of(search_with(counts, []), 3)["steps"] == []


@pytest.mark.filterwarnings("ignore:.* images where the official one has .*:UserWarning")
def test_a_method_sees_training_images_alone(job, tmp_path, write_idx):
    """Mixing the scored labels leaves every weight and every bias as it is."""
    other = replace(job, data_dir=tmp_path / "mixed")
    write_idx(other.data_dir / "fashion-mnist", shuffled=True)
    labels, fitted = [], []
    for each in (job, other):
        labels.append(each.data.test.predictions(lambda test: test.targets.numpy()).tolist())
        fitted.append({**THREE.fit(each.lab(0)), **OURS.fit(each.lab(0))})
    assert labels[0] != labels[1]
    assert sorted(labels[0]) == sorted(labels[1])
    plain, mixed = fitted
    for key in plain:
        ours, theirs = plain[key].predict, mixed[key].predict
        assert torch.equal(weights_of(ours.model), weights_of(theirs.model))
        assert plain[key].facts == mixed[key].facts
