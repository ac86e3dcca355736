import pytest

from autobalance.report.comparability import comparability


@pytest.fixture
def compare(make_run):
    """Compare runs of two classes and two groups after changing each."""

    def call(*edits, **options):
        runs = []
        for edit in edits:
            metrics = make_run(["no", "yes"], ["Female", "Male"], **options)[0]
            edit(metrics)
            runs.append(metrics)
        return comparability([f"run {i}" for i in range(len(runs))], runs)

    return call


def same(_):
    pass


def test_equal_runs_may_be_compared(compare):
    common = compare(same, same, same)
    assert common.samples == ("A", "A", "A")
    assert common.one_sample
    assert common.one_objective
    assert common.cautions == ()


def test_letters_go_by_what_was_measured(compare):
    def elsewhere(metrics):
        metrics["data"]["source"] = "law_school.csv.gz"

    common = compare(same, elsewhere, same, elsewhere)
    assert common.samples == ("A", "B", "A", "B")
    (caution,) = common.cautions
    assert "A: adult.csv.gz, test split, 5,794 examples; B: law_school.csv.gz" in caution


@pytest.mark.parametrize(
    "edit",
    [
        lambda metrics: metrics.update(basis="outer folds"),
        lambda metrics: metrics.update(classes=["no", "maybe"]),
        lambda metrics: metrics["data"].update(measured=5),
    ],
)
def test_other_examples_are_told_apart(compare, edit):
    common = compare(same, edit)
    assert common.samples == ("A", "B")
    assert "not all measured on the same examples" in common.cautions[0]


def test_other_training_rows_do_not_change_the_test_rows(compare):
    def more(metrics):
        metrics["data"]["counts"] = [[9, 9], [9, 9]]

    assert compare(same, more).one_sample
    assert not compare(same, more, basis="outer folds").one_sample


@pytest.mark.parametrize(
    ("basis", "one"), [("test split", True), ("outer folds", True), ("untouched part", False)]
)
def test_a_seed_changes_what_is_left_untouched(compare, basis, one):
    def reseed(metrics):
        metrics["settings"]["seed"] = 7

    assert compare(same, reseed, basis=basis).one_sample == one


def test_other_objectives_are_pointed_out(compare):
    common = compare(same, lambda metrics: metrics.update(objective="balanced"))
    assert not common.one_objective
    assert common.one_sample
    assert "asked for different objectives" in common.cautions[0]


def test_groups_and_positive_classes_are_compared_within_a_sample(compare):
    def regroup(metrics):
        metrics["group_columns"] = ["race"]

    def ungroup(metrics):
        metrics["groups"] = metrics["group_columns"] = None

    def positive(metrics):
        metrics["positive_class"] = "yes"

    def negative(metrics):
        metrics["positive_class"] = "no"

    def elsewhere(metrics):
        regroup(metrics)
        metrics["data"]["source"] = "other.csv"

    assert "groups differ" in compare(same, regroup).cautions[0]
    assert compare(same, ungroup).cautions == ()
    assert "positive class differs" in compare(positive, negative).cautions[0]
    assert compare(same, positive).cautions == ()
    assert len(compare(same, elsewhere).cautions) == 1


def test_flattered_runs_are_named(compare):
    def fold(metrics):
        metrics["basis"] = "held-out folds"

    assert compare(same, fold).cautions[-1].startswith("The figures of run 1 come from the folds")


def test_letters_do_not_run_out(compare):
    def source(number):
        return lambda metrics: metrics["data"].update(source=f"{number}.csv")

    samples = compare(*(source(number) for number in range(30))).samples
    assert samples[:2] == ("A", "B")
    assert samples[25:28] == ("Z", "AA", "AB")
    assert len(set(samples)) == 30
