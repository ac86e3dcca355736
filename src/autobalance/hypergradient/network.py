"""A network's logits as a function of its parameters, evaluated without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from autobalance.batches import Inputs, map_tensors, model_arguments, outputs_of
from autobalance.errors import SearchError
from autobalance.hypergradient.wrappers import unwrap

MODES = ("eval", "train")


class Network:
    """Logits z(θ) of a module, with θ its trainable parameters as one vector.

    A hypergradient looks at a model in the middle of its training, and must not be seen: buffers
    are cloned before every forward pass, and :meth:`undisturbed` puts modes and random streams
    back. Everything is computed in float32 at least, outside autocast.

    Parameters
    ----------
    model
        Any module; compiled or wrapped ones are looked through.
    mode
        ``"eval"`` (default): no dropout, and BatchNorm with its running statistics, as the held-out
        loss sees the network. ``"train"``: in the modes that the caller has set, as the training
        loss does, each batch with one dropout mask throughout.
    seed
        Of the dropout masks.

    Raises
    ------
    SearchError
        If there is no such mode, or nothing in the model is trained.
    """

    def __init__(self, model: nn.Module, mode: str = "eval", seed: int = 0) -> None:
        if mode not in MODES:
            raise SearchError(f"mode is {mode!r}; use {' or '.join(MODES)}")
        self.module = unwrap(model)
        self.mode = mode
        self.seed = seed
        self._trained = [p for p in self.module.parameters() if p.requires_grad]
        if not self._trained:
            raise SearchError("no parameter of the model is trained; set requires_grad")
        self._shapes = [parameter.shape for parameter in self._trained]
        self._sizes = [parameter.numel() for parameter in self._trained]

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self._trained[0].device

    @property
    def theta(self) -> Float[Tensor, "P"]:
        """The parameters now, as a copy."""
        return torch.cat([p.detach().reshape(-1) for p in map(_widened, self._trained)])

    def leaves(self) -> list[Tensor]:
        """The parameters now, to differentiate by: they share memory with the model's."""
        return [_widened(parameter.detach()).requires_grad_() for parameter in self._trained]

    def split(self, vector: Float[Tensor, "P"]) -> list[Tensor]:
        """A vector of all parameters as views of their shapes."""
        parts = torch.split(vector, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Evaluate within it; after it, modes and random streams are as they were before."""
        modes = [(module, module.training) for module in self.module.modules()]
        # Activation checkpointing runs the model again, outside functional_call.
        training = self.mode == "train"
        buffers = [(b, b.clone()) for b in self.module.buffers()] if training else []
        devices = [self.device] if self.device.type == "cuda" else []
        autocast = torch.autocast(self.device.type, enabled=False)
        # inference_mode drops tangents and graphs without a word
        with (
            torch.inference_mode(False),
            torch.random.fork_rng(devices),
            torch.enable_grad(),
            autocast,
        ):
            try:
                if self.mode == "eval":
                    for module, _ in modes:  # not eval(), which may do more, as merging adapters
                        module.training = False
                yield
            finally:
                for buffer, kept in buffers:
                    buffer.data.copy_(kept)
                for module, training in modes:
                    module.training = training

    def logits(
        self,
        inputs: Inputs,
        parameters: Sequence[Tensor],
        draw: int = 0,
    ) -> Float[Tensor, "B *outputs"]:
        """Logits at ``parameters``, one tensor each; a ``draw`` has one dropout mask throughout."""
        state = self._state(parameters)
        self._seed(self.seed + draw)  # some models draw in evaluation mode, too
        positional, named = model_arguments(map_tensors(_widened, inputs))
        output = functional_call(self.module, state, positional, named, tie_weights=False)
        return outputs_of(output)

    def _seed(self, seed: int) -> None:
        """Only streams that are put back: ``torch.manual_seed`` would also seed other devices."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(seed)

    def _state(self, parameters: Sequence[Tensor]) -> dict[str, Tensor]:
        """Every parameter and a copy of every buffer, by each of its places.

        A place has one name even if its module has two: ``functional_call`` would swap the second
        for the first, and leave it in the model.
        """
        values = dict(zip(map(id, self._trained), parameters, strict=True))
        state: dict[str, Tensor] = {}
        for prefix, part in self.module.named_modules(prefix="module"):
            for name, parameter in part.named_parameters(recurse=False, remove_duplicate=False):
                if id(parameter) not in values:
                    values[id(parameter)] = _widened(parameter)
                state[f"{prefix}.{name}"] = values[id(parameter)]
            for name, buffer in part.named_buffers(recurse=False, remove_duplicate=False):
                if id(buffer) not in values:
                    values[id(buffer)] = _widened(buffer.clone())
                state[f"{prefix}.{name}"] = values[id(buffer)]
        return {name.removeprefix("module."): value for name, value in state.items()}


def flat(tensors: Sequence[Tensor | None], like: Sequence[Tensor]) -> Float[Tensor, "P"]:
    """Gradients as one vector; what a batch does not reach (``None``) is 0."""
    return torch.cat(
        [
            (torch.zeros_like(model) if tensor is None else tensor).reshape(-1)
            for tensor, model in zip(tensors, like, strict=True)
        ]
    )


def _widened(tensor: Tensor) -> Tensor:
    """Half-precision numbers in float32; others as they are."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor
