"""The linear model: its arithmetic, its files, and what is refused when they are read."""

import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax

from autobalance.calibration import Calibration, Calibrator
from autobalance.errors import ArtifactError
from autobalance.model import JSON_FILE, VERSION, WEIGHTS_FILE, LinearModel

RNG = np.random.default_rng(0)
CALIBRATION = Calibration(
    np.array([0.6, 0.3, 0.1]),
    *(Calibrator(RNG.normal(size=3), RNG.uniform(0.5, 2, 3), RNG.normal(size=3)) for _ in "tb"),
)
MODEL = LinearModel(("a", None, 3), RNG.normal(size=(3, 4)), RNG.normal(size=3), 0.7, CALIBRATION)
X = RNG.normal(size=(10, 4))


def test_the_largest_logit_decides_whatever_the_temperature():
    logits = X @ MODEL.coef.T + MODEL.intercept
    np.testing.assert_array_equal(MODEL.predict(X), logits.argmax(1))
    np.testing.assert_allclose(MODEL.probabilities(X), softmax(logits / 0.7, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(MODEL.probabilities(X).argmax(1), MODEL.predict(X))


@pytest.mark.parametrize("prior", [None, "train", "balanced", [1, 2, 0]])
def test_probabilities_of_extreme_logits_stay_finite(prior):
    probabilities = MODEL.probabilities(1e200 * X, prior)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(1), 1.0)


@pytest.mark.parametrize(
    ("prior", "calibrator", "factor"),
    [
        ("train", CALIBRATION.train, [1, 1, 1]),
        ("balanced", CALIBRATION.balanced, [1, 1, 1]),
        ([1, 2, 0], CALIBRATION.train, [1 / 0.6, 2 / 0.3, 0]),
    ],
)
def test_a_prior_chooses_the_calibrator(prior, calibrator, factor):
    own = softmax(MODEL.logits(X) + calibrator.shift, axis=1)
    odds = own**calibrator.slope * np.exp(calibrator.bias) * factor
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(MODEL.probabilities(X, prior), expected, rtol=1e-9)


def test_a_model_of_before_says_that_a_prior_needs_a_newer_fit(tmp_path):
    older, _ = LinearModel.read(written(tmp_path, calibration="gone"))
    assert older.calibration is None
    np.testing.assert_array_equal(older.probabilities(X), MODEL.probabilities(X))
    with pytest.raises(ArtifactError, match="fit it again") as error:
        older.probabilities(X, "train")
    assert_one_sentence(error)
    older.write(tmp_path, {})
    assert LinearModel.read(tmp_path)[0].calibration is None


def test_the_calibration_round_trips_exactly(tmp_path):
    MODEL.write(tmp_path, {})
    again, _ = LinearModel.read(tmp_path)
    for prior in ("train", "balanced", [3, 2, 1]):
        np.testing.assert_array_equal(again.probabilities(X, prior), MODEL.probabilities(X, prior))


def test_float32_features_are_read_in_double_precision():
    np.testing.assert_allclose(MODEL.logits(X.astype(np.float32)), MODEL.logits(X), atol=1e-5)


def test_many_rows_are_read_some_at_a_time():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(10_001, 50)).astype(np.float32)
    model = LinearModel(("a", "b"), rng.normal(size=(2, 50)), rng.normal(size=2))
    expected = features.astype(np.float64) @ model.coef.T + model.intercept
    tracemalloc.start()
    found = model.logits(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert peak < features.nbytes + found.nbytes  # in float64 the features alone take two of them


finite = st.floats(allow_nan=False, allow_infinity=False)
labels = (
    st.none()
    | st.booleans()
    | st.integers()
    | finite
    | st.text(st.characters(exclude_categories=["Cs"]))
)


@given(
    st.lists(labels, min_size=2, max_size=4, unique=True),
    st.integers(1, 3),
    st.data(),
    st.floats(1e-300, 1e300),
)
def test_files_round_trip_exactly(tmp_path_factory, classes, width, data, temperature):
    coef = data.draw(hnp.arrays(np.float64, (len(classes), width), elements=finite))
    intercept = data.draw(hnp.arrays(np.float64, len(classes), elements=finite))
    folder = tmp_path_factory.mktemp("model")
    extra = {"columns": ["x", "ü"], "scale": 0.1}
    LinearModel(tuple(classes), coef, intercept, temperature).write(folder, extra)
    again, read = LinearModel.read(folder)
    assert repr(again.classes) == repr(tuple(classes))
    np.testing.assert_array_equal(again.coef, coef)
    np.testing.assert_array_equal(again.intercept, intercept)
    assert again.temperature == temperature
    assert read == extra
    assert sorted(p.name for p in folder.iterdir()) == [JSON_FILE, WEIGHTS_FILE]


def assert_one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 500


def written(tmp_path, **changes):
    MODEL.write(tmp_path, {"a": 1})
    path = tmp_path / JSON_FILE
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in document.items() if v != "gone"}))
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": VERSION + 1}, "upgrade"),
        ({"version": "1"}, "no valid version"),
        ({"format": "autobalance-design"}, "is not an autobalance-model file"),
        ({"classes": "gone"}, "damaged"),
        ({"classes": 3}, "damaged"),
        ({"classes": [{"a": 1}, 2, 3]}, "damaged"),
        ({"classes": ["a", "b"], "calibration": None}, "does not fit"),
        ({"classes": ["a", "b"]}, "damaged"),
        ({"features": 5}, "does not fit"),
        ({"features": "many"}, "damaged"),
        ({"features": "gone"}, "damaged"),
        ({"temperature": 0.0}, "does not fit"),
        ({"temperature": -1.0}, "does not fit"),
        ({"temperature": None}, "damaged"),
        ({"calibration": 3}, "damaged"),
        ({"calibration": {"shares": [0.5, 0.25, 0.25]}}, "damaged"),
        ({"calibration": CALIBRATION.to_state() | {"shares": [0.5, 0.5]}}, "damaged"),
        ({"calibration": CALIBRATION.to_state() | {"train": {}}}, "damaged"),
        ({"extra": 3}, "damaged"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, changes, said):
    with pytest.raises(ArtifactError, match=said) as error:
        LinearModel.read(written(tmp_path, **changes))
    assert_one_sentence(error)


