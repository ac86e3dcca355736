from autobalance.report.content.calibration import calibration


def test_the_calibration_error_of_each_prior_before_and_after(make_run):
    metrics, design, _ = make_run(["no", "yes"])
    content = calibration(metrics, design.counts)
    priors = metrics["calibration"]["priors"]
    for row, name in zip(content["rows"], ("train", "balanced"), strict=True):
        assert row["raw"] == priors[name]["raw"]["ece"]
        assert row["corrected"] == priors[name]["corrected"]["ece"]
    assert [(kind, bins) for _, kind, bins in content["bins"]] == [
        (kind, priors[name][kind]["bins"])
        for name in ("train", "balanced")
        for kind in ("raw", "corrected")
    ]
    assert "Classes as frequent as in training" in content["figure"]


def test_what_was_not_measured_is_left_out(make_run):
    metrics, design, _ = make_run(["no", "yes"])
    assert calibration({**metrics, "calibration": None}, design.counts) is None


def pair(raw):
    bins = [{"confidence": 0.6, "accuracy": 0.6 - raw, "weight": 1.0}]
    return {"raw": {"ece": raw, "bins": bins}, "corrected": {"ece": 0.0, "bins": bins}}


def test_classes_and_groups_are_shown_where_they_were_measured(make_run):
    metrics, design, _ = make_run(["a", "b", "c"], ["land", "sea"])
    assert calibration(metrics, design.counts)["parts"] == []  # of an earlier release
    metrics["calibration"] |= {
        "classes": [pair(0.1), pair(0.2), None],
        "groups": [pair(0.3), pair(0.4)],
    }
    classes, groups = calibration(metrics, design.counts)["parts"]
    assert [row["name"] for row in classes["rows"]] == ["a", "b"]
    assert [(row["name"], row["raw"]) for row in groups["rows"]] == [("land", 0.3), ("sea", 0.4)]
    assert groups["hidden"] == 0


def test_of_many_classes_the_worst_are_drawn(make_run):
    labels = [f"class {i}" for i in range(30)]
    metrics, design, _ = make_run(labels)
    metrics["calibration"]["classes"] = [pair(0.01 * i) for i in range(30)]
    (classes,) = calibration(metrics, design.counts)["parts"]
    assert (len(classes["rows"]), classes["hidden"]) == (30, 21)
    assert ">class 29<" in classes["figure"]
    assert ">class 20<" not in classes["figure"]
