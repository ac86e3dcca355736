"""Budgets, curves and checks by hand, with trainings that take the time that they are told to."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from autobalance.errors import DataError, SearchError
from autobalance.reproduce.images import cost
from autobalance.reproduce.images.cost import (
    REPRODUCTION,
    SPACES,
    Optimisations,
    keys,
)
from autobalance.reproduce.images.lab import ImageLab
from autobalance.reproduce.images.methods import values
from autobalance.reproduce.images.rows import DEFAULT, HEADLINE
from autobalance.reproduce.images.settings import FASHION_MNIST_LT
from autobalance.reproduce.images.work import BY_KEY
from autobalance.reproduce.runs import Unit
from autobalance.space import SearchSpace

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* images where the official one has .*:UserWarning"
)
ASKING = 100.0


class Trained(nn.Module):
    """Knows what it was trained with, and nothing else."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss


class Simulation:
    """Trainings that take their time on a clock of their own, and trials of given worth."""

    def __init__(self):
        self.now = 0.0
        self.ordinary, self.trial, self.search = 10.0, lambda: 8.0, 15.0
        self.worth = iter(())
        self.trained, self.asked, self.told = [], [], []

    def train(self, loss, index=None):
        self.now += self.ordinary if index is None else self.trial()
        self.trained.append((loss, None if index is None else len(index)))
        return Trained(loss)

    def risk(self, loss):
        return SimpleNamespace(total=next(self.worth))

    def scored(self, test, predict):
        return {"balanced": error_of(predict.model.loss)}

    @contextmanager
    def optimiser(self, bounds, trials, seed):
        """Asks for the start, and then for other points from a seed."""
        rng = np.random.default_rng(seed)
        self.asked.append((bounds, trials, seed))

        def ask():
            self.now += ASKING
            first = len(self.asked) == 1 and not self.told
            return np.zeros(len(bounds)) if first else rng.uniform(-0.4, 0.4, len(bounds))

        yield SimpleNamespace(ask=ask, tell=self.told.append)


def error_of(loss):
    """A made-up test error of a network that was trained with a loss."""
    return round(30 + 10 * float(loss.additive[0, 0] + loss.weight[-1, 0]), 6)


@pytest.fixture
def simulation(monkeypatch):
    made = Simulation()
    search = ImageLab.search

    def timed(self, *others, **options):
        found = search(self, *others, **options)
        made.now += made.search
        return found

    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: made.now))
    monkeypatch.setattr(ImageLab, "train", lambda _, *given: made.train(*given))
    monkeypatch.setattr(ImageLab, "search", timed)
    monkeypatch.setattr(ImageLab, "held_out_risk", lambda _: made.risk)
    monkeypatch.setattr(ImageLab, "held_out_logits", lambda _, model: model.loss)
    monkeypatch.setattr(cost, "scored", made.scored)
    both = {who: (name, made.optimiser) for who, (name, _) in cost.OPTIMISERS.items()}
    monkeypatch.setattr(cost, "OPTIMISERS", both)
    return made


def optimise(simulation, job, worth, space=DEFAULT, seed=0):
    simulation.worth = iter(worth)
    (row,) = Optimisations(job)(Unit((f"tpe-{space}",), seed)).values()
    return row


def test_there_is_a_run_for_each_search_and_space():
    assert keys() == [
        "autobalance-autobalance",
        "tpe-autobalance",
        "smac-autobalance",
        "autobalance-autobalance-delta-l-la-init",
        "tpe-autobalance-delta-l-la-init",
        "smac-autobalance-delta-l-la-init",
    ]


def test_there_are_as_many_trials_as_the_budget_is_for(simulation, job):
    worth = [0.5, 0.6, 0.4, 0.45, 0.3, *[0.9] * 20]
    row = optimise(simulation, job, worth)
    # 11 trials on four fifths of the images cost 8.8 of the 9 trainings that are left for them
    assert row["held_out"] == simulation.told == worth[:11]
    assert row["budget"] == pytest.approx(9.8)
    assert row["cost"] == pytest.approx([1.8, 3.4, 5.0])  # after trials 1, 3 and 5
    assert row["ordinary_seconds"] == 10.0
    assert row["seconds_to_ask"] == 11 * ASKING  # which is in no cost
    # trials on the split's part, and a training on everything whenever one is the best yet
    sizes = [size for _, size in simulation.trained]
    assert sizes == [177, None, 177, 177, None, 177, 177, None, *[177] * 6]
    best = [loss for loss, size in simulation.trained if size is None]
    assert row["error"] == [error_of(loss) for loss in best]
    assert row["design"] == values(best[-1])
    assert row["told"] == f"{row['error'][-1]:.2f}% at 5.0 trainings"


