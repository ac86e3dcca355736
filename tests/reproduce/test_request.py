"""What a reproduction refuses, each time in a sentence that says what to do."""

import pytest

from autobalance.errors import DataError
from autobalance.reproduce.outcome import Outcome
from autobalance.reproduce.request import AUTHORS_CODE, SEEDS, Reproduction, Request


def a_reproduction(datasets=("birds", "bees"), options=(SEEDS, "epochs", "preset")):
    def run(request, watch):
        return Outcome("table9", "Table 9", {})

    return Reproduction("table9", "birds and bees", run, datasets, options)


def test_what_was_set_is_known(tmp_path):
    assert Request(tmp_path).given == set()
    request = Request(tmp_path, methods=("a",), seeds=2, model="resnet20", preset=AUTHORS_CODE)
    assert request.given == {"methods", "seeds", "model", "preset"}
    everywhere = Request(tmp_path, data_dir=tmp_path, dataset="birds", jobs=2)
    assert everywhere.given == set()  # every reproduction takes these


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dataset": "bees"},
        {"seeds": 1},
        {"epochs": 3, "preset": AUTHORS_CODE},
        {"jobs": -1},
    ],
)
def test_what_it_takes_passes(tmp_path, options):
    a_reproduction().check(Request(tmp_path, data_dir=tmp_path, **options))


def test_methods_come_in_the_order_of_those_that_there_are(tmp_path):
    known = ["a", "b", "c"]
    assert Request(tmp_path).chosen(known) == known
    assert Request(tmp_path).chosen(known, ["c"]) == ["c"]
    assert Request(tmp_path, methods=("c", "a", "c")).chosen(known, ["b"]) == ["a", "c"]


@pytest.mark.parametrize("key", ["d", ""])
def test_an_unknown_method_is_named_with_those_that_there_are(tmp_path, key):
    with pytest.raises(DataError) as error:
        Request(tmp_path, methods=("a", key)).chosen(["a", "b"])
    expected = f"--methods: there is no {key!r} here; choose among 'a', 'b'"
    assert str(error.value) == expected


def test_one_that_makes_its_own_data_needs_no_folder(tmp_path):
    a_reproduction(datasets=()).check(Request(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("a",)}, "--methods means nothing for table9; leave it out"),
        ({"device": "cpu"}, "--device means nothing for table9; leave it out"),
        ({"model": "x", "device": "cpu"}, "--device means nothing for table9; leave it out"),
        ({"preset": "ours"}, "preset is 'ours'; use paper or authors-code"),
        ({"seeds": 0}, "seeds is 0; use at least 1"),
        ({"dataset": "wasps"}, "table9 is not made on 'wasps'; data sets: 'birds', 'bees'"),
        (
            {"data_dir": None},
            "table9 needs data; name the folder that holds a folder for each data set with "
            "--data-dir",
        ),
    ],
)
def test_refusals(tmp_path, options, message):
    request = Request(tmp_path, **{"data_dir": tmp_path, **options})
    with pytest.raises(DataError) as error:
        a_reproduction().check(request)
    assert str(error.value) == message


def test_a_data_set_means_nothing_where_data_are_made(tmp_path):
    with pytest.raises(DataError, match="table9 is not made on 'birds'; data sets: it makes its"):
        a_reproduction(datasets=()).check(Request(tmp_path, dataset="birds"))


def test_the_preset_means_nothing_where_no_network_is_trained(tmp_path):
    request = Request(tmp_path, preset=AUTHORS_CODE)
    with pytest.raises(DataError, match="--preset means nothing for table9; leave it out"):
        a_reproduction(datasets=(), options=(SEEDS,)).check(request)
