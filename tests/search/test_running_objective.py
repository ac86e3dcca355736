"""The held-out objective from batches: against the whole set, and what it remembers."""

from itertools import combinations

import numpy as np
import pytest
import torch

from autobalance.batches import Batch
from autobalance.counts import Counts
from autobalance.errors import DataError, SearchError
from autobalance.objectives import DEFAULT_SHARPNESS, Objective
from autobalance.search.heldout import HELD_OUT_LOSSES, HeldOutRisk
from autobalance.search.running_objective import RunningObjective

RNG = np.random.default_rng(0)
TRAINING = Counts(np.array([[400.0, 100.0], [50.0, 250.0], [80.0, 20.0]]), (0, 1, 2), (0, 1))
Y, G = torch.tensor(RNG.integers(3, size=90)), torch.tensor(RNG.integers(2, size=90))
Y[:6], G[:6] = torch.arange(6) // 2, torch.arange(6) % 2
Z = torch.from_numpy(RNG.normal(size=(90, 3))) + torch.nn.functional.one_hot(Y, 3)
LINEAR = ("error", "balanced", "group-balanced", "0.3*error+0.7*group-balanced")
NONLINEAR = ("worst-class", "worst-group", "equalized-odds", "0.1*error+0.9*equalized-odds")


def running(objective="group-balanced", counts=TRAINING, **options):
    settings = {"loss": "cross-entropy", "sharpness": DEFAULT_SHARPNESS, **options}
    bound = Objective.parse(objective).bind(counts, "drop")
    return RunningObjective(bound, counts.frequencies, **settings)


def batch(rows=slice(None)):
    return Batch(None, Y[rows], G[rows])


def value_and_slope(objective, logits, *batches):
    leaf = logits.clone().requires_grad_()
    value = objective(leaf, batches)
    return float(value.detach()), torch.autograd.grad(value, leaf)[0]


def on_the_whole_set(objective, loss="cross-entropy", profile=True):
    """Examples weighted so that each cell has its share of the training data."""
    shares = torch.from_numpy(TRAINING.frequencies.copy())[Y, G]
    cell = 2 * Y + G
    risk = HeldOutRisk(
        *(Y, G, shares / torch.bincount(cell)[cell]),
        Objective.parse(objective).bind(TRAINING),
        sharpness=DEFAULT_SHARPNESS,
        loss=loss,
        profile_temperature=profile,
    )
    leaf = Z.clone().requires_grad_()
    value = risk(leaf).objective
    return float(value.detach()), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("loss", HELD_OUT_LOSSES)
