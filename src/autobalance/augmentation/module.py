"""A policy as a module for any training loop, and as a transform of single examples."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autobalance.augmentation.apply import Part, apply, check, draw
from autobalance.augmentation.policy import Policy
from autobalance.errors import DataError


class PolicyAugmentation(nn.Module):
    """Changes each example as the policy has it for the example's own class and group.

    It stands between the data and the network, in training only::

        augment = PolicyAugmentation(design.policy)
        for inputs, targets in loader:
            loss(model(augment(inputs, targets)), targets).backward()

    or, example by example, in a ``Dataset``: ``image = augment(image, target)``.

    Parameters
    ----------
    policy
        What it does.

    Attributes
    ----------
    probability, magnitude
        The policy's values, shape (K, G, S, L): buffers, which a search overwrites.
    """

    probability: Float[Tensor, "K G S L"]
    magnitude: Float[Tensor, "K G S L"]

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.operations = policy.operations
        for name in ("probability", "magnitude"):
            values = torch.tensor(getattr(policy, name), dtype=torch.get_default_dtype())
            self.register_buffer(name, values)

    @torch.no_grad()
    def forward(
        self,
        inputs: Tensor,
        targets: Any,
        groups: Any = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Changed examples, of the dtype and on the device of the inputs.

        Parameters
        ----------
        inputs
            Images (N, C, H, W) as bytes or in [0, 1], or vectors (N, D); or a single one, without
            the first dimension.
        targets, groups
            Codes of class and group, (N,), or of the single example. Groups are needed if the
            policy has several.
        generator
            On the CPU; by default PyTorch's global one.

        Raises
        ------
        DataError
            If the inputs, targets or groups are not such, or an operation cannot take the inputs.
        """
        self._check_kind(inputs)
        codes = torch.as_tensor(targets)
        groups = None if groups is None else torch.as_tensor(groups)
        if codes.ndim == 0:
            group = None if groups is None else groups[None]
            changed: Tensor = self(inputs[None], codes[None], group, generator)
            return changed[0]
        self._check_codes("target", "class", codes, self.policy.cells[0], inputs)
        if groups is not None:
            self._check_codes("group", "group", groups, self.policy.cells[1], inputs)
        parts = self.draw(inputs, generator)
        changed = self.relaxed(inputs, codes, groups, parts, self.probability, self.magnitude, 0.0)
        return changed if inputs.is_floating_point() else changed.round().to(inputs.dtype)

    def draw(self, inputs: Tensor, generator: torch.Generator | None = None) -> tuple[Part, ...]:
        """Draws for a batch.

        Raises
        ------
        DataError
            If an operation cannot take the inputs.
        """
        check(self.operations, inputs)
        return draw(self.operations, len(inputs), tuple(inputs.shape[1:]), generator)

    def relaxed(
        self,
        inputs: Tensor,
        targets: Tensor,
        groups: Tensor | None,
        parts: tuple[Part, ...],
        probability: Float[Tensor, "K G S L"],
        magnitude: Float[Tensor, "K G S L"],
        temperature: float,
    ) -> Tensor:
        """At these values and draws, differentiable in both; see :func:`.apply.apply`."""
        if groups is None and self.policy.cells[1] > 1:
            raise DataError(
                f"the policy has {self.policy.cells[1]} groups and the examples have none; give "
                "their codes as groups"
            )
        groups = torch.zeros_like(targets) if groups is None else groups
        return apply(
            self.operations,
            inputs,
            targets,
            groups.to(targets.device),
            probability,
            magnitude,
            parts,
            temperature,
        )

    def _check_kind(self, inputs: Any) -> None:
        if not isinstance(inputs, Tensor) or inputs.dtype not in (
            torch.uint8,
            torch.float32,
            torch.float64,
        ):
            kind = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
            raise DataError(
                f"the inputs are {kind}; a policy takes a tensor of bytes, float32 or float64"
            )

    def _check_codes(
        self, name: str, what: str, codes: Tensor, number: int, inputs: Tensor
    ) -> None:
        if codes.is_floating_point() or codes.shape != inputs.shape[:1]:
            raise DataError(
                f"the {name}s are {codes.dtype} of shape {tuple(codes.shape)} for inputs of shape "
                f"{tuple(inputs.shape)}; give one {what} code for each example"
            )
        if codes.device.type == "cpu" and len(codes):
            low, high = int(codes.min()), int(codes.max())
            if low < 0 or high >= number:
                raise DataError(
                    f"the {what} codes go from {low} to {high}, and the policy is for 0 to "
                    f"{number - 1}"
                )

    def extra_repr(self) -> str:
        """What it is for, for ``print``."""
        n_classes, n_groups = self.policy.cells
        chains = "; ".join(" → ".join(chain) for chain in self.policy.sub_policies)
        return f"n_classes={n_classes}, n_groups={n_groups}, {chains}"
