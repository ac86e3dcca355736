from autobalance.report.content.calibration import calibration


def test_the_calibration_error_of_each_prior_before_and_after(make_run):
    metrics, _, _ = make_run(["no", "yes"])
    content = calibration(metrics)
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
    metrics, _, _ = make_run(["no", "yes"])
    assert calibration({**metrics, "calibration": None}) is None
