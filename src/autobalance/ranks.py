"""The processes that compute one result together, each on its share of the examples.

Under ``torchrun`` every process runs the same program. Within :func:`across_ranks` they divide what
is a sum over examples (gradients, curvature products, held-out logits) and add up, so that all of
them go the way that one process would go on the whole::

    with across_ranks():  # with one process, this does nothing
        result = search_and_retrain(make_model, data, "balanced", checkpoints="run")

Every process has to reach the same sums in the same order, for each waits for the others. What is
decided from sums alone is decided alike, since all ranks get the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Integer, Shaped
from torch import Tensor, nn

from autobalance.errors import AutoBalanceError, DataError, SearchError

_FEWEST = 2
"""Examples that a rank's share of a batch has at least: BatchNorm cannot train on a single one."""
_NEXT_RANK = 2**40 + 1
"""Between the seeds of ranks: far from what a user would count up by, also modulo 2³²."""
_LOST = ("gloo", "nccl", "connection", "process group", "timed out", "broken pipe")


@dataclass(frozen=True)
class Ranks:
    """One of the processes that compute together, or the only one.

    Parameters
    ----------
    number
        This process, from 0.
    size
        How many there are.
    group
        Of ``torch.distributed``; ``None`` is all of its processes.
    """

    number: int = 0
    size: int = 1
    group: Any = None

    @classmethod
    def of_group(cls, group: Any = None) -> Ranks:
        """The members of a process group of ``torch.distributed``."""
        return cls(dist.get_rank(group), dist.get_world_size(group), group)

    @classmethod
    def of_world(cls) -> Ranks:
        """All processes of ``torch.distributed``, whether or not they compute all together."""
        ready = dist.is_available() and dist.is_initialized()
        return cls.of_group() if ready else current_ranks()

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.number == 0

    def total(self, tensor: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """The sum over the ranks, the same bits on all of them; without a graph."""
        if self.size == 1:
            return tensor
        result = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(result, group=self.group)
        return result

    def lengths(self, length: int, device: torch.device | None = None) -> list[int]:
        """The length that each rank has."""
        lengths = torch.zeros(self.size, dtype=torch.int64, device=device)
        lengths[self.number] = length
        found: list[int] = self.total(lengths).tolist()
        return found

    def gathered(
        self, tensor: Shaped[Tensor, "own *rest"], lengths: Sequence[int] | None = None
    ) -> Shaped[Tensor, "all *rest"]:
        """The tensors of all ranks, one below the other; their lengths may differ."""
        if self.size == 1:
            return tensor
        lengths = self.lengths(len(tensor), tensor.device) if lengths is None else lengths
        result = tensor.new_zeros(sum(lengths), *tensor.shape[1:])
        result[self.own(lengths)] = tensor.detach()
        return self.total(result)

    def own(self, lengths: Sequence[int]) -> slice:
        """Where this rank's part lies in what :meth:`gathered` returns."""
        ends = [0, *accumulate(lengths)]
        return slice(ends[self.number], ends[self.number + 1])

    def share(self, length: int, device: torch.device | None = None) -> float:
        """Which part of all ranks' examples this one has."""
        if self.size == 1:
            return 1.0
        return length / sum(self.lengths(length, device))

    def each(self, data: bytes) -> list[bytes]:
        """What each rank has, on all of them."""
        if self.size == 1:
            return [data]
        lengths = self.lengths(len(data))
        content = self.gathered(torch.frombuffer(bytearray(data), dtype=torch.uint8), lengths)
        return [bytes(part.numpy().tobytes()) for part in torch.split(content, lengths)]

    def of_first(self, data: bytes | None) -> bytes | None:
        """What the first rank has, on all of them."""
        if self.size == 1:
            return data
        length = self.lengths(-1 if data is None else len(data))[0]
        if length < 0:
            return None
        content = torch.zeros(length, dtype=torch.uint8)
        if self.first and data:
            content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return bytes(self.total(content).numpy().tobytes())

    def agree(self, model: nn.Module) -> None:
        """Give all ranks the buffers of the first, as BatchNorm's running statistics.

        ``DistributedDataParallel`` does so before its next forward pass; what looks at the model in
        between would see another one on each rank.
        """
        if self.size > 1:
            first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
            for buffer in model.buffers():
                dist.broadcast(buffer.data, first, group=self.group)

    def own_seed(self, seed: int) -> int:
        """A seed for draws that should not be the same on all ranks; of the first, ``seed``."""
        return seed + _NEXT_RANK * self.number

    def part_of(self, length: int) -> float:
        """Which part of so many examples :meth:`part` takes, known without asking the others."""
        if self.size == 1 or length < _FEWEST * self.size:
            return 1 / self.size
        return len(range(self.number, length, self.size)) / length

    def part(self, index: Integer[Tensor, "B"]) -> Integer[Tensor, "_"]:
        """Take from a batch what is this rank's: every ``size``-th, so that a cell's are shared.

        A batch that is too small to share is taken whole by each, which has the same mean.
        """
        if self.size == 1 or len(index) < _FEWEST * self.size:
            return index
        return index[self.number :: self.size]


ALONE = Ranks()
_current: ContextVar[Ranks] = ContextVar("ranks", default=ALONE)


def current_ranks() -> Ranks:
    """The ranks of the :func:`across_ranks` that this is in; outside of it, one process."""
    return _current.get()


@contextmanager
def across_ranks() -> Iterator[Ranks]:
    """Compute what is within over all processes that ``torchrun`` has started.

    Fits, searches and trainings within divide their examples among the ranks. All ranks must call
    the same with the same data, from the same seeds, on machines of one kind; files are written by
    the first. A process group that is not there yet is made (gloo for the CPU, NCCL for GPUs, one
    for each rank) and ended with the block.

    Raises
    ------
    SearchError
        If another process is lost; checkpoints are whole, and the same command goes on from them.
    DataError
        If the process group cannot be made.
    """
    if not dist.is_available() or not (dist.is_initialized() or started_by_torchrun()):
        yield ALONE
        return
    made = not dist.is_initialized()
    if made:
        _make_group()
    elif "cpu" not in str(dist.get_backend_config()):
        raise DataError(
            f"the process group has only {dist.get_backend()}, and lengths and heads are on the "
            'CPU; make it by init_process_group("cpu:gloo,cuda:nccl"), or let across_ranks make it'
        )
    ranks = Ranks.of_group()
    token = _current.set(ranks)
    try:
        yield ranks
    except AutoBalanceError:
        raise
    except (RuntimeError, OSError) as error:
        if ranks.size > 1 and any(word in str(error).lower() for word in _LOST):
            raise SearchError(
                f"rank {ranks.number} has lost the others ({str(error).partition(chr(10))[0]}); "
                "start the same command again: it goes on from the last checkpoint"
            ) from error
        raise
    finally:
        _current.reset(token)
        if made:
            dist.destroy_process_group()


def started_by_torchrun() -> bool:
    """Whether this is one of several processes that are meant to compute together."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _make_group() -> None:
    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group("cpu:gloo,cuda:nccl")
        else:
            dist.init_process_group("gloo")
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"the processes cannot find each other ({str(error).partition(chr(10))[0]}); start "
            "them by torchrun"
        ) from error
