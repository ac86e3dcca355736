"""Rows that stand for others: how many of each cell, and that they change no optimum."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autobalance.search import heads as module
from autobalance.search.heads import LinearHeads
from autobalance.search.representatives import Representatives
from tests.search.test_heads import loss_values, make_heads, random_theta


@given(
    cell=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    most=st.integers(1, 20),
    cut=st.integers(0, 60),
)
def test_each_cell_is_stood_for_by_as_many_as_are_allowed(cell, most, cut):
    cell = torch.tensor(cell)
    sizes = torch.bincount(cell)
    some = Representatives.of_cells(cell, most)
    if int(sizes.max()) <= most:
        assert some is None
        return
    assert torch.equal(some.row, some.row.unique())
    kept = torch.bincount(cell[some.row], minlength=len(sizes))
    assert torch.equal(kept, sizes.clamp_max(most))
    stood_for = torch.bincount(cell[some.row], weights=some.times, minlength=len(sizes))
    torch.testing.assert_close(stood_for, sizes.double(), rtol=1e-12, atol=0)
    cut = min(cut, len(cell))
    parts = [some.within(slice(0, cut)), some.within(slice(cut, len(cell)))]
    assert torch.equal(torch.cat([row for row, _ in parts]), some.row)
    assert torch.equal(torch.cat([times for _, times in parts]), some.times)


def test_they_are_spread_over_the_file():
    some = Representatives.of_cells(torch.zeros(1000, dtype=torch.long), 10)
    assert set(some.row.diff().tolist()) == {100}


@pytest.fixture
def data(small_data):
    return small_data.draw(groups=2, rows=400, weighted=True)


def by_some(data, monkeypatch, most=40, **options):
    monkeypatch.setattr(module, "_ROWS_OF_A_CELL", most)
    heads = make_heads(data, **options)
    assert heads._some is not None
    return heads


def test_the_optimum_is_that_of_all_rows(data, monkeypatch):
    values = loss_values(data, 1e-4, seed=9)
    expected = make_heads(data, values)
    assert expected.fit()
    for limit in (0, 2000):
        monkeypatch.setattr(module, "_MAX_FACTORED_OF_SOME", limit)
        heads = by_some(data, monkeypatch)
        heads.fit()
        heads.set_loss(values)
        assert heads.fit()
        torch.testing.assert_close(heads.theta, expected.theta, rtol=1e-6, atol=1e-6)


def test_rows_that_stand_for_themselves_give_the_mean_of_the_hessians(data, monkeypatch):
    heads = make_heads(data)
    theta = random_theta(heads)
    heads.value_and_gradient(theta)
    matrix, diagonal = heads.curvature_matrix(), heads.curvature_diagonal()
    largest = int(torch.bincount(2 * heads.target + heads.group).max())
    almost = by_some(data, monkeypatch, largest - 1)
    almost.value_and_gradient(theta)
    pooled = almost.curvature_matrix()
    assert len(pooled) == 1
    torch.testing.assert_close(pooled[0], matrix.mean(0), rtol=0.05, atol=1e-3)
    torch.testing.assert_close(almost.curvature_diagonal(), diagonal, rtol=0.05, atol=1e-3)


def test_with_a_factor_of_some_rows_fewer_products_suffice(data, monkeypatch):
    def products(limit):
        monkeypatch.setattr(module, "_MAX_FACTORED_OF_SOME", limit)
        heads: LinearHeads = by_some(data, monkeypatch, values=loss_values(data, 1e-4))
        assert heads.fit()
        return heads.products

    assert products(2000) < products(0)
