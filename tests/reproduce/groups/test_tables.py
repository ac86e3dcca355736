"""Tables 3 and 5: what they show beside the published figures, and what they claim."""

import pytest

from autobalance.reproduce.fitted import DESIGNED, PEEKING, PUBLISHED, TUNED
from autobalance.reproduce.groups.rows import HEADLINE, METHODS
from autobalance.reproduce.groups.tables import LIMIT_FOR_DEO, TABLE3, TABLE5, checks
from autobalance.reproduce.outcome import with_error
from autobalance.reproduce.request import Request
from autobalance.runs.watch import Watch
from autobalance.search.result import START_KEPT

FEW = ("cross-entropy", "group-la", "posthoc-balanced", "autobalance", "group-la-tuned")


@pytest.fixture(scope="module")
def outcome_of(save_waterbirds, with_few_folds, tmp_path_factory):
    """Outcomes on runs that are kept from test to test."""
    folder = tmp_path_factory.mktemp("tables")
    data_dir = save_waterbirds(folder / "data")

    def make(table, methods, seeds=2):
        request = Request(folder / "out", data_dir=data_dir, methods=methods, seeds=seeds)
        table.check(request)
        return table.run(request, Watch())

    with pytest.MonkeyPatch.context() as patch:
        with_few_folds(patch)
        yield make


def by_name(table):
    return {line.cells[0]: line for line in table.lines}


def test_table_5_on_small_data(outcome_of):
    outcome = outcome_of(TABLE5, FEW)
    assert outcome.name == "table5_waterbirds"
    assert outcome.title.startswith("Table 5: ")
    assert outcome.conditions["Seeds"] == "2"
    assert outcome.conditions["Features"] == "tiny, 6 numbers, fixed"
    assert any("100 train images where" in sentence for sentence in outcome.deviations)
    errors, gaps = outcome.tables
    assert errors.columns == (
        *("Loss", "Balanced, %", "paper", "Worst cell, %", "paper", "DEO, %", "paper", "Seconds"),
    )
    lines = by_name(errors)
    assert list(lines) == [METHODS[key].name for key in METHODS if key in FEW]
    summary = {entry["method"]: entry for entry in outcome.facts["summary"]}
    for key in FEW:
        line, entry = lines[METHODS[key].name], summary[key]
        ours = [with_error(entry[m], entry[f"{m}_standard_error"]) for m in ("balanced", "deo")]
        assert [line.cells[1], line.cells[5]] == ours
        assert line.headline == (key == HEADLINE)
    assert lines["Cross-entropy (CE)"].cells[2::2] == (
        "25.37 ± 0.31",
        "46.69 ± 4.18",
        "33.75 ± 1.86",
    )
    assert lines[METHODS["posthoc-balanced"].name].cells[2] == "21.15 ± 0.39"
    assert lines[METHODS[HEADLINE].name].cells[2] == "15.50 ± 0.18"
    assert lines[METHODS["group-la-tuned"].name].cells[2::2] == ("", "", "")
    assert list(by_name(gaps)) == [
        METHODS[key].name for key in ("cross-entropy", "group-la", "group-la-tuned")
    ]
    assert by_name(gaps)["Group-LA"].cells[1] == PUBLISHED
    assert len(outcome.rows) == 10


def test_the_peeking_row_is_in_no_comparison(outcome_of):
    outcome = outcome_of(TABLE5, FEW)
    peeking = METHODS["posthoc-balanced"].name
    errors, gaps = outcome.tables
    assert f"{peeking}: {PEEKING}; it is in no comparison." in errors.notes
    assert peeking in by_name(errors)
    assert peeking not in by_name(gaps)
    assert not any(peeking in check.found for check in outcome.checks)
    (entry,) = [e for e in outcome.facts["summary"] if e["method"] == "posthoc-balanced"]
    assert not any("difference" in name for name in entry)


def test_the_published_figures_are_those_of_the_table(outcome_of):
    (errors,) = outcome_of(TABLE3, ("cross-entropy", "group-la"), 1).tables  # nothing to compare
    lines = by_name(errors)
    assert lines["Cross-entropy (CE)"].cells[2::2] == ("23.38", "43.25", "33.75")
    assert lines["Group-LA"].cells[2::2] == ("22.83", "40.50", "29.33")
    assert "±" not in lines["Group-LA"].cells[1]  # of one seed


def test_a_difference_has_its_sign_and_interval(outcome_of):
    outcome = outcome_of(TABLE3, ("cross-entropy", "autobalance"), 1)
    _, gaps = outcome.tables
    (line,) = gaps.lines
    (_, entry) = sorted(outcome.facts["summary"], key=lambda each: "deo_difference" in each)
    low, high = (f"{end:+.1f}".replace("-", "−") for end in entry["deo_interval"])
    assert line.cells[-1] == f"{with_error(entry['deo_difference'], sign='+')} [{low}, {high}]"
    assert entry["deo_difference"] == pytest.approx(
        outcome.facts["summary"][0]["deo"] - outcome.facts["summary"][1]["deo"]
    )


