import pytest

from autobalance.report.content.record import (
    data_facts,
    inputs_text,
    names_read,
    rows_text,
    search_course,
    settings_text,
)


def test_the_course_of_the_search_reads_numbers_and_their_text(make_run):
    _, _, history = make_run(["no", "yes"])
    as_text = [{key: str(value) for key, value in row.items()} for row in history]
    assert search_course(as_text) == search_course(history)
    as_text[0]["temperature"] = ""
    course = search_course(as_text)
    assert course["rows"][0][course["columns"].index("temperature")] is None
    assert len(course["rows"]) == len(history)
    assert "0.560 at the start" not in course["figure"]
    assert "21 evaluations" in course["figure"]


def test_moves_beside_a_training_are_called_so_and_end_before_the_last_row(make_run):
    _, _, history = make_run(["no", "yes"])
    course = search_course(history, beside_training=True)
    assert course["unit"] == "move"
    assert len(course["rows"]) == len(history) - 1
    assert "20 moves" in course["figure"]


@pytest.mark.parametrize("beside_training", [True, False])
def test_a_run_that_searched_nothing_has_no_course(beside_training):
    assert search_course([], beside_training) is None


def test_a_history_without_an_objective_is_refused():
    with pytest.raises(KeyError, match="objective"):
        search_course([{"evaluation": 1}])


def test_facts_about_the_data(make_run):
    metrics, design, _ = make_run(["no", "yes"], ["Female", "Male"])
    facts = data_facts(metrics, design.counts)
    assert (facts["most"].name, facts["rarest"].name) == ("no", "yes")
    assert (facts["classes"], facts["groups"], facts["group_columns"]) == (2, 2, ["sex"])
    assert facts["rows"] == rows_text(metrics) == "6,677 train, 5,794 test"


def test_names_of_cells_are_explained_by_their_columns(make_run):
    metrics, _, _ = make_run(["no", "yes"], ["Female", "Male"])
    assert names_read(metrics) == "Groups are values of sex."  # folders have no column
    assert names_read({**metrics, "group_columns": None}) == ""
    metrics["settings"]["target"] = "income"
    assert names_read(metrics) == "Names read income · sex."
    assert names_read({**metrics, "group_columns": None}) == "Classes are values of income."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"features": 1280}, "1,280 features"),
        ({"features": 1}, "1 feature"),
        ({"images": [3, 64, 64]}, "images of 3 × 64 × 64"),
    ],
)
def test_inputs_are_features_or_images(data, expected):
    assert inputs_text(data) == expected


def test_settings_stand_on_one_line(make_run):
    metrics, _, _ = make_run(["no", "yes"])
    assert ("drop", "id, name") in settings_text(metrics)
