"""The net and the callback for skorch."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from autobalance import preset
from autobalance.errors import DataError, SearchError
from tests.integrations.loops import SETTINGS, grouped_loss, network, plain_loop, same_moves

pytest.importorskip("autobalance.integrations.skorch", exc_type=ImportError)
from skorch.dataset import ValidSplit

from autobalance.integrations.skorch import AutoBalanceNet, SearchCallback

BATCH = 8
OPTIONS = {"settings": SETTINGS}


def a_net(design, *callbacks, **options):
    options = {"train_split": None, "max_epochs": 3, "lr": 0.1} | options
    return AutoBalanceNet(
        network,
        criterion__design=design,
        optimizer__momentum=0.9,
        optimizer__weight_decay=1e-3,
        batch_size=BATCH,
        callbacks=list(callbacks),
        verbose=0,
        **options,
    )


def arrays(dataset):
    return tuple(part.numpy() for part in dataset.tensors)


def batches(dataset):
    return list(zip(*(torch.split(part, BATCH) for part in dataset.tensors), strict=True))


@pytest.fixture
def design(data):
    return grouped_loss(data).design


def test_it_trains_and_moves_as_a_plain_loop_does(design, data, held_out):
    X, y, group = arrays(data)
    search = SearchCallback("group-balanced", arrays(held_out), OPTIONS)
    net = a_net(design, search, max_epochs=6).fit(X, y, group=group)
    expected, reference = plain_loop(
        network(), grouped_loss(data), [batches(data)] * 6, held_out.tensors
    )
    losses = np.ravel(net.history[:, "batches", :, "train_loss"])
    assert losses == pytest.approx(expected, abs=1e-6)
    same_moves(search.beside_.search, reference)
    assert search.design_.additive == pytest.approx(reference.design().additive, abs=1e-6)
    assert net.history[-1, "held_out_objective"] == search.history_[-1].record.value


def test_the_validation_part_is_held_out_by_default(design, data):
    X, y, group = arrays(data)
    search = SearchCallback("group-balanced", options=OPTIONS)
    split = ValidSplit(3, stratified=True)
    a_net(design, search, train_split=split, max_epochs=6).fit(X, y, group=group)
    train, valid = split(torch.utils.data.TensorDataset(*data.tensors), y)
    parts = [torch.utils.data.TensorDataset(*each[:]) for each in (train, valid)]
    _, reference = plain_loop(
        network(), grouped_loss(data), [batches(parts[0])] * 6, parts[1].tensors
    )
    same_moves(search.beside_.search, reference)


@pytest.mark.parametrize("extras", [("group",), ("group", "sample_weight")])
def test_extras_reach_the_loss_of_each_batch(extras, design, data):
    X, y, group = arrays(data)
    given = {"group": group, "sample_weight": np.linspace(0, 2, len(y), dtype=np.float32)}
    given = {name: given[name] for name in extras}
    net = a_net(design, max_epochs=1, lr=0.0).fit(X, y, **given)
    loss = grouped_loss(data)
    expected = [
        float(loss(network()(X), y, *rest).detach())
        for X, y, *rest in zip(
            *(torch.split(torch.as_tensor(each), BATCH) for each in (X, y, *given.values())),
            strict=True,
        )
    ]
    losses = np.ravel(net.history[:, "batches", :, "train_loss"])
    assert losses == pytest.approx(expected, abs=1e-6)


def test_it_predicts_without_groups_and_by_softmax(design, data):
    X, y, group = arrays(data)
    net = a_net(design).fit(X, y, group=group)
    logits = net.module_(torch.from_numpy(X)).detach()
    assert net.predict_proba(X) == pytest.approx(logits.softmax(1).numpy(), abs=1e-6)
    assert net.predict(X).tolist() == logits.argmax(1).tolist()


def test_inside_a_pipeline_and_a_grid_search(design, data):
    """Each fold's groups are those of its examples: shuffled groups give another fit."""
    X, y, group = arrays(data)
    others = [preset("cross-entropy", design.counts), design]
    grid = GridSearchCV(
        make_pipeline(StandardScaler(), a_net(design)),
        {"autobalancenet__criterion__design": others},
        cv=2,
    )
    grid.fit(X, y, autobalancenet__group=group)
    best = grid.best_params_["autobalancenet__criterion__design"]
    expected = make_pipeline(StandardScaler(), a_net(best))
    expected.fit(X, y, autobalancenet__group=group)
    assert grid.predict_proba(X) == pytest.approx(expected.predict_proba(X), abs=1e-6)
    expected.fit(X, y, autobalancenet__group=group[::-1].copy())
    assert best is others[0] or grid.predict_proba(X) != pytest.approx(expected.predict_proba(X))


def test_scores_with_groups_are_taken_on_the_validation_part(design, data):
    X, y, group = arrays(data)
    net = a_net(design, train_split=ValidSplit(3, stratified=True)).fit(X, y, group=group)
    assert np.isfinite(net.history[:, "valid_loss"]).all()
    assert 0 <= net.history[-1, "valid_acc"] <= 1


def test_partial_fit_goes_on_and_fit_begins_anew(design, data, held_out):
    X, y, group = arrays(data)
    search = SearchCallback("group-balanced", arrays(held_out), OPTIONS)
    net = a_net(design, search, max_epochs=2)
    net.fit(X, y, group=group)
    net.partial_fit(X, y, group=group)
    assert search.history_[-1].iteration == 22
    net.fit(X, y, group=group)
    assert search.history_[-1].iteration == 10


def test_a_fitted_net_can_be_pickled_and_goes_on(design, data, held_out):
    X, y, group = arrays(data)
    search = SearchCallback("group-balanced", arrays(held_out), OPTIONS)
    net = a_net(design, search, max_epochs=2).fit(X, y, group=group)
    copy = pickle.loads(pickle.dumps(net))
    for each in (net, copy):
        each.partial_fit(X, y, group=group)
    (of_copy,) = copy.callbacks
    assert of_copy.design_.additive == pytest.approx(search.design_.additive, abs=1e-6)
    assert of_copy.history_[-1].iteration == 22


def test_what_does_not_fit_is_refused(design, data, held_out):
    X, y, group = arrays(data)
    with pytest.raises(DataError, match="48 examples but 47 entries in group"):
        a_net(design).fit(X, y, group=group[1:])
    with pytest.raises(DataError, match="group"):
        a_net(design).fit(X, y)
    with pytest.raises(DataError, match="no train_split"):
        a_net(design, SearchCallback("group-balanced")).fit(X, y, group=group)
    search = SearchCallback("group-balanced", arrays(held_out), OPTIONS)
    with pytest.raises(DataError, match="does not know sample weights"):
        a_net(design, search).fit(X, y, group=group, sample_weight=np.ones(len(y)))
    net = AutoBalanceNet(network, criterion=nn.CrossEntropyLoss, callbacks=[search], verbose=0)
    with pytest.raises(SearchError, match="criterion is a CrossEntropyLoss"):
        net.fit(X, y)
