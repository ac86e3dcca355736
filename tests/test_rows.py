import csv

import numpy as np

from autobalance.counts import Counts
from autobalance.rows import by_cell, cell_names, write_rows


def test_cells_have_names_with_and_without_groups():
    grouped = Counts(np.ones((2, 2)), ("cat", 3), ("land", None))
    assert cell_names("risk", grouped)[0] == "risk[cat|land]"
    assert len(set(cell_names("risk", grouped))) == 4
    alone = Counts(np.ones((2, 1)), (0.5, True))
    assert by_cell("error", np.array([[0.25], [0.5]]), alone) == {
        cell_names("error", alone)[0]: 0.25,
        cell_names("error", alone)[1]: 0.5,
    }
    assert all(name.endswith("|all]") for name in cell_names("error", alone))


def test_labels_of_any_kind_read_back(tmp_path):
    names = ['a "b", c', "line\nend", "ünïcode", "="]
    rows = [dict.fromkeys(names, 0.1 * step) for step in range(3)]
    write_rows(tmp_path / "rows.csv", rows)
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as stream:
        found = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    assert found == rows


def test_no_rows_are_an_empty_file(tmp_path):
    write_rows(tmp_path / "rows.csv", [])
    assert (tmp_path / "rows.csv").read_bytes() == b""
