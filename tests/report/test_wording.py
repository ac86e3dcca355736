import pytest

from autobalance.report import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.141, "14.1%"), (0.0, "0.0%"), (1.2346, "123.5%"), (-0.0001, "0.0%"), (None, "–")],
)
def test_percent(value: float | None, text: str) -> None:
    assert wording.percent(value) == text


def test_intervals_name_their_unit_once() -> None:
    assert wording.percent_interval([0.12, 0.162]) == "12.0–16.2%"
    assert wording.percent_interval(None) == "–"
    assert wording.points_interval([-0.021, 0.0641]) == "−2.1 to +6.4"


@pytest.mark.parametrize(
    ("value", "text"), [(0.043, "+4.3"), (-0.002, "−0.2"), (0.0004, "0.0"), (-0.0004, "0.0")]
)
def test_differences_carry_a_sign_unless_they_round_to_nothing(value: float, text: str) -> None:
    assert wording.points(value) == text


def test_distances_carry_no_sign_and_name_their_unit() -> None:
    assert wording.points_off(0.0612) == "6.1 points"
    assert wording.points_off(0.0) == "0.0 points"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        ([], "none"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (0.2, "0.2"),
        (["sex", 1, None], "sex, 1, none"),
        ("a\nb", "a\ufffdb"),
        ({"a": ["é"]}, '{"a": ["é"]}'),
    ],
)
def test_settings_stand_on_one_line(value: object, text: str) -> None:
    assert wording.setting_text(value) == text


def test_only_the_first_letter_becomes_large() -> None:
    assert wording.capitalized("group-LA error") == "Group-LA error"
    assert wording.capitalized("") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.013, "0.0130"),
        (-3.99, "−3.99"),
        (12345.6, "12,346"),
        (2.5e-9, "2.50e−09"),
        (float("-inf"), "−inf"),
        (None, "–"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert wording.number(value) == text


def test_counts_show_decimals_only_for_weights() -> None:
    assert wording.count(22654.0) == "22,654"
    assert wording.count(12.5) == "12.5"


def test_objectives_in_words() -> None:
    assert wording.objective_name("worst-group") == "worst-group error"
    blend = wording.objective_name("0.1*error+0.9*equalized-odds")
    assert blend == "0.1 × error + 0.9 × equalized-odds gap"
    assert wording.objective_name("1e-5*error+balanced") == "1e-05 × error + balanced error"


@pytest.mark.parametrize("text", ["a\x00b", "a\u202eb", "a\ud800b", "a\nb"])
def test_what_cannot_be_shown_is_replaced(text: str) -> None:
    assert wording.readable(text) == "a\ufffdb"


def test_labels() -> None:
    assert wording.label_name(("x", None)) == "x, missing"
    assert wording.label_name("") == "''"
    assert wording.label_name("漢字 <b>") == "漢字 <b>"
