from dataclasses import replace

import numpy as np
import pytest
import torch

from autobalance.augmentation.policy import Policy
from autobalance.contest.procedure import Procedure, TrainingData
from autobalance.errors import DataError, DesignError, ObjectiveError
from autobalance.losses.presets import preset
from autobalance.network_settings import NetworkSettings
from autobalance.objectives import Objective
from autobalance.training.settings import TrainingSettings


def test_a_part_keeps_labels_weights_and_units_together(data):
    whole = replace(data, labels=np.array(data.classes)[data.y], units=np.arange(len(data)))
    rows = np.array([170, 3, 130])
    part = whole.part(rows)
    np.testing.assert_array_equal(part.features, data.features[rows])
    assert part.labels.tolist() == ["c", "a", "b"]
    assert part.units.tolist() == rows.tolist()
    assert part.counts.classes == data.classes
    assert part.counts.per_class.tolist() == [1, 1, 1]


def test_examples_without_weight_are_not_counted(data):
    weight = np.where(np.arange(len(data)) < 100, 0.0, 2.0)
    assert replace(data, weight=weight).counts.per_class.tolist() == [40, 80, 30]


def test_the_start_is_made_from_the_counts_of_the_part(data, procedure):
    part = data.part(np.arange(60, len(data)))
    fixed = replace(procedure, start="logit-adjustment")
    start = fixed.space(fixed.bench(part)).start
    expected = preset("logit-adjustment", part.counts).additive
    np.testing.assert_allclose(start.additive, expected)


def test_a_saved_design_starts_on_other_counts_but_not_on_other_classes(data, make_data, procedure):
    design = replace(preset("cdt", data.counts, gamma=0.3), ridge=None)
    from_design = replace(procedure, start=design, ridge=0.7)
    part = data.part(np.arange(60, len(data)))
    start = from_design.space(from_design.bench(part)).start
    assert start.ridge == 0.7
    np.testing.assert_array_equal(start.multiplicative, design.multiplicative)
    assert start.counts == part.counts
    other = make_data((30, 20))
    with pytest.raises(DesignError, match="other classes or groups"):
        from_design.space(from_design.bench(other))


def test_a_network_has_the_weight_decay_of_its_training_whatever_the_start(data, procedure):
    design = replace(preset("cdt", data.counts, gamma=0.3), ridge=0.7)
    training = TrainingSettings(epochs=2, weight_decay=0.03)
    network = NetworkSettings("linear", training)
    for start in (design, "cdt", "auto"):
        of_network = replace(procedure, start=start, ridge=0.2, network=network)
        assert of_network.space(of_network.bench(data)).start.ridge == 0.03


@pytest.mark.parametrize("cv", [0, 1, -3])
def test_a_network_needs_a_split(data, procedure, cv):
    with pytest.raises(DataError, match=f"cv is {cv}; use at least 2"):
        replace(procedure, cv=cv, network=NetworkSettings("linear")).check(data.counts)


def test_the_weight_decay_of_ones_own_optimizer_is_not_searched(data, procedure):
    training = TrainingSettings(optimizer=torch.optim.AdamW)
    network = NetworkSettings("linear", training)
    with pytest.raises(DataError, match="weight decay of its default optimizer"):
        replace(procedure, parameters=("additive", "ridge"), network=network).check(data.counts)


def test_a_cell_that_a_part_lacks_is_dropped_there_but_refused_in_the_whole():
    rng = np.random.default_rng(0)
    y, g = np.repeat([0, 0, 1, 1], 20), np.repeat([0, 1, 0, 1], 20)
    whole = TrainingData(rng.normal(size=(80, 2)), y, g, np.ones(80), ("n", "p"), ("x", "y"))
    procedure = Procedure(Objective.parse("worst-group"), cv=2)
    part = whole.part(np.arange(60))
    with pytest.raises(ObjectiveError, match="no example"):
        procedure.bench(part)
    bench = procedure.on_part(3, 0).bench(part)
    assert len(bench.folds) == 3
    assert not bench.objective.present[1, 1]


def test_the_best_start_has_its_ridge_tuned_and_none_is_tried_without_one(data, procedure):
    bench = procedure.bench(data)
    start = procedure.space(bench).start
    assert start.metadata["preset"] in ("logit-adjustment", "weighted")
    assert start.ridge == bench.best_start().ridge != procedure.ridge
    fixed = replace(procedure, parameters=("weight",), ridge=0.3).space(bench).start
    assert (fixed.metadata["preset"], fixed.ridge) == ("logit-adjustment", 0.3)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"parameters": ("bias",)}, DesignError),
        ({"start": "nowhere"}, DesignError),
        ({"dictionary": "fine"}, DesignError),
        ({"objective": Objective.parse("equalized-odds")}, ObjectiveError),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_prepared(data, procedure, change, error):
    with pytest.raises(error):
        replace(procedure, **change).check(data.counts)


def test_a_start_without_a_policy_gets_one_and_another_keeps_its_own(data, procedure):
    chains = (("ball",),)
    for parameters in (("additive",), ("additive", "ridge")):
        augmented = replace(
            procedure, sub_policies=chains, parameters=parameters, start="auto", ridge=0.3
        )
        start = augmented.space(augmented.bench(data)).start
        assert start.policy == Policy.uniform(*data.counts.values.shape, chains)
    design = replace(preset("cdt", data.counts), policy=Policy.ball(0.2 + 0 * data.counts.values))
    own = replace(procedure, sub_policies=chains, parameters=("additive",), start=design)
    assert own.space(own.bench(data)).start.policy == design.policy
