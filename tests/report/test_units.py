import numpy as np

from autobalance.counts import Counts
from autobalance.report.units import cell_units, class_units, design_units

COUNTS = Counts(np.array([[5.0, 1.0], [20.0, 7.0], [6.0, 0.0]]), ("a", "b", "c"), ("x", None))


def test_classes_come_most_frequent_first_and_ties_in_order() -> None:
    units = class_units(COUNTS)
    assert [(unit.name, unit.examples) for unit in units] == [("b", 27), ("a", 6), ("c", 6)]


def test_cells_find_their_own_values() -> None:
    units = cell_units(COUNTS)
    assert [unit.name for unit in units][:3] == ["b · x", "b · missing", "c · x"]
    assert [unit.of_cell(COUNTS.values.tolist()) for unit in units] == [20, 7, 6, 5, 1, 0]


def test_a_design_that_treats_groups_alike_is_shown_by_class() -> None:
    alike = np.repeat([[1.0], [2.0], [3.0]], 2, axis=1)
    assert len(design_units(COUNTS, alike)) == 3
    assert len(design_units(COUNTS, alike, COUNTS.values)) == 6
