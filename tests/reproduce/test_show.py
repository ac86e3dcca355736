"""An outcome in the terminal."""

from dataclasses import replace
from pathlib import Path

from autobalance.reproduce.outcome import Line
from autobalance.reproduce.show import print_outcome


def test_everything_is_said_and_the_paths_come_last(outcome, capsys):
    long = Path("a-very-long-folder-name" * 8, "table9_birds.md")
    print_outcome(outcome, [Path("table9_birds.json"), long])
    out, err = capsys.readouterr()
    lines = [line.rstrip() for line in out.splitlines()]
    assert err == ""
    assert lines[0] == "Table 9: fairness <of birds>"
    assert "Data: 120 birds & bees" in lines
    assert "Not the paper's setting: fixed features <tiny>; half the birds" in lines
    assert "Errors | in percent" in lines
    assert "± is the standard error & nothing else." in lines
    assert "pass: error below 5% (3.00)" in lines
    assert "FAIL: gap < 1 (1.30)" in lines
    assert lines[-2:] == ["table9_birds.json", str(long)]


def test_a_row_of_figures_is_one_line(outcome, capsys):
    print_outcome(outcome, [])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Loss Error, % paper" in lines
    assert "P(y|x) <plain> 12.50 ± 0.25" in lines
    assert "Ours 3.00 4.25" in lines


def test_text_in_brackets_is_no_markup(outcome, capsys):
    (table,) = outcome.tables
    bracketed = replace(table, title="[bold]Errors[/bold]", lines=(Line(("[red]x", "[1]", "")),))
    plain = replace(outcome, title="Table [9]", tables=(bracketed,), deviations=(), checks=())
    print_outcome(plain, [])
    out = capsys.readouterr().out
    for words in ("Table [9]", "[bold]Errors[/bold]", "[red]x", "[1]"):
        assert words in out
    assert "paper's setting" not in out
