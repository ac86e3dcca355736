"""Design a loss while skorch fits a net, then fit a fresh one with it.

pip install "autobalance[skorch]"
python examples/with_skorch.py
"""

import digits
import torch

from autobalance import LossDesign, OnlineSettings, preset
from autobalance.integrations.skorch import AutoBalanceNet, SearchCallback

EPOCHS = 30
BATCH = 64


def a_net(design: LossDesign, *callbacks: SearchCallback) -> AutoBalanceNet:
    """A scikit-learn estimator whose loss the design is."""
    return AutoBalanceNet(
        digits.a_network,
        criterion__design=design,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__weight_decay=1e-4,
        lr=0.05,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        iterator_train__generator=torch.Generator().manual_seed(0),
        train_split=None,
        callbacks=list(callbacks),
        verbose=0,
    )


def main() -> None:
    """Compare the loss that the search starts from with the one that it designs."""
    data = digits.load()
    start = preset("logit-adjustment", data.counts)
    settings = OnlineSettings(warm_up=100, every=5)
    search = SearchCallback("balanced", data.held_out.tensors, {"settings": settings})
    a_net(start, search).fit(*data.train.tensors)
    for name, design in (("logit adjustment", start), ("designed", search.design_)):
        net = a_net(design).fit(*data.everything.tensors)
        print(f"{name:>16}: {data.balanced_error(net.module_)}")


if __name__ == "__main__":
    main()
