"""All reproductions at once: on which data, and with which options."""

import pytest

from autobalance.errors import DataError
from autobalance.reproduce.catalogue import ALL, CATALOGUE, reproduction
from autobalance.reproduce.everything import everything
from autobalance.reproduce.request import AUTHORS_CODE, PAPER, Request


@pytest.fixture
def data_dir(tmp_path):
    """A folder with Waterbirds and Fashion-MNIST alone."""
    for name in ("waterbirds", "fashion-mnist"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "waterbirds" / "features_tiny.npz").touch()
    return tmp_path / "data"


def made(pairs):
    return [(each.name, request.dataset) for each, request in pairs]


WITHOUT_DATA = [(name, None) for name, each in CATALOGUE.items() if not each.datasets]


def test_without_data_it_makes_what_needs_none(tmp_path, watch):
    assert made(everything(Request(tmp_path), watch)) == WITHOUT_DATA
    assert len(WITHOUT_DATA) >= 4
    assert "waterbirds is left out: it is not in any --data-dir" in watch.said
    assert len(watch.said) == len(
        {dataset for each in CATALOGUE.values() for dataset in each.datasets}
    )


def test_every_data_set_that_is_there_is_taken_and_the_others_are_named(data_dir, watch):
    pairs = everything(Request(data_dir, data_dir=data_dir), watch)
    expected = [
        (each.name, dataset)
        for each in CATALOGUE.values()
        for dataset in each.datasets or (None,)
        if dataset in (None, "waterbirds", "fashion-mnist-lt")
    ]
    assert made(pairs) == expected
    assert ("table3", "waterbirds") in expected
    assert ("table1", "fashion-mnist-lt") in expected
    assert f"cifar10-lt is left out: it is not in {data_dir}" in watch.said
    assert not any(sentence.startswith("waterbirds") for sentence in watch.said)
    assert watch.said == sorted(watch.said)


def test_waterbirds_without_features_is_left_out(data_dir, watch):
    (data_dir / "waterbirds" / "features_tiny.npz").unlink()
    pairs = everything(Request(data_dir, data_dir=data_dir), watch)
    assert not any(dataset == "waterbirds" for _, dataset in made(pairs))
    assert any(sentence.startswith("waterbirds is left out") for sentence in watch.said)


def test_a_data_set_may_be_named(data_dir, watch):
    pairs = everything(Request(data_dir, data_dir=data_dir, dataset="waterbirds"), watch)
    assert set(made(pairs)) >= {("table3", "waterbirds"), ("figure5", "waterbirds")}
    assert {dataset for _, dataset in made(pairs)} == {None, "waterbirds"}
    assert watch.said == []


def test_each_gets_the_options_that_it_takes_and_passes_its_own_check(data_dir, watch):
    request = Request(
        data_dir, data_dir=data_dir, seeds=1, epochs=2, model="small-cnn", device="cpu", jobs=2
    )
    for each, asked in everything(request, watch):
        each.check(asked)
        assert asked.given <= set(each.options)
        for name in ("seeds", "epochs", "model", "device"):
            expected = getattr(request, name) if name in each.options else None
            assert getattr(asked, name) == expected
        assert (asked.jobs, asked.out, asked.data_dir) == (2, data_dir, data_dir)


def test_the_preset_goes_to_what_it_knows(data_dir, watch):
    (data_dir / "cifar10").mkdir()
    request = Request(data_dir, data_dir=data_dir, preset=AUTHORS_CODE)
    presets = {}
    for each, asked in everything(request, watch):
        each.check(asked)
        presets[each.name, asked.dataset] = asked.preset
    assert presets["table1", "cifar10-lt"] == AUTHORS_CODE
    assert presets["table1", "fashion-mnist-lt"] == PAPER  # of which their code knows nothing
    assert presets["table3", "waterbirds"] == PAPER


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("ours",)}, "--methods are the rows of one table; leave it out, or name the"),
        ({"dataset": "wasps"}, "nothing is made on 'wasps'; data sets: "),
        ({"preset": "ours"}, "preset is 'ours'; use paper or authors-code"),
        ({"seeds": 0}, "seeds is 0; use at least 1"),
    ],
)
def test_refusals(data_dir, watch, options, message):
    with pytest.raises(DataError) as error:
        everything(Request(data_dir, data_dir=data_dir, **options), watch)
    assert str(error.value).startswith(message)


def test_a_reproduction_by_its_name():
    for name, each in CATALOGUE.items():
        assert reproduction(name) is each
        assert each.name == name
    with pytest.raises(DataError) as error:
        reproduction("table6")
    assert str(error.value).startswith("there is no reproduction 'table6'; choose among ")
    assert all(name in str(error.value) for name in (*CATALOGUE, ALL))
