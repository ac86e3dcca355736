"""Which rows the tables have, and what stands beside them."""

import pytest

from autobalance.errors import DataError
from autobalance.reproduce.fitted import PEEKING
from autobalance.reproduce.groups.rows import HEADLINE, METHODS, PUBLISHED_AS, rows_of


@pytest.mark.parametrize("table", ["table3", "table5"])
def test_by_default_a_table_has_all_its_rows_in_order(table):
    keys = rows_of(table, None)
    assert keys == [key for key in METHODS if key in keys]
    assert set(PUBLISHED_AS[table]) <= set(keys)
    assert HEADLINE in keys
    assert keys.index("cross-entropy") == 0


def test_each_table_has_the_blend_that_it_prints():
    third, fifth = rows_of("table3", None), rows_of("table5", None)
    assert "ce-0.1-deo-0.9" in third
    assert "ce-0.1-deo-0.9" not in fifth
    assert "ce-0.9-deo-0.1" in fifth
    assert "ce-0.9-deo-0.1" not in third
    assert not any(METHODS[key].kind == PEEKING for key in third)
    assert sum(METHODS[key].kind == PEEKING for key in fifth) == 2


def test_rows_that_are_asked_for_come_in_the_order_of_the_table():
    assert rows_of("table3", ("dfr", "cross-entropy")) == ["cross-entropy", "dfr"]


@pytest.mark.parametrize("key", ["madao", "posthoc-balanced", ""])
def test_an_unknown_row_is_named_with_those_that_there_are(key):
    with pytest.raises(DataError) as error:
        rows_of("table3", ("cross-entropy", key))
    assert str(error.value).startswith(f"table3 has no row {key!r}; choose among 'cross-entropy', ")
    assert "'vector-scaling'" in str(error.value)
