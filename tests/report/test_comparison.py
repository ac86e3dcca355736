import re

import pytest

from autobalance.errors import ArtifactError
from autobalance.report import ComparedRun, render_comparison
from autobalance.report.wording import percent, percent_interval, points

NASTY = "<script>alert('1')</script>"


@pytest.fixture
def compared(make_run):
    """Named runs with the arguments given for each."""

    def call(**runs):
        made = []
        for name, (arguments, options) in runs.items():
            metrics, design, _ = make_run(*arguments, **options)
            made.append(ComparedRun(name.replace("_", "-"), metrics, design))
        return made

    return call


CELLS = (["no", "yes"], ["Female", "Male"])


def test_every_run_before_and_after(compared, read_page):
    runs = compared(first=(CELLS, {}), second=(CELLS, {"kept": "VS"}))
    page = read_page(render_comparison(runs))
    after = []
    for run in runs:
        methods = {method["name"]: method for method in run.metrics["methods"]}
        kept = methods[run.metrics["kept"]]
        after.append(kept["value"])
        before = methods["Cross-entropy"]
        row = page.row("before-and-after", f"{run.name} {kept['name']}, kept")
        assert row[1:4] == [
            f"{percent(before['value'])} {percent_interval(before['interval'])}",
            f"{percent(kept['value'])} {percent_interval(kept['interval'])}",
            points(kept["value"] - before["value"]),
        ]
        assert row[5:] == ["worst-group error", "adult.csv.gz test split, 5,794 examples"]
        assert run.metrics["verdict"]["headline"] in page.text.replace("\u00a0", " ")
    span = f"{percent(min(after))} to {percent(max(after))}"
    assert page.headings[0] == f"2 runs side by side: worst-group error {span}"
    assert "so their figures can be compared" in page.text


def test_every_objective_of_every_run(compared, read_page):
    runs = compared(grouped=(CELLS, {}), plain=((["no", "yes"],), {}))
    page = read_page(render_comparison(runs))
    table = {row[0]: row[1:] for row in page.rows["every-objective"]}
    assert table["Worst-group error"][1] == "–"
    summary = {m["name"]: m["summary"] for m in runs[1].metrics["methods"]}
    after, before = (summary[name]["balanced"] for name in ("AutoBalance", "Cross-entropy"))
    assert table["Balanced error"][1] == f"{percent(after)} from {percent(before)}"
    assert "not measured" in page.text


def test_the_losses_kept_and_designed(compared, read_page):
    runs = compared(ours=(CELLS, {}), theirs=(CELLS, {"kept": "Cross-entropy"}))
    page = read_page(render_comparison(runs))
    assert page.row("losses", "ours AutoBalance, kept")[5:] == [
        "weight, additive, ridge",
        "cell, 9",
    ]
    assert page.row("losses", "theirs Cross-entropy, kept")[1:] == [
        "–",
        "–",
        "–",
        "0.0130",
        "–",
        "–",
    ]
    assert page.row("losses", "theirs AutoBalance, not kept")[1].startswith("0.8")
    assert len(page.rows["losses"]) == 1 + 3


def test_only_settings_that_differ_are_listed(compared, read_page):
    runs = compared(first=(CELLS, {}), second=(CELLS, {}))
    assert "differences" not in read_page(render_comparison(runs)).rows
    runs[1].metrics["settings"]["seed"] = 5
    runs[1].metrics["settings"]["jobs"] = [1]
    runs[1].metrics["verdict"] = {"headline": "H", "text": "T", "basis": None}
    page = read_page(render_comparison(runs))
    assert page.rows["differences"] == [
        ["Setting", "first", "second"],
        ["verdict from", "outer folds", "none"],
        ["seed", "0", "5"],
        ["jobs", "–", "1"],
    ]
    assert "This run left nothing out" in page.text


def test_what_must_not_be_compared_is_said_first(compared, read_page):
    runs = compared(
        first=(CELLS, {}),
        second=((list("abc"),), {"basis": "outer folds"}),
    )
    page = read_page(render_comparison(runs))
    assert page.headings[0] == "2 runs side by side"
    assert page.text.index("Not every figure") < page.text.index("Before and after")
    assert "same letter (A: adult.csv.gz, test split" in page.text
    assert "asked for different objectives" in page.text
    assert page.row("before-and-after", "B · second AutoBalance, kept")


def test_pages_are_self_contained_and_well_formed(compared, read_page):
    runs = compared(
        **{
            f"run_{i}": (CELLS, {"kept": kept})
            for i, kept in enumerate(("VS", "CDT", "AutoBalance"))
        }
    )
    runs[0].metrics["data"]["source"] = runs[0].metrics["verdict"]["headline"] = NASTY
    runs[0].metrics["settings"][NASTY] = NASTY
    html = render_comparison([ComparedRun(NASTY, runs[0].metrics, runs[0].design), *runs[1:]])
    page = read_page(html)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 4
    assert page.tags.count("table") == page.tags.count("caption")
    assert page.tags.count("h1") == 1
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert NASTY in page.headings


def test_damaged_metrics_are_refused_in_one_sentence(compared):
    runs = compared(first=(CELLS, {}), second=(CELLS, {}))
    del runs[1].metrics["space"]
    with pytest.raises(ArtifactError, match=r"cannot be compared.*KeyError: 'space'"):
        render_comparison(runs)


def test_costs_are_numbers_beside_error_rates_and_drawn_apart(compared, read_page):
    runs = compared(first=(CELLS, {}), second=(CELLS, {}))
    runs[1].metrics.update(objective="cost", costs={"classes": ["no", "yes"]})
    for method in runs[1].metrics["methods"]:
        method.update(value=12.5, interval=[12.0, 13.0])
    page = read_page(render_comparison(runs))
    row = page.row("before-and-after", "second AutoBalance, kept")
    assert row[1:4] == ["12.5 12.0–13.0", "12.5 12.0–13.0", "0"]
    assert "different objectives or costs" in page.text


def test_other_costs_are_another_objective(compared):
    runs = compared(first=(CELLS, {}), second=(CELLS, {}))
    for run, cost in zip(runs, (1.0, 2.0), strict=True):
        run.metrics.update(objective="cost", costs={"matrix": [[0, cost], [1, 0]]})
    assert "different objectives or costs" in render_comparison(runs)
