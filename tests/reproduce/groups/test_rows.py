"""Which rows the tables have, and what stands beside them."""

import pytest

from autobalance.reproduce.fitted import PEEKING
from autobalance.reproduce.groups.rows import HEADLINE, METHODS, PUBLISHED_AS, rows_of


@pytest.mark.parametrize("table", ["table3", "table5"])
def test_by_default_a_table_has_all_its_rows_in_order(table):
    keys = rows_of(table)
    assert keys == [key for key in METHODS if key in keys]
    assert set(PUBLISHED_AS[table]) <= set(keys)
    assert HEADLINE in keys
    assert keys.index("cross-entropy") == 0


def test_each_table_has_the_blend_that_it_prints():
    third, fifth = rows_of("table3"), rows_of("table5")
    assert "ce-0.1-deo-0.9" in third
    assert "ce-0.1-deo-0.9" not in fifth
    assert "ce-0.9-deo-0.1" in fifth
    assert "ce-0.9-deo-0.1" not in third
    assert not any(METHODS[key].kind == PEEKING for key in third)
    assert sum(METHODS[key].kind == PEEKING for key in fifth) == 2

    assert "posthoc-balanced" in fifth
    assert "posthoc-balanced" not in third
