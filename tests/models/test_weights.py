"""Weights from a file: what fits, and what is said of what does not."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from autobalance.errors import DataError
from autobalance.models.weights import load_weights


class Planted:
    """Unpickling this would be told by an error of its own."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.mark.parametrize("suffix", ["pt", "pth", "PTH", "safetensors"])
def test_weights_are_read(tmp_path, suffix):
    torch.manual_seed(0)
    theirs, module, file = network(), network(), tmp_path / f"weights.{suffix}"
    nn.init.normal_(theirs[1].running_mean)
    (save_file if suffix == "safetensors" else torch.save)(theirs.state_dict(), file)
    load_weights(module, file, "net")
    torch.testing.assert_close(module.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_layers_that_are_not_wanted_are_left_out(tmp_path):
    state = {**network().state_dict(), "head.fc.weight": torch.ones(2), "fc.bias": torch.ones(2)}
    torch.save(state, tmp_path / "weights.pt")
    load_weights(network(), tmp_path / "weights.pt", "net", ("head.fc", "fc"))
    with pytest.raises(DataError, match=r"1 tensor is unexpected \('fc.bias'\)"):
        load_weights(network(), tmp_path / "weights.pt", "net", ("head.fc",))


def test_old_files_without_a_count_of_batches_are_read(tmp_path):
    state = {k: v for k, v in network().state_dict().items() if "tracked" not in k}
    torch.save(dict(state), tmp_path / "weights.pt")
    load_weights(network(), tmp_path / "weights.pt", "net")


def test_what_does_not_fit_is_counted_and_named(tmp_path):
    state = network().state_dict()
    del state["0.bias"], state["1.bias"]
    torch.save({**state, "1.weight": torch.ones(5), "2.bias": torch.ones(4)}, tmp_path / "w.pt")
    with pytest.raises(DataError) as error:
        load_weights(network(), tmp_path / "w.pt", "net")
    assert str(error.value) == (
        f"the weights in {tmp_path / 'w.pt'} do not fit 'net': 2 tensors are missing "
        "('0.bias' first), 1 tensor is unexpected ('2.bias'), 1 tensor is of another shape "
        "('1.weight'); save the state_dict() of that very network"
    )


@pytest.mark.parametrize("planted", [Planted(), {"0.weight": Planted()}, {"model": network()}])
def test_nothing_is_unpickled(tmp_path, planted):
    torch.save(planted, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=r"weights.pt cannot be read as weights \(damaged, or more"):
        load_weights(network(), tmp_path / "weights.pt", "net")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    "data", [b"", b"hello", bytes(100), pickle.dumps({"a": 1}, protocol=2)[:-3]]
)
def test_a_damaged_file_is_one_sentence(tmp_path, suffix, data):
    (tmp_path / f"weights.{suffix}").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as weights") as error:
        load_weights(network(), tmp_path / f"weights.{suffix}", "net")
    assert "\n" not in str(error.value)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize("value", [{"epoch": 3, "state_dict": {}}, [torch.ones(2)], torch.ones(2)])
def test_a_file_of_other_things_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "weights.pt")
    with pytest.raises(DataError, match="but no mapping of names to tensors"):
        load_weights(network(), tmp_path / "weights.pt", "net")


def test_an_unknown_kind_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"weights.bin holds; use .* .safetensors, .pt or .pth"):
        load_weights(network(), tmp_path / "weights.bin", "net")
    with pytest.raises(DataError, match=r"weights.pt does not exist"):
        load_weights(network(), tmp_path / "weights.pt", "net")
