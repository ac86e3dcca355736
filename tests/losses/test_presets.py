"""The presets against their papers' formulas, written out on small counts."""

import inspect
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autobalance import losses
from autobalance.costs import Costs
from autobalance.counts import Counts
from autobalance.design import LossDesign
from autobalance.errors import DesignError
from autobalance.losses import PRESETS, ParametricCrossEntropy, preset

LONG_TAIL = Counts(np.array([[100.0], [10.0], [1.0]]), ("head", "middle", "tail"))
BIRDS = Counts(np.array([[3498.0, 184.0], [56.0, 1057.0]]), ("land", "water"), ("land", "water"))
PER_CLASS = (
    "cross-entropy",
    "weighted",
    "class-balanced",
    "logit-adjustment",
    "balanced-softmax",
    "weighted-adjustment",
    "cdt",
    "vs",
)


def test_names_are_stable():
    assert tuple(PRESETS) == (*PER_CLASS, "group-balanced", "group-vs", "group-la")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("counts", [LONG_TAIL, BIRDS], ids=["classes", "groups"])
def test_what_holds_for_every_preset(name, counts):
    design = preset(name, counts)
    assert design.counts == counts
    np.testing.assert_allclose((counts.frequencies * design.weight).sum(), 1.0)
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(PRESETS[name]).parameters.items()
        if key != "counts"
    }
    assert design.metadata == {"preset": name, "arguments": defaults}
    assert LossDesign.from_json(design.to_json()) == design
    assert getattr(losses, name.replace("-", "_")) is PRESETS[name]


@pytest.mark.parametrize("name", PER_CLASS)
def test_class_presets_ignore_groups(name):
    classes = preset(name, Counts(BIRDS.per_class[:, None], BIRDS.classes))
    cells = preset(name, BIRDS)
    for values in ("weight", "additive", "multiplicative"):
        np.testing.assert_allclose(
            getattr(cells, values), np.repeat(getattr(classes, values), 2, axis=1)
        )


@pytest.mark.parametrize(
    ("of_groups", "of_classes", "arguments"),
    [
        ("group-balanced", "weighted", {}),
        ("group-la", "logit-adjustment", {}),
        ("group-vs", "vs", {"tau": 0.7, "gamma": 0.2}),
    ],
)
def test_group_presets_without_groups_are_class_presets(of_groups, of_classes, arguments):
    one, other = (
        preset(of_groups, LONG_TAIL, **arguments),
        preset(of_classes, LONG_TAIL, **arguments),
    )
    for values in ("weight", "additive", "multiplicative"):
        np.testing.assert_allclose(getattr(one, values), getattr(other, values), atol=1e-15)


def test_cross_entropy_is_torch_cross_entropy():
    loss = ParametricCrossEntropy.from_design(losses.cross_entropy(LONG_TAIL))
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    torch.testing.assert_close(loss(logits, target), F.cross_entropy(logits, target))


def test_weighted_makes_every_class_count_the_same():
    design = losses.weighted(LONG_TAIL)
    np.testing.assert_allclose(design.weight[:, 0] * LONG_TAIL.per_class, [37.0, 37.0, 37.0])


def test_class_balanced_is_the_inverse_effective_number():
    beta = 0.9
    effective = np.array([sum(beta**i for i in range(n)) for n in (100, 10, 1)])
    design = losses.class_balanced(LONG_TAIL, beta)
    np.testing.assert_allclose(design.weight[:, 0] / design.weight[0, 0], effective[0] / effective)


def test_class_balanced_is_exact_for_beta_near_one():
    beta = 1 - 1e-9
    effective = np.array([float(1 - Fraction(beta) ** n) for n in (100, 10, 1)])
    weight = losses.class_balanced(LONG_TAIL, beta).weight[:, 0]
    np.testing.assert_allclose(weight / weight[0], effective[0] / effective, rtol=1e-12)


def test_class_balanced_runs_from_plain_to_weighted():
    np.testing.assert_allclose(losses.class_balanced(LONG_TAIL, 0.0).weight, 1.0)
    almost = losses.class_balanced(LONG_TAIL, 1 - 1e-15).weight
    np.testing.assert_allclose(almost, losses.weighted(LONG_TAIL).weight, rtol=1e-10)


