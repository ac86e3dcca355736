"""Design a loss while Lightning trains, then train a fresh network with it.

pip install "autobalance[lightning]"
python examples/with_lightning.py
"""

import logging
import warnings

import digits
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from autobalance import LossDesign, OnlineSettings, ParametricCrossEntropy, preset
from autobalance.integrations.lightning import SearchCallback

EPOCHS = 30
BATCH = 64


class Classifier(LightningModule):
    """Any LightningModule whose ``forward`` gives logits."""

    def __init__(self, design: LossDesign) -> None:
        super().__init__()
        self.network = digits.a_network()
        self.loss = ParametricCrossEntropy.from_design(design)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        return self.network(inputs)

    def training_step(self, batch: list[Tensor], batch_index: int) -> Tensor:
        """The designed loss."""
        inputs, targets = batch
        return self.loss(self(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)


def train(module: LightningModule, data: TensorDataset, *callbacks: SearchCallback) -> None:
    """As Lightning does, without its files and bars."""
    loader = DataLoader(data, BATCH, shuffle=True, generator=torch.Generator().manual_seed(0))
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)


def main() -> None:
    """Compare the loss that the search starts from with the one that it designs."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    data = digits.load()
    start = preset("logit-adjustment", data.counts)
    module = Classifier(start)
    search = SearchCallback(
        module.loss, "balanced", data.held_out, settings=OnlineSettings(warm_up=100, every=5)
    )
    train(module, data.train, search)
    for name, design in (("logit adjustment", start), ("designed", search.design())):
        module = Classifier(design)
        train(module, data.everything)
        print(f"{name:>16}: {data.balanced_error(module)}")


if __name__ == "__main__":
    main()
