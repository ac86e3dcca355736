"""The start of training that the built-in models share."""

from torch import nn


def initialise(model: nn.Module) -> None:
    """Draw every weight from N(0, 2 / fan_in) and set every bias to 0.

    The variance keeps signals of one size through layers of ReLUs (He et al., "Delving deep into
    rectifiers", ICCV 2015, eq. 10). The output layer is drawn alike, as in the code of LDAM
    (Cao et al., NeurIPS 2019).
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