def test_rows_for_files_leave_out_what_only_comparisons_need(outcome_of):
    outcome = outcome_of(TABLE3, ("group-la-tuned",), 2)
    assert [row["seed"] for row in outcome.rows] == [0, 1]
    for row in outcome.rows:
        assert not {"predictions", "told"} & set(row)
        assert {"balanced", "worst", "deo", "standard", "cell_errors", "ridge"} <= set(row)
    assert outcome.checks == ()


def test_searches_that_kept_their_start_are_named(outcome_of):
    outcome = outcome_of(TABLE3, ("autobalance", "group-la-tuned"), 2)
    kept = [row.get("status") == START_KEPT for row in outcome.rows if row["method"] == HEADLINE]
    notes = " ".join(outcome.tables[0].notes)
    assert (f"keeps its closed-form start, with the ridge tuned, on {sum(kept)} of 2" in notes) == (
        any(kept)
    )
    assert "Group-LA, ridge, τ tuned keeps" not in notes


def entry(balanced, worst, deo, low=1.0, **changed):
    errors = {"balanced": float(balanced), "worst": float(worst), "deo": float(deo)}
    found = {**errors, "deo_standard_error": 0.5}
    intervals = {f"{metric}_interval": [low, low + 2] for metric in ("balanced", "worst", "deo")}
    return {**found, **intervals, **changed}


def the_headline(balanced=6.0, worst=9.0, deo=2.0):
    return {"balanced": balanced, "worst": worst, "deo": deo, "deo_standard_error": 0.5}


TUNED_ROW = "group-la-tuned"


def verdicts(summary):
    return [check.passed for check in checks(summary)]


def test_the_rows_that_checks_are_tried_on_are_of_these_kinds():
    kinds = {key: METHODS[key].kind for key in ("group-la", TUNED_ROW, "posthoc-balanced")}
    assert list(kinds.values()) == [PUBLISHED, TUNED, PEEKING]
    assert METHODS["autobalance-blend"].kind == METHODS[HEADLINE].kind == DESIGNED


def test_checks_pass_where_every_interval_is_above_0():
    summary = {
        "group-la": entry(9, 14, 5),
        HEADLINE: the_headline(),
        TUNED_ROW: entry(8, 12, 4),
    }
    found = checks(summary)
    assert verdicts(summary) == [True] * 5
    assert [check.found for check in found[:4]] == ["all"] * 4
    assert found[-1].found == f"2.00; best {METHODS[HEADLINE].name} 2.00 ± 0.50"
    assert "every row as published" in found[0].claim
    assert "every row tuned on the same folds" in found[2].claim


@pytest.mark.parametrize(
    ("row", "metric", "failing"),
    [("group-la", "balanced", 0), ("group-la", "worst", 1), (TUNED_ROW, "balanced", 2)],
)
@pytest.mark.parametrize("low", [0.0, -0.1])
def test_a_check_fails_where_one_interval_reaches_0(row, metric, failing, low):
    summary = {
        "group-la": entry(9, 14, 5),
        HEADLINE: the_headline(),
        TUNED_ROW: entry(8, 12, 4),
    }
    summary[row][f"{metric}_interval"] = [low, 3.0]
    assert verdicts(summary) == [number != failing for number in range(5)]
    found = checks(summary)[failing].found
    assert found.startswith(f"not told apart: {METHODS[row].name} [")
    assert METHODS["cross-entropy"].name not in found


def test_rows_that_peek_or_are_designed_are_no_rivals():
    summary = {
        HEADLINE: the_headline(),
        "posthoc-balanced": entry(1, 1, 0, low=-5.0),
        "autobalance-blend": entry(1, 1, 0, low=-5.0),
        "group-la": entry(9, 14, 5),
    }
    assert verdicts(summary) == [True] * 3  # nothing is tuned, so nothing is claimed of it


@pytest.mark.parametrize(("deo", "passed"), [(3.4, True), (3.5, True), (3.6, False)])
def test_deo_may_be_a_standard_error_above_the_best(deo, passed):
    summary = {"group-la": entry(9, 14, 3.0), HEADLINE: the_headline(deo=deo)}
    last = checks(summary)[-1]
    assert last.passed is passed
    assert last.found == f"{deo:.2f}; best Group-LA 3.00 ± 0.50"


def test_deo_of_a_row_that_always_says_the_same_does_not_count():
    summary = {"group-la": entry(LIMIT_FOR_DEO + 0.1, 100, 0.0), HEADLINE: the_headline()}
    assert checks(summary)[-1].passed
    summary = {"group-la": entry(9, 14, 5), HEADLINE: the_headline(balanced=50.0, deo=0.0)}
    assert not checks(summary)[-1].passed


def test_deo_of_one_seed_has_no_standard_error_to_spare():
    summary = {
        "group-la": entry(9, 14, 3.0, deo_standard_error=None),
        HEADLINE: the_headline(deo=3.1),
    }
    assert checks(summary)[-1].found == "3.10; best Group-LA 3.00"
    assert not checks(summary)[-1].passed


def test_without_the_headline_nothing_is_claimed():
    assert checks({"group-la": entry(9, 14, 5)}) == []
