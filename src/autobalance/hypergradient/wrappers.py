"""Looking through what wraps a module: compilers and data parallelism."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from autobalance.ranks import Ranks, current_ranks


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside ``torch.compile``, DistributedDataParallel and DataParallel, however deep.

    It shares its parameters with the wrapper. Fully sharded modules are left as they are.
    """
    for inner in wrappers(model):
        model = inner
    return model


def wrappers(model: nn.Module) -> Iterator[nn.Module]:
    """The module, what is inside it, and so on to the innermost."""
    while True:
        yield model
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        else:
            return


def ranks_of(model: nn.Module) -> Ranks:
    """The ranks that train a model: of its DistributedDataParallel, or else the current ones."""
    for module in wrappers(model):
        if isinstance(module, nn.parallel.DistributedDataParallel):
            return Ranks.of_group(module.process_group)
    return current_ranks()