def test_logit_adjustment_is_the_scaled_log_prior():
    design = losses.logit_adjustment(LONG_TAIL, tau=1.5)
    np.testing.assert_allclose(design.additive[:, 0], 1.5 * np.log([100 / 111, 10 / 111, 1 / 111]))
    assert (design.weight == 1).all()
    assert (design.multiplicative == 1).all()


def test_balanced_softmax_weighs_the_odds_by_the_counts():
    loss = ParametricCrossEntropy.from_design(
        losses.balanced_softmax(LONG_TAIL), reduction="none", dtype=torch.float64
    )
    logits = torch.tensor([[0.3, -1.2, 2.0], [1.5, 0.1, -0.7], [-2.0, 0.4, 0.9]]).double()
    n, odds = np.array([100, 10, 1]), np.exp(logits.numpy())
    for y in range(3):
        expected = -np.log(n[y] * odds[:, y] / (n * odds).sum(1))
        np.testing.assert_allclose(loss(logits, torch.tensor([y] * 3)), expected, rtol=1e-12)


def test_balanced_softmax_is_logit_adjustment_up_to_a_constant():
    ours, other = losses.balanced_softmax(LONG_TAIL), losses.logit_adjustment(LONG_TAIL, tau=1.0)
    np.testing.assert_allclose(ours.additive - other.additive, np.log(111), rtol=1e-12)
    assert (ours.weight == 1).all()
    assert (ours.multiplicative == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_weighted_adjustment_is_consistent_whatever_the_share(share):
    """With odds that w and l give the classes, w / exp(l), only balanced ones decide: 1 / π."""
    design = losses.weighted_adjustment(LONG_TAIL, share)
    odds = design.weight[:, 0] * np.exp(-design.additive[:, 0]) * LONG_TAIL.frequencies[:, 0]
    np.testing.assert_allclose(odds / odds[0], 1.0, rtol=1e-12)
    assert (LONG_TAIL.frequencies * design.weight).sum() == pytest.approx(1.0)
    same = {0.0: losses.logit_adjustment, 1.0: losses.weighted}.get(share)
    if same is not None:
        np.testing.assert_allclose(design.weight, same(LONG_TAIL).weight)
        np.testing.assert_allclose(design.additive, same(LONG_TAIL).additive)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_beyond_weights_is_refused(share):
    with pytest.raises(DesignError, match=f"share is {share} but must be from 0 to 1"):
        losses.weighted_adjustment(LONG_TAIL, share)


def test_cdt_shrinks_rare_logits():
    np.testing.assert_allclose(
        losses.cdt(LONG_TAIL, gamma=0.5).multiplicative[:, 0], [1.0, 0.1**0.5, 0.1]
    )


def test_vs_is_logit_adjustment_and_cdt():
    design = losses.vs(LONG_TAIL, tau=1.25, gamma=0.15)
    np.testing.assert_array_equal(
        design.additive, losses.logit_adjustment(LONG_TAIL, tau=1.25).additive
    )
    np.testing.assert_array_equal(
        design.multiplicative, losses.cdt(LONG_TAIL, gamma=0.15).multiplicative
    )


def test_group_balanced_makes_every_cell_count_the_same():
    shares = losses.group_balanced(BIRDS).weight * BIRDS.frequencies
    np.testing.assert_allclose(shares, np.full((2, 2), 0.25))


def test_group_la_balances_groups_and_adjusts_within_them():
    design = losses.group_la(BIRDS)
    shares = design.weight * BIRDS.frequencies
    np.testing.assert_allclose(shares.sum(axis=0), [0.5, 0.5])
    np.testing.assert_allclose(design.weight[0], design.weight[1])
    within = BIRDS.values / np.array([[3554.0, 1241.0]])
    np.testing.assert_allclose(design.additive, np.log(within))


def test_group_vs_takes_its_values_from_the_cells():
    design = losses.group_vs(BIRDS, tau=1.0, gamma=0.3)
    np.testing.assert_allclose(design.multiplicative, (BIRDS.values / 3498.0) ** 0.3)
    np.testing.assert_allclose(
        np.diff(design.additive, axis=0), np.diff(losses.group_la(BIRDS).additive, axis=0)
    )
    assert (design.weight == 1).all()


@pytest.mark.parametrize("name", ["group-balanced", "group-vs", "group-la"])
def test_empty_cells_rank_behind_every_seen_cell(name):
    counts = Counts(np.array([[50.0, 7.0], [1.0, 0.0]]), ("a", "b"), ("x", "y"))
    as_half = Counts(np.array([[50.0, 7.0], [1.0, 0.5]]), ("a", "b"), ("x", "y"))
    design, half = preset(name, counts), preset(name, as_half)
    np.testing.assert_allclose(design.multiplicative, half.multiplicative)
    np.testing.assert_allclose(
        np.diff(design.additive, axis=0), np.diff(half.additive, axis=0), atol=1e-12
    )
    np.testing.assert_allclose(design.weight / design.weight[0, 0], half.weight / half.weight[0, 0])
    np.testing.assert_allclose((counts.frequencies * design.weight).sum(), 1.0)


def test_empty_cells_rank_behind_cells_of_less_than_one():
    values = np.array([[0.5, 0.07], [0.01, 0.0]])
    scaled = losses.group_la(Counts(values, ("a", "b"), ("x", "y")))
    assert scaled.additive[1, 1] == pytest.approx(np.log(0.005 / 0.075))


tables = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 3)),
    elements=st.one_of(st.integers(0, 10**7).map(float), st.floats(1e-6, 1e9)),
).filter(lambda values: (values.sum(axis=1) > 0).all())