def test_an_infinite_temperature_is_refused(tmp_path):
    path = written(tmp_path) / JSON_FILE
    path.write_text(path.read_text().replace('"temperature": 0.7', '"temperature": 1e999'))
    with pytest.raises(ArtifactError, match="does not fit"):
        LinearModel.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1]", b"NaN", b"[" * 100_000])
def test_a_file_that_is_no_description_is_refused(tmp_path, content):
    (written(tmp_path) / JSON_FILE).write_bytes(content)
    with pytest.raises(ArtifactError) as error:
        LinearModel.read(tmp_path)
    assert_one_sentence(error)


@pytest.mark.parametrize("cut", [0, 5, 40, -8])
def test_numbers_that_were_cut_off_are_refused(tmp_path, cut):
    path = written(tmp_path) / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match="damaged") as error:
        LinearModel.read(tmp_path)
    assert_one_sentence(error)


@pytest.mark.parametrize(
    "tensors",
    [
        {"coef": MODEL.coef},
        {"coef": MODEL.coef, "intercept": MODEL.intercept[:2]},
        {"coef": MODEL.coef[:, :3], "intercept": MODEL.intercept},
        {"coef": MODEL.coef * np.nan, "intercept": MODEL.intercept},
        {"coef": MODEL.coef, "intercept": MODEL.intercept + np.inf},
    ],
    ids=["missing", "short", "narrow", "nan", "inf"],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path, tensors):
    safetensors.numpy.save_file(
        {k: np.ascontiguousarray(v) for k, v in tensors.items()}, written(tmp_path) / WEIGHTS_FILE
    )
    with pytest.raises(ArtifactError) as error:
        LinearModel.read(tmp_path)
    assert_one_sentence(error)


@pytest.mark.parametrize("name", [JSON_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(tmp_path, name):
    (written(tmp_path) / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        LinearModel.read(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path / "file" / "below"):
        (tmp_path / "file").write_text("x")
        with pytest.raises(ArtifactError, match="cannot write"):
            MODEL.write(folder, {})
    (tmp_path / WEIGHTS_FILE).mkdir()
    with pytest.raises(ArtifactError, match="cannot write"):
        MODEL.write(tmp_path, {})


def test_a_label_that_no_file_can_hold_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="labels"):
        LinearModel(("\ud800",), MODEL.coef[:1], MODEL.intercept[:1]).write(tmp_path, {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("features", value) for value in (0, -1, 10**40, 1e400, "x")),
        *(("classes", value) for value in ([], ["a"], ["a", 1, True], "[" * 900 + "]" * 900)),
        ("temperature", 10**400),
    ],
)
def test_sizes_and_numbers_that_cannot_be(tmp_path, key, value):
    MODEL.write(tmp_path, {})
    document = json.loads((tmp_path / JSON_FILE).read_text("utf-8"))
    text = json.dumps(document | {key: value}).replace("Infinity", "1e400")
    if isinstance(value, str) and value.startswith("["):
        text = text.replace(f'"{value}"', value)
    (tmp_path / JSON_FILE).write_text(text, "utf-8")
    with pytest.raises(ArtifactError, match="is damaged") as error:
        LinearModel.read(tmp_path)
    assert_one_sentence(error)
