"""The callback beside Lightning's Trainer."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from autobalance import ParametricCrossEntropy
from autobalance.errors import SearchError
from tests.integrations.loops import (
    SETTINGS,
    grouped_loss,
    network,
    plain_loop,
    same_moves,
    sgd,
)

pytest.importorskip("autobalance.integrations.lightning", exc_type=ImportError)
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from autobalance.integrations.lightning import SearchCallback

BATCH = 8


class Module(LightningModule):
    def __init__(self, loss: ParametricCrossEntropy) -> None:
        super().__init__()
        self.net = network()
        self.loss = loss

    def forward(self, inputs):
        return self.net(inputs)

    def training_step(self, batch, _):
        inputs, targets, groups = batch
        return self.loss(self(inputs), targets, groups)

    def configure_optimizers(self):
        return sgd(self)


class Manual(Module):
    """Steps on every second batch, with another optimizer that steps on each."""

    def __init__(self, loss: ParametricCrossEntropy) -> None:
        super().__init__(loss)
        self.automatic_optimization = False
        self.other = nn.Parameter(torch.zeros(()))

    def training_step(self, batch, place):
        optimizer, other = self.optimizers()
        value = super().training_step(batch, place)
        self.manual_backward(value / 2 + self.other**2)
        other.step()
        if place % 2:
            optimizer.step()
            optimizer.zero_grad()
        return {"loss": value.detach() / 2}  # as Lightning reports a share

    def configure_optimizers(self):
        return [sgd(self.net), torch.optim.SGD([self.other], lr=0.1)]


class Losses(Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.values.append(float(outputs["loss"]))


def loader(data):
    return DataLoader(data, BATCH)


def trainer(*callbacks, epochs=3, **options):
    options = {"logger": False, "enable_checkpointing": False} | options
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )


def search_for(module, held_out, **options):
    return SearchCallback(module.loss, "group-balanced", held_out, settings=SETTINGS, **options)


@pytest.mark.parametrize(("kind", "accumulate"), [(Module, 1), (Module, 2), (Manual, 2)])
def test_it_trains_and_moves_as_a_plain_loop_does(kind, accumulate, data, held_out):
    module = kind(grouped_loss(data))
    search, losses = search_for(module, held_out), Losses()
    options = {"accumulate_grad_batches": accumulate} if kind is Module else {}
    trainer(search, losses, epochs=6, **options).fit(module, loader(data))
    expected, reference = plain_loop(
        network(), grouped_loss(data), [loader(data)] * 6, held_out.tensors, accumulate=accumulate
    )
    assert losses.values == pytest.approx([value / accumulate for value in expected], abs=1e-6)
    same_moves(search.search, reference)
    design = search.design()
    assert design.additive == pytest.approx(reference.design().additive, abs=1e-6)
    assert module.loss.additive.numpy() == pytest.approx(design.additive, abs=1e-6)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists:UserWarning")
def test_a_resumed_run_ends_with_the_same_design(data, held_out, tmp_path):
    whole = Module(grouped_loss(data))
    expected = search_for(whole, held_out, parameters=("additive", "ridge"))

    def keep():
        return ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)

    trainer(expected, keep(), epochs=4, enable_checkpointing=True).fit(whole, loader(data))
    checkpoint = tmp_path / "epoch=1.ckpt"  # before some moves, and after others

    module = Module(grouped_loss(data))
    search = search_for(module, held_out, parameters=("additive", "ridge"))
    resumed = trainer(search, keep(), epochs=4, enable_checkpointing=True)
    resumed.fit(module, loader(data), ckpt_path=checkpoint, weights_only=True)
    same_moves(search.search, expected.search)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], value, atol=1e-6, rtol=0)
    decay = search.design().ridge
    assert decay == pytest.approx(expected.design().ridge)
    assert decay != pytest.approx(1e-3)


def test_fit_again_goes_on_with_the_same_model_and_begins_anew_with_another(data, held_out):
    module = Module(grouped_loss(data))
    search = search_for(module, held_out)
    for epochs in (2, 4):
        trainer(search, epochs=epochs).fit(module, loader(data))
    assert search.search.iteration == 6 * 6
    trainer(search, epochs=2).fit(Module(module.loss), loader(data))
    assert search.search.iteration == 2 * 6


def test_alpha_and_the_objective_are_logged(data, held_out, tmp_path):
    module = Module(grouped_loss(data))
    search = search_for(module, held_out, parameters="additive")
    run = trainer(search, epochs=2, logger=CSVLogger(tmp_path))
    run.fit(module, loader(data))
    alpha = search.search.alpha.vector
    logged = run.callback_metrics
    assert float(logged["autobalance/objective"]) == pytest.approx(
        search.search.history[-1].record.value, rel=1e-6
    )
    names = [name for name in logged if name.startswith("autobalance/additive")]
    assert [float(logged[name]) for name in names] == pytest.approx(alpha, abs=1e-6)
    (written,) = tmp_path.rglob("metrics.csv")
    assert "autobalance/objective" in written.read_text()


def test_a_submodule_and_a_batch_of_another_kind(data, held_out):
    """The network has keyword arguments, and no forward of the module leads to it."""

    class Keywords(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net(x)

    class Nested(LightningModule):
        def __init__(self, loss: ParametricCrossEntropy) -> None:
            super().__init__()
            self.body = nn.ModuleDict({"net": Keywords()})
            self.loss = loss

        def training_step(self, batch, _):
            return self.loss(self.body["net"](x=batch["x"]), batch["y"], batch["g"])

        configure_optimizers = Module.configure_optimizers

    def named(dataset):
        return [dict(zip(("x", "y", "g"), item, strict=True)) for item in dataset]

    module = Nested(grouped_loss(data))
    search = SearchCallback(
        module.loss,
        "group-balanced",
        DataLoader(named(held_out), 40),
        read=lambda batch: ({"x": batch["x"]}, batch["y"], batch["g"]),
        network="body.net",
        settings=SETTINGS,
    )
    trainer(search, epochs=3).fit(module, DataLoader(named(data), BATCH))
    assert len(search.search.history) == 4
    assert not any(move.refused for move in search.search.history)


class NoForward(Module):
    forward = LightningModule.forward


class Frozen(Module):
    def configure_optimizers(self):
        return sgd(nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("kind", "network", "match"),
    [
        (NoForward, "", "NoForward has no forward; .* name the submodule"),
        (Module, "head", "no submodule 'head'"),
        (Frozen, "", "no optimizer of Frozen trains the module"),
    ],
)
def test_what_cannot_be_searched_on_is_refused_before_training(
    kind, network, match, data, held_out
):
    module = kind(grouped_loss(data))
    search = search_for(module, held_out, network=network)
    with pytest.raises(SearchError, match=match):
        trainer(search).fit(module, loader(data))


def test_there_is_no_design_before_training(data, held_out):
    search = search_for(Module(grouped_loss(data)), held_out)
    assert search.state_dict() == {}
    with pytest.raises(SearchError, match="train first"):
        search.design()


class KeepAlpha(Callback):
    """Writes down what each rank ends with."""

    def __init__(self, search, folder) -> None:
        self.search, self.folder = search, folder

    def on_train_end(self, trainer, pl_module) -> None:
        torch.save(
            (self.search.search.alpha.parts, pl_module.loss.additive),
            self.folder / f"{trainer.global_rank}.pt",
        )


@pytest.mark.slow
def test_two_ranks_end_with_the_same_loss(data, held_out, tmp_path):
    module = Module(grouped_loss(data))
    search = search_for(module, held_out)
    options = {"devices": 2, "strategy": "ddp_fork"}
    trainer(search, KeepAlpha(search, tmp_path), epochs=4, **options).fit(module, loader(data))
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert any(part.abs().max() > 1e-2 for part in first[0].values())
    torch.testing.assert_close(first, second)