@given(values=tables, name=st.sampled_from(tuple(PRESETS)))
def test_any_counts_give_a_usable_design(values, name):
    counts = Counts(values, tuple(range(len(values))), tuple(range(values.shape[1])))
    design = preset(name, counts)
    np.testing.assert_allclose((counts.frequencies * design.weight).sum(), 1.0)
    loss = ParametricCrossEntropy.from_design(design, reduction="none")
    k, g = np.argwhere(values > 0)[0]
    losses_of_cell = loss(torch.zeros(1, len(values)), torch.tensor([k]), torch.tensor([g]))
    assert torch.isfinite(losses_of_cell).all()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("focal", {}, "there is no preset 'focal'; choose one of cross-entropy, weighted"),
        ("weighted", {"tau": 1.0}, "preset 'weighted' cannot take these arguments"),
        ("class-balanced", {"beta": 1.0}, "beta is 1.0 but must be at least 0 and less than 1"),
        ("class-balanced", {"beta": -0.1}, "beta is -0.1"),
        ("vs", {"gamma": 1e6}, "multiplicative is not positive for class 'middle'"),
        ("logit-adjustment", {"tau": np.nan}, "additive is not finite for class 'head'"),
    ],
)
def test_refusals(name, arguments, message):
    with pytest.raises(DesignError, match=message):
        preset(name, LONG_TAIL, **arguments)


class TestCosts:
    COSTS = Costs(("a", "b", "c"), ((1.0, 2.0, 5.0), (2.0, 0.0, 8.0), (4.0, 4.0, 4.0)))
    COUNTS = Counts(np.array([[60.0], [30.0], [10.0]]), ("a", "b", "c"))

    def test_weights_are_what_the_errors_of_a_class_cost(self):
        weight = preset("cost-weighted", self.COUNTS, self.COSTS).weight[:, 0]
        np.testing.assert_allclose(weight / weight[0], [1, 2, 2e-3], rtol=1e-12)
        assert self.COUNTS.frequencies[:, 0] @ weight == pytest.approx(1)

    def test_for_two_classes_both_decide_as_elkan_does(self):
        """Where the head is right, its plain logits cross at p* = c10 / (c10 + c01)."""
        counts = Counts(np.array([[80.0], [20.0]]), (0, 1))
        costs = Costs((0, 1), ((0.0, 1.0), (9.0, 0.0)))
        for name in ("cost-weighted", "cost-adjustment"):
            design = preset(name, counts, costs)
            p = np.array([0.9, 0.1])  # of an example for which both decisions cost the same
            z = np.log(p * design.weight[:, 0]) - design.additive[:, 0]
            assert z[0] == pytest.approx(z[1]), name

    @pytest.mark.parametrize("arguments", [{}, {"costs": COSTS, "tau": 1.0}])
    def test_they_take_costs_and_nothing_else(self, arguments):
        with pytest.raises(DesignError, match="takes the costs of decisions and nothing else"):
            preset("cost-weighted", self.COUNTS, **arguments)
