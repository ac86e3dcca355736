"""The rows have the keys of the published figures, and what stands behind them is what they say."""

import numpy as np
import pytest

from autobalance.design import LossDesign
from autobalance.losses.focal import FocalLoss
from autobalance.losses.ldam import LDAMLoss
from autobalance.losses.presets import preset
from autobalance.reproduce.fitted import DESIGNED, POST_HOC, PUBLISHED, TUNED
from autobalance.reproduce.images.methods import ClosedForm, Designed, TunedForm
from autobalance.reproduce.images.rows import (
    CROSS_ENTROPY,
    DEFAULT,
    HEADLINE,
    LOGIT_ADJUSTED,
    METHODS,
)
from autobalance.reproduce.published import published

NAMES = {key: name for method in METHODS for key, name in method.names.items()}
KINDS = {key: kind for method in METHODS for key, kind in method.kinds.items()}
OF_THE_PAPER = [
    "cross-entropy",
    "ldam",
    "logit-adjusted-tau-1",
    "cdt",
    "autobalance-tau",
    "autobalance-l",
    "autobalance-delta",
    "autobalance-delta-l",
    "autobalance-delta-l-la-init",
]
BEYOND = {
    "logit-adjusted-post-hoc",
    "bias-tuned",
    "autobalance",
    "balanced",
    "class-balanced",
    "focal",
    "balanced-softmax",
    "vs",
    "class-balanced-sampling",
    "square-root-sampling",
}


def method(key):
    return next(each for each in METHODS if key in each.names)


def test_keys_and_names_are_distinct():
    assert len(NAMES) == sum(len(each.names) for each in METHODS)
    assert len(set(NAMES.values())) == len(NAMES)


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_every_published_row_is_there_and_more(table):
    datasets = ("cifar10-lt", "cifar100-lt", "imagenet-lt", "inaturalist-2018")
    found = {key for key in NAMES if all(published(table, key, each) for each in datasets)}
    assert found == set(OF_THE_PAPER)
    assert set(NAMES) == found | BEYOND
    assert [key for key in NAMES if key in found] == OF_THE_PAPER  # in the paper's order


def test_kinds_say_how_numbers_were_chosen():
    assert {key for key, kind in KINDS.items() if kind == TUNED} == {"cdt", "vs"}
    assert {key for key, kind in KINDS.items() if kind == POST_HOC} == {
        "logit-adjusted-post-hoc",
        "bias-tuned",
    }
    designed = {key for key, kind in KINDS.items() if kind == DESIGNED}
    assert designed == {key for key in NAMES if key.startswith("autobalance")}
    assert {KINDS[key] for key in NAMES if key not in designed} == {PUBLISHED, TUNED, POST_HOC}


def test_the_designs_are_those_of_the_papers_last_five_rows():
    spaces = {
        key: (found.parameters, found.dictionary, found.start)
        for key in OF_THE_PAPER
        if isinstance(found := method(key), Designed)
    }
    both = ("additive", "multiplicative")
    assert spaces == {
        "autobalance-tau": (("additive",), "log-prior", None),
        "autobalance-l": (("additive",), None, None),
        "autobalance-delta": (("multiplicative",), None, None),
        "autobalance-delta-l": (both, None, None),
        "autobalance-delta-l-la-init": (both, None, "logit-adjustment"),
    }
    assert all(method(key).course is None for key in spaces)  # the recipe's
    assert HEADLINE == "autobalance-delta-l-la-init"


def test_one_more_is_what_the_library_does_by_default():
    found = method(DEFAULT)
    assert (found.parameters, found.dictionary) == (("emphasis",), "auto")
    assert found.start == "logit-adjustment"
    settings = found.course.plan.for_steps(1000, found.parameters)
    assert (settings.warm_up, settings.every, settings.learning_rate) == (800, 5, 0.15)
    assert (found.course.upper, found.course.uniform, found.course.parametrisation) == (
        None,
        False,
        "exp",
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (LOGIT_ADJUSTED, "logit-adjustment"),
        ("balanced", "weighted"),
        ("class-balanced", "class-balanced"),
        ("balanced-softmax", "balanced-softmax"),
        ("class-balanced-sampling", "cross-entropy"),
        ("square-root-sampling", "cross-entropy"),
    ],
)
def test_closed_forms(lab, key, name):
    found = method(key)
    assert isinstance(found, ClosedForm)
    design, expected = found.loss(lab), preset(name, lab.counts)
    assert isinstance(design, LossDesign)
    for each in ("weight", "additive", "multiplicative"):
        assert np.array_equal(getattr(design, each), getattr(expected, each))
    exponents = {"class-balanced-sampling": 0.0, "square-root-sampling": 0.5}
    assert found.exponent == exponents.get(key)
    assert not found.cosines


def test_losses_that_are_no_designs(lab):
    assert isinstance(method("ldam").loss(lab), LDAMLoss)
    assert method("ldam").cosines
    focal = method("focal").loss(lab)
    assert isinstance(focal, FocalLoss)
    assert focal.gamma == 2.0
    assert not method("focal").cosines


def test_tuned_forms_have_strengths_to_choose_from(lab):
    for key in ("cdt", "vs"):
        found = method(key)
        assert isinstance(found, TunedForm)
        strengths = dict(found.start)
        for name, candidates in found.grid.items():
            assert len(set(candidates)) == 3
            for value in candidates:
                lab.preset(found.preset, **{**strengths, name: value})


def test_cross_entropy_shares_its_trainings_with_what_is_post_hoc():
    assert list(method(CROSS_ENTROPY).names) == [
        "cross-entropy",
        "logit-adjusted-post-hoc",
        "bias-tuned",
    ]
