import pytest

from autobalance.report.content.errors import errors_by_unit, trade_off
from autobalance.report.roles import Roles


def by_name(methods):
    return {method["name"]: method for method in methods}


@pytest.mark.parametrize("kept", ["AutoBalance", "Logit adjustment", "Cross-entropy"])
def test_errors_of_every_cell_before_and_after(make_run, kept):
    metrics, design, _ = make_run(["no", "yes"], ["Female", None], empty=((1, 0),), kept=kept)
    content = errors_by_unit(Roles.of(metrics), design.counts)
    methods = by_name(metrics["methods"])
    before = methods["Cross-entropy"]
    after = methods["AutoBalance" if kept == "Cross-entropy" else kept]
    rows = {row["name"]: row for row in content["rows"]}
    for k, label in enumerate(("no", "yes")):
        for j, group in enumerate(("Female", "missing")):
            row = rows[f"{label} · {group}"]
            assert row["examples"] == design.counts.values[k, j]
            assert row["before"] == before["cell_errors"][k][j]
            assert row["after"] == after["cell_errors"][k][j]
            assert row["after_interval"] == after["cell_intervals"][k][j]
            if (k, j) == (1, 0):
                assert row["change"] is None
            else:
                assert row["change"] == row["after"] - row["before"]
    assert content["measured"] == 3
    changes = [row["change"] for row in rows.values() if row["change"] is not None]
    assert content["improved"] == sum(change < 0 for change in changes)
    assert content["worsened"] == sum(change > 0 for change in changes)
    assert "not measured" in content["figure"]
    assert content["by_class"][1]["before"] == before["class_errors"][1]


def test_many_classes_are_told_by_their_extremes(make_run):
    metrics, design, _ = make_run([f"species {k}" for k in range(60)])
    content = errors_by_unit(Roles.of(metrics), design.counts)
    assert content["by_rank"]
    assert content["by_class"] is None
    changes = sorted(row["change"] for row in content["rows"])
    (_, gains), (_, losses) = content["largest"]
    assert [row["change"] for row in gains] == changes[:5]
    assert [row["change"] for row in losses] == [c for c in changes[:-6:-1] if c > 0]


def test_the_trade_off_counts_every_objective_from_cross_entropy(make_run):
    metrics, _, _ = make_run(["no", "yes"], ["Female", "Male"], kept="VS")
    content = trade_off(metrics, Roles.of(metrics))
    methods = by_name(metrics["methods"])
    before, after, ours = (
        methods[name]["summary"]["equalized-odds"]
        for name in ("Cross-entropy", "VS", "AutoBalance")
    )
    (row,) = [row for row in content["rows"] if row["name"] == "Equalized-odds gap"]
    assert (row["change"], row["beside_change"]) == (after - before, ours - before)
    assert [row["name"] for row in content["rows"] if row["asked"]] == ["Worst-group error"]
    assert len(content["methods"]) == len(metrics["methods"])


def test_a_sum_that_was_asked_for_comes_first(make_run):
    metrics, _, _ = make_run(["a", "b"], ["x", "y"], objective="0.1*error+0.9*equalized-odds")
    content = trade_off(metrics, Roles.of(metrics))
    first = content["rows"][0]
    methods = by_name(metrics["methods"])
    assert first["name"] == "0.1 × error + 0.9 × equalized-odds gap"
    assert first["asked"]
    assert first["before"] == methods["Cross-entropy"]["value"]
    assert first["after"] == methods["AutoBalance"]["value"]
    assert content["methods"][0][1][0] == min(m["value"] for m in metrics["methods"])