@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
@pytest.mark.parametrize("objective", [*LINEAR, *NONLINEAR])
def test_on_the_whole_set_it_is_the_objective_itself(objective, profile, loss):
    options = {"loss": loss, "profile_temperature": profile, "memory": 0.0}
    ours = running(objective, **options)
    value_and_slope(ours, 3 * Z.flip(0), batch())  # which leaves nothing behind
    value, slope = value_and_slope(ours, Z, batch(slice(40)), batch(slice(40, None)))
    expected, gradient = on_the_whole_set(objective, loss, profile)
    assert value == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(slope, gradient, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("objective", ["error", "0.3*balanced+0.7*group-balanced"])
@pytest.mark.parametrize("cells", [6, 4, 1])
def test_it_is_unbiased_whichever_cells_a_batch_shows(objective, cells):
    """The mean over many batches is the gradient on the whole set, for what is linear in it."""
    ours = running(objective, profile_temperature=False)
    shown = [torch.isin(2 * Y + G, torch.tensor(some)) for some in combinations(range(6), cells)]
    settling, cycles = 60 // len(shown), 90 // len(shown)
    total = torch.zeros_like(Z)
    for cycle in range(settling + cycles):
        for rows in shown:
            value, slope = value_and_slope(ours, Z[rows], batch(rows))
            if cycle >= settling:
                total[rows] += slope / (cycles * len(shown))
    expected, gradient = on_the_whole_set(objective, profile=False)
    assert value == pytest.approx(expected, rel=1e-9)
    assert (total - gradient).norm() < 0.06 * gradient.norm()  # the shares are still settling


def test_a_maximum_is_taken_at_running_means():
    """By hand for two classes: R ← 0.9 R + 0.1 r, and the softmax of κR weighs the batch's means.

    Each batch shows the wrong class as the worse. A maximum of the batch's means would follow.
    """
    counts = Counts(np.array([[5.0], [5.0]]), (0, 1))
    ours = running("worst-class", counts, profile_temperature=False, memory=0.9)
    target = torch.tensor([0, 1])
    risks, kappa = None, DEFAULT_SHARPNESS
    for rows in ([[2.0, 0.0], [0.3, 0.0]], [[0.0, 1.0], [0.0, 1.0]]):
        logits = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
        means = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        now = means.detach()
        risks = now if risks is None else 0.9 * risks + 0.1 * now
        expected = torch.log(torch.exp(kappa * risks).mean()) / kappa
        (gradient,) = torch.autograd.grad((torch.softmax(kappa * risks, 0) * means).sum(), logits)
        value, slope = value_and_slope(ours, logits.detach(), Batch(None, target))
        assert value == pytest.approx(float(expected))
        torch.testing.assert_close(slope, gradient)
    assert now[0] > now[1]
    assert risks[0] < risks[1]
    np.testing.assert_allclose(ours.risks[:, 0], risks)
    np.testing.assert_allclose(ours.errors[:, 0], [0.1, 0.9])


def test_cells_not_shown_yet_do_not_count():
    ours = running("group-balanced", profile_temperature=False)
    losses = torch.nn.functional.cross_entropy(Z, Y, reduction="none")
    value, slope = value_and_slope(ours, Z[:2], batch(slice(2)))  # class 0 in both groups
    assert value == pytest.approx(float(losses[:2].mean()))
    assert slope.abs().sum(1).min() > 0
    value, slope = value_and_slope(ours, Z[2:4], batch(slice(2, 4)))  # class 1
    assert value == pytest.approx(float(losses[:4].mean()))
    leaf = Z[2:4].clone().requires_grad_()
    # Each cell was in one batch of two, and is a quarter of what is known.
    part = 2 * torch.nn.functional.cross_entropy(leaf, Y[2:4], reduction="none").sum() / 4
    torch.testing.assert_close(slope, torch.autograd.grad(part, leaf)[0])


def test_examples_of_a_cell_that_training_has_not_are_left_out():
    lacking = Counts(np.array([[9.0, 9.0], [9.0, 0.0], [9.0, 9.0]]), (0, 1, 2), (0, 1))
    rows = ~((Y == 1) & (G == 1))
    value, slope = value_and_slope(running(counts=lacking), Z, batch())
    expected, gradient = value_and_slope(running(counts=lacking), Z[rows], batch(rows))
    assert value == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(slope[rows], gradient)
    assert not slope[~rows].any()
    with pytest.raises(SearchError, match="no held-out example"):
        running(counts=lacking)(Z[~rows], [batch(~rows)])


@pytest.mark.parametrize("spoilt", [torch.nan, torch.inf])
@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "as-is"])
def test_a_batch_that_is_not_finite_leaves_no_trace(spoilt, profile):
    ours, untouched = (running(profile_temperature=profile) for _ in range(2))
    bad = Z.clone()
    bad[7, 1] = spoilt
    for place in range(3):
        with pytest.raises(SearchError, match="not finite"):
            ours(bad, [batch()])
        rows = slice(30 * place, 30 * place + 30)
        results = [value_and_slope(each, Z[rows], batch(rows)) for each in (ours, untouched)]
        assert results[0][0] == results[1][0]
        assert torch.equal(results[0][1], results[1][1])


def test_it_goes_on_from_its_state():
    ours, restored = running("worst-group"), running("worst-group")
    value_and_slope(ours, Z[:40], batch(slice(40)))
    state = ours.state_dict()
    expected = value_and_slope(ours, Z[40:], batch(slice(40, None)))
    restored.load_state_dict(state)
    value, slope = value_and_slope(restored, Z[40:], batch(slice(40, None)))
    assert value == expected[0]
    assert torch.equal(slope, expected[1])


@pytest.mark.parametrize(
    ("targets", "groups", "said"),
    [
        (Y, None, "no groups but the loss has 2"),
        (torch.eye(3)[Y], G, "float32 of shape"),
        (Y - 1, G, "class code -1 is out of range"),
        (Y, G + 1, "group code 2 is out of range"),
    ],
)
def test_what_is_not_labelled_is_refused(targets, groups, said):
    with pytest.raises(DataError, match=said):
        running()(Z, [Batch(None, targets, groups)])


def test_codes_of_any_whole_type_will_do():
    narrow = Batch(None, Y.to(torch.uint8), G.to(torch.int32))
    assert value_and_slope(running(), Z, narrow)[0] == value_and_slope(running(), Z, batch())[0]