def test_a_training_that_fails_is_worth_the_least(simulation, job, monkeypatch):
    train = ImageLab.train

    def some_fail(lab, loss, index=None):
        if index is not None and len(simulation.told) == 2:
            raise SearchError("the training loss is not finite")
        return train(lab, loss, *([] if index is None else [index]))

    monkeypatch.setattr(ImageLab, "train", some_fail)
    row = optimise(simulation, job, [0.5, 0.4, *[0.9] * 20])
    assert row["held_out"][:4] == [0.5, 0.4, 1.0, 0.9]
    assert len(row["held_out"]) == 11


@pytest.mark.parametrize(("space", "reach"), [(DEFAULT, [1.0]), (HEADLINE, [2.0] * 3 + [0.5] * 3)])
def test_it_tunes_the_values_that_autobalance_searches(simulation, job, space, reach):
    optimise(simulation, job, [0.5, *[0.9] * 20], space, seed=3)
    assert simulation.asked == [([(-each, each) for each in reach], 11, 3)]
    lab, method = job.lab(3), BY_KEY[space]
    first = simulation.trained[0][0]
    start = lab.preset("logit-adjustment")
    for name in ("weight", "additive", "multiplicative"):
        assert getattr(first, name) == pytest.approx(getattr(start, name))
    dictionary = method.dictionary or "class"
    searched = SearchSpace.build(first, method.parameters, dictionary)
    tried = [loss for loss, size in simulation.trained if size is not None]
    points = np.random.default_rng(3).uniform(-0.4, 0.4, (2, searched.dimension))
    for loss, point in zip(tried[1:3], points, strict=True):
        expected = searched.design(point)
        for name in ("weight", "additive", "multiplicative"):
            assert getattr(loss, name) == pytest.approx(getattr(expected, name))


@pytest.mark.parametrize("seed", range(5))
def test_a_curve_is_in_the_median_times_of_its_run(simulation, job, seed):
    rng = np.random.default_rng(seed)
    lasted = []

    def trial():
        lasted.append(float(rng.uniform(1, 30)))
        return lasted[-1]

    simulation.trial = trial
    row = optimise(simulation, job, rng.uniform(size=200), seed=seed)
    assert len(lasted) == 11  # however long they take
    assert row["budget"] == pytest.approx(11 * np.median(lasted) / 10 + 1)
    assert row["cost"][0] == pytest.approx(np.median(lasted) / 10 + 1)
    assert row["cost"][-1] <= row["budget"]
    assert np.diff(row["cost"]).min(initial=1) > 0
    best = np.minimum.accumulate(row["held_out"])
    assert len(row["cost"]) == len(row["error"]) == len(np.unique(best))


def test_autobalance_is_one_search_and_one_training(simulation, job):
    (row,) = Optimisations(job)(Unit((f"autobalance-{HEADLINE}",), 0)).values()
    assert row["cost"] == [2.5]
    assert row["ordinary_seconds"] == 10.0
    ((loss, size),) = simulation.trained
    assert size is None
    search = BY_KEY[HEADLINE].search(job.lab(0))
    assert values(loss) == row["design"] == values(search.design())
    assert row["error"] == [error_of(loss)]
    assert "budget" not in row


def row(error, *costs, **more):
    return {"cost": list(costs), "error": list(np.atleast_1d(error)), **more}


def test_the_mean_curve_begins_when_all_seeds_have():
    rows = [
        row([30.0, 20.0], 2.0, 4.0, budget=9.0),
        row([40.0, 26.0, 24.0], 3.0, 4.0, 6.0, budget=10.0),
    ]
    costs, means = cost._mean_curve(rows)
    assert costs == [3.0, 4.0, 6.0, 9.5]
    assert means == [35.0, 23.0, 22.0, 22.0]
    assert cost._mean_curve([row(20.0, 2.0), row(22.0, 2.5)]) == ([2.5], [21.0])


