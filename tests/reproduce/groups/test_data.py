"""The file of Waterbirds features: what is read, and every way in which it can be wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autobalance.errors import DataError
from autobalance.reproduce.groups.data import read_features


def refused(data_dir, scored="test"):
    """The sentence with which data are refused."""
    with pytest.raises(DataError) as error:
        read_features(data_dir, scored)
    assert "\n" not in str(error.value)
    return str(error.value)


def scored_inputs(data):
    """What a model is given of the scored part."""
    seen = []

    def predict(x):
        seen.append(x)
        return np.zeros(len(x), dtype=int)

    data.test.predictions(predict)
    return seen[0]


def test_the_parts_are_the_official_ones(write_waterbirds, waterbirds_arrays):
    arrays = waterbirds_arrays()
    data = read_features(write_waterbirds())
    train, test = arrays["split"] == "train", arrays["split"] == "test"
    np.testing.assert_array_equal(data.train.features, arrays["features"][train])
    np.testing.assert_array_equal(data.train.y, arrays["y"][train])
    np.testing.assert_array_equal(data.train.g, arrays["place"][train])
    assert data.counts.classes == ("landbird", "waterbird")
    assert data.counts.groups == ("land", "water")
    assert data.counts.values.tolist() == [[50.0, 10.0], [10.0, 30.0]]
    assert data.backbone == "tiny"
    np.testing.assert_array_equal(scored_inputs(data), arrays["features"][test])
    right = data.test.predictions(lambda _: arrays["y"][test])
    assert (data.test.errors(right) == 0).all()


def test_the_validation_part_may_be_scored(write_waterbirds, waterbirds_arrays):
    arrays = waterbirds_arrays()
    data = read_features(write_waterbirds(), "validation")
    expected = arrays["features"][arrays["split"] == "validation"]
    np.testing.assert_array_equal(scored_inputs(data), expected)


def test_codes_names_and_other_spellings_mean_the_same(write_waterbirds, waterbirds_arrays):
    arrays = waterbirds_arrays()
    expected = read_features(write_waterbirds("codes"))
    spelled = {
        "target": np.array(["landbird", "waterbird"])[arrays["y"]],
        "place": np.array(["land", "water"])[arrays["place"]],
        "split": np.array([["train", "validation", "test"].index(s) for s in arrays["split"]]),
    }
    found = read_features(write_waterbirds("names", without=("y",), **spelled))
    in_floats = {"y": arrays["y"] * 1.0, "place": arrays["place"] * 1.0}
    as_floats = read_features(write_waterbirds("floats", split=spelled["split"] * 1.0, **in_floats))
    for data in (found, as_floats):
        for name in ("features", "y", "g"):
            np.testing.assert_array_equal(getattr(data.train, name), getattr(expected.train, name))
        assert data.counts == expected.counts
        assert data.digest == expected.digest


def test_the_deviations_name_the_features_and_every_other_size(write_waterbirds):
    data = read_features(write_waterbirds(backbone="resnet18"))
    assert data.backbone == "resnet18"
    assert data.deviations == (
        "fixed features of resnet18, 6 numbers an image, where the paper has 512 of a ResNet-18",
        "100 train images where the official part has 4,795",
        "60 validation images where the official part has 1,199",
        "60 test images where the official part has 5,794",
    )


def test_the_official_sizes_are_no_deviation(write_waterbirds):
    split = np.repeat([0, 1, 2], [4795, 1199, 5794])
    at = np.arange(len(split))
    arrays = {"features": at[:, None] * 1.0, "y": at % 2, "place": at // 2 % 2, "split": split}
    data = read_features(write_waterbirds(**arrays))
    assert len(data.deviations) == 1
    assert len(data.train.y) == 4795


@pytest.mark.parametrize("name", ["features", "y", "place", "split"])
def test_the_digest_tells_any_other_data(write_waterbirds, waterbirds_arrays, name):
    arrays = waterbirds_arrays()
    changed = {"features": arrays["features"] + 1, "y": 1 - arrays["y"]}
    changed["place"], changed["split"] = 1 - arrays["place"], arrays["split"].copy()
    changed["split"][[0, -1]] = changed["split"][[-1, 0]]
    first = read_features(write_waterbirds("one"))
    second = read_features(write_waterbirds("two", **{name: changed[name]}))
    assert first.digest != second.digest
    assert first.digest == read_features(write_waterbirds("three")).digest


def test_without_a_file_it_says_how_to_make_one(tmp_path):
    for data_dir in (tmp_path / "nowhere", tmp_path):
        sentence = refused(data_dir)
        file = data_dir / "waterbirds" / "features_BACKBONE.npz"
        assert sentence.startswith(f"there is no {file}; make it")
        assert "autobalance embed" in sentence


def test_the_command_that_it_names_is_one_that_there_is(tmp_path):
    sentence = refused(tmp_path)
    for option in ("--backbone", "--target", "--group", "--split", "--out"):
        assert f" {option} " in sentence


def test_several_files_are_one_too_many(write_waterbirds):
    write_waterbirds(backbone="one")
    sentence = refused(write_waterbirds(backbone="two"))
    assert "features of several backbones, 'features_one.npz', 'features_two.npz'" in sentence


@pytest.mark.parametrize("name", ["features", "place", "split"])
def test_a_missing_array_is_named(write_waterbirds, name):
    sentence = refused(write_waterbirds(without=(name,)))
    assert "features_tiny.npz has no array" in sentence
    assert repr(name) in sentence


def test_birds_have_to_be_there_under_one_of_two_names(write_waterbirds):
    data_dir = write_waterbirds(without=("y",))
    file = data_dir / "waterbirds" / "features_tiny.npz"
    assert refused(data_dir).startswith(f"{file} has no array 'y' or 'target' of the birds")


def test_an_array_of_another_length_is_refused(write_waterbirds, waterbirds_arrays):
    sentence = refused(write_waterbirds(place=waterbirds_arrays()["place"][:-1]))
    assert "array 'place' of" in sentence
    assert "give one value per row" in sentence


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_features_that_are_not_finite_are_refused(write_waterbirds, waterbirds_arrays, value):
    features = waterbirds_arrays()["features"].astype(np.float64)
    features[3, 2] = value
    sentence = refused(write_waterbirds(features=features))
    assert "features_tiny.npz holds features that are not finite; make it again" in sentence


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("y", np.arange(220) % 3, "array 'y' of {} holds '2' where Waterbirds has 0 (landbird), "),
        ("y", np.full(220, "gull"), "array 'y' of {} holds 'gull' where Waterbirds has 0 (land"),
        ("y", np.full(220, 0.5), "array 'y' of {} holds '0.5' where Waterbirds has"),
        ("place", np.full(220, -1), "array 'place' of {} holds '-1' where Waterbirds has 0 (land)"),
        ("split", np.full(220, "fold 1"), "array 'split' of {} holds 'fold 1'; use train, valid"),
        ("split", np.arange(220) % 4, "array 'split' of {} holds '3'; use train, validation and"),
        ("split", np.full(220, "train"), "the test part of {} lacks birds of some kind in some"),
        ("split", np.full(220, 2), "the train part of {} lacks birds of some kind in some place"),
        ("place", np.zeros(220, int), "the train part of {} lacks birds of some kind in some pl"),
    ],
)
def test_other_labels_are_refused(write_waterbirds, name, values, said):
    data_dir = write_waterbirds(**{name: values})
    file = data_dir / "waterbirds" / "features_tiny.npz"
    assert refused(data_dir).startswith(said.format(file))


def test_both_parts_have_to_show_every_cell(write_waterbirds, waterbirds_arrays):
    arrays = waterbirds_arrays()
    y = np.where(arrays["split"] == "validation", 0, arrays["y"])
    data_dir = write_waterbirds(y=y)
    read_features(data_dir)
    assert "the validation part of" in refused(data_dir, "validation")


@given(share=st.floats(0, 0.999))
def test_a_file_that_is_cut_off_is_named(tmp_path_factory, waterbirds_arrays, share):
    folder = tmp_path_factory.mktemp("data") / "waterbirds"
    folder.mkdir()
    path = folder / "features_tiny.npz"
    np.savez(path, **waterbirds_arrays())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert str(path) in refused(folder.parent)


@given(at=st.floats(0, 0.999), value=st.integers(0, 255))
def test_a_damaged_byte_is_refused_or_harmless(tmp_path_factory, waterbirds_arrays, at, value):
    folder = tmp_path_factory.mktemp("data") / "waterbirds"
    folder.mkdir()
    path = folder / "features_tiny.npz"
    np.savez(path, **waterbirds_arrays())
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] = value
    path.write_bytes(content)
    try:
        read_features(folder.parent)
    except DataError as error:
        assert "features_tiny.npz" in str(error)  # noqa: PT017


def test_a_file_of_text_is_refused(write_waterbirds):
    data_dir = write_waterbirds()
    path = data_dir / "waterbirds" / "features_tiny.npz"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert refused(data_dir).startswith(f"cannot read {path} as .npz")
