"""Run folders whose record is damaged: ``report`` refuses them, or makes a page."""

import json

import pytest

from autobalance.data.tables import Table
from autobalance.errors import AutoBalanceError
from autobalance.report import picture
from autobalance.runs.columns import Columns
from autobalance.runs.compare import read_runs, write_comparison
from autobalance.runs.fit import fit_rows
from autobalance.runs.report import remake_report
from autobalance.runs.request import FitRequest
from autobalance.runs.watch import Watch
from tests.odd_inputs.commands import small_frame
from tests.odd_inputs.kit import USED, mutated_bytes, mutated_json, refusal

FILES = ("metrics.json", "metrics.json", "metrics.json", "history.csv", "design.json")


@pytest.mark.timeout(120)
def test_reports(tried, tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "inline_svg", lambda *_: "<svg></svg>")
    columns = Columns("y", ("place",), "part")
    rows = columns.rows(Table("table.csv", small_frame(), {}))
    run = fit_rows(rows, FitRequest(columns, cv=2, verdict=None), Watch())
    for name in ("run", "other"):
        (tmp_path / name).mkdir()
        run.write(tmp_path / name)
    whole = {name: (tmp_path / "run" / name).read_bytes() for name in FILES}

    def case(rng):
        name = rng.choice(FILES)
        data = whole[name]
        if name.endswith(".json"):
            data = mutated_json(rng, json.loads(data))
        else:
            data = mutated_bytes(rng, data)
        (tmp_path / "run" / name).write_bytes(data)
        try:
            remake_report(tmp_path / "run")
            if rng.random() < 0.2:
                write_comparison(
                    read_runs([tmp_path / "run", tmp_path / "other"]), tmp_path / "c.html"
                )
        except AutoBalanceError as error:
            return refusal(error)
        finally:
            (tmp_path / "run" / name).write_bytes(whole[name])
        return USED

    tried("reports", case)
