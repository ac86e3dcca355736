"""Every kind of variant, on a few small images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.reproduce.images import lab as library
from autobalance.space import SearchSpace
from autobalance.training.pipeline import add_search
from benchmarks.long_tail.methods import designed, plan
from benchmarks.search_study.variants import (
    VARIANTS,
    CrossFitted,
    Drawn,
    Fixed,
    Foreseeing,
    OnFeatures,
    Searched,
    mean_alpha,
    penultimate,
    run,
)

LOSS = ("weight", "additive")


def test_names_are_distinct_and_searches_can_be_built(lab):
    names = [name for variant in VARIANTS for name in variant.names]
    assert len(set(names)) == len(names)
    for variant in VARIANTS:
        inner = variant.variant if isinstance(variant, Drawn) else variant
        if isinstance(inner, Searched | CrossFitted | Foreseeing):
            how = inner.how
            start = replace(how.first(lab), ridge=0.1)
            parametrisation = how.course.parametrisation
            SearchSpace.build(start, how.parameters, how.dictionary, parametrisation)


def test_weights_draw_in_search_and_retraining_alike(lab, monkeypatch):
    batches = []
    train = library.ImageLab.training

    def noted(own, *others, **options):
        training = train(own, *others, **options)
        batches.append(type(training.batches).__name__)
        return training

    monkeypatch.setattr(library.ImageLab, "training", noted)
    how = designed("", "emphasis", plan=replace(plan(moves=4), warm_up=0.0))
    fixed = Fixed("?", "half", lambda lab: lab.preset("weighted-adjustment", share=0.5))
    for variant, trainings in ((Searched("?", "end", how), 2), (fixed, 1)):
        for kind, each in (("ShuffledBatches", variant), ("BatchesByWeight", Drawn(variant))):
            batches.clear()
            (row,) = run(each, lab)
            assert batches == [kind] * trainings
    assert row["variant"] == "half, drawn"
    assert lab.recipe.retraining.weights == "multiply"


def test_the_mean_is_of_the_same_search(lab):
    how = designed("", *LOSS, dictionary="class", plan=replace(plan(moves=4), warm_up=0.0))
    found = Searched("?", "end", how, "mean").designs(lab)
    search = how.search(lab)
    assert found["end"] == search.design()
    assert found["mean"] == search.space.design(mean_alpha(search))
    assert found["mean"] != found["end"]


def test_foresight_trains_on_everything_and_holds_out_what_is_scored(lab, monkeypatch):
    seen = {}

    def spy(training, examples, held_out, *others):
        seen.update(batches=len(training.batches), examples=examples, held_out=held_out)
        return add_search(training, examples, held_out, *others)

    monkeypatch.setattr(library, "add_search", spy)
    how = designed("", *LOSS, dictionary="class", plan=plan(moves=1))
    design = Foreseeing("?", "all", how).designs(lab)["all"]
    assert design.counts == lab.counts
    assert seen["examples"] is lab.scored
    assert seen["held_out"].tolist() == list(range(len(lab.scored)))
    settings = lab.recipe.searching
    assert seen["batches"] == len(lab.training(design, lab.everything, settings).batches)


def test_folds_are_searched_on_and_averaged(lab):
    folds = lab.folds(3)
    how = designed("", *LOSS, dictionary="class", plan=plan(moves=1))
    design = CrossFitted("?", "folds", how).designs(lab)["folds"]
    searches = [how.search(lab, parts=parts) for parts in folds]
    mean = np.mean([search.alpha.vector for search in searches], 0)
    assert design == searches[0].space.design(mean)


def test_features_are_what_the_last_layer_sees(lab):
    model = lab.train(lab.preset("logit-adjustment"))
    images = lab.examples.inputs[:7]
    features = torch.from_numpy(penultimate(model, images))
    with torch.no_grad():
        torch.testing.assert_close(model[1].head(features), model(images))


def test_the_exact_search_holds_out_what_the_others_do(lab):
    (row,) = run(OnFeatures("?", "exact", ("additive",)), lab)
    assert row["variant"] == "exact"
    assert row["design"]["weight"] == [1.0, 1.0, 1.0]
    assert row["balanced"] == pytest.approx(np.mean(row["class_errors"]), abs=0.01)