def checked(ours, theirs=None, who="tpe"):
    by_key = {f"autobalance-{DEFAULT}": ours}
    if theirs is not None:
        by_key[f"{who}-{DEFAULT}"] = theirs
    return [(check.passed, check.found) for check in cost._checks(by_key)]


def test_a_cost_of_two_and_a_half_trainings_at_most_passes():
    assert checked([row(20.0, 2.4), row(20.0, 2.6)]) == [(True, "2.50 ± 0.10")]
    assert checked([row(20.0, 2.5), row(20.0, 2.6)]) == [(False, "2.55 ± 0.05")]


def test_an_optimiser_must_end_above_the_error_of_autobalance():
    ours = [row(20.0, 2.0), row(22.0, 2.0)]
    behind = [row([40.0, 21.0], 2, 5), row([40.0, 22.5], 2, 5)]
    assert checked(ours, behind)[1] == (True, "+0.75 ± 0.25 points, paired by seed")
    ahead = [row([40.0, 21.0], 2, 5), row([40.0, 20.0], 2, 5)]
    assert checked(ours, ahead, "smac")[1] == (False, "−0.50 ± 1.50 points, paired by seed")
    even = [row([40.0, 20.0], 2, 5), row([40.0, 22.0], 2, 5)]
    assert not checked(ours, even)[1][0]


def test_without_autobalance_there_is_nothing_to_check():
    assert cost._checks({f"tpe-{DEFAULT}": [row(20.0, 2.0)]}) == []


def test_the_table_has_what_is_spent_in_trials_and_what_is_not():
    more = {"budget": 9.8, "seconds_to_ask": 12.4}
    table = cost._table(
        {f"autobalance-{DEFAULT}": [row(20.0, 2.25)], f"smac-{DEFAULT}": [row(21.0, 3.0, **more)]}
    )
    assert [line.cells for line in table.lines] == [
        ("AutoBalance, the library's default", "2.25", "20.00", ""),
        ("SMAC3, same values", "9.80", "21.00", "12"),
    ]
    assert [line.headline for line in table.lines] == [True, False]
    assert [line.cells for line in cost._published().lines] == [
        ("AutoBalance: Δ & l", "4 to 5", "21.39"),
        ("SMAC", "10 to 20", "22.51"),
    ]


def test_an_unknown_run_is_refused_with_all_that_there_are(asked, watch):
    with pytest.raises(DataError, match="there is no 'tpe' here; choose among") as caught:
        REPRODUCTION.run(asked(dataset=FASHION_MNIST_LT, methods=("tpe",)), watch)
    assert all(key in str(caught.value) for key in keys())


def test_the_figure_on_small_images(simulation, asked, watch):
    simulation.worth = iter(np.random.default_rng(0).uniform(size=1000))
    request = asked(dataset=FASHION_MNIST_LT)
    REPRODUCTION.check(request)
    outcome = REPRODUCTION.run(request, watch)
    assert outcome.name == "cost_fashion_mnist_lt"
    assert outcome.conditions["Optimisers"] == "10 ordinary trainings each"
    assert [row["method"] for row in outcome.rows] == keys()
    assert not any("told" in row for row in outcome.rows)
    assert len(outcome.tables[0].lines) == 6
    assert len(outcome.checks) == 6
    assert [check.passed for check in outcome.checks[::3]] == [True, True]  # of the cost
    (picture,) = outcome.pictures
    for axes, space in zip(picture.draw(760).axes, SPACES, strict=True):
        marks = [line.get_xydata().tolist() for line in axes.lines[1::2]]
        assert len(marks) == 3
        (ours,) = [row for row in outcome.rows if row["method"] == f"autobalance-{space}"]
        assert marks[0] == [[ours["cost"][0], ours["error"][0]]]

    trained = len(simulation.trained)
    some = REPRODUCTION.run(asked(dataset=FASHION_MNIST_LT, methods=(f"tpe-{HEADLINE}",)), watch)
    assert some.rows == [outcome.rows[4]]
    assert some.checks == ()
    assert len(some.pictures[0].draw(340).axes) == 1
    assert len(simulation.trained) == trained
