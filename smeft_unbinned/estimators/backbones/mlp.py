"""A stack of fully connected networks, evaluated and trained as one: batched matrix products over members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ...errors import InputError
from .base import Network


@dataclass(frozen=True)
class MLP(Network):
    """hidden: widths of the hidden layers (multiples of 16 run fastest), with SiLU between them.

    separate: a network of its own for every output, in place of one network for all of them.
    """

    hidden: tuple[int, ...] = (64, 64, 64)
    separate: bool = False
    products: int = 16

    name = "mlp"

    def __post_init__(self) -> None:
        if not isinstance(self.hidden, Iterable):
            raise InputError(
                f"hidden takes the widths of all hidden layers, for instance (64, 64), got {self.hidden}"
            )
        object.__setattr__(self, "hidden", tuple(int(h) for h in self.hidden))
        if not self.hidden or min(self.hidden) < 1:
            raise InputError(f"hidden needs at least one positive width, got {self.hidden}")

    def initialise(
        self, inputs: tuple[int, ...], outputs: int, generators: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Return weights and biases in turn, (M, in, out) and (M, 1, out), or (M, K, in, out) and so on.

        Weights are uniform within 1.7/sqrt(in), in the last layer within 0.1/sqrt(in).
        """
        first = inputs[0] if inputs[0] > self.products else inputs[0] * (inputs[0] + 3) // 2
        widths = [first, *self.hidden, 1 if self.separate else outputs]
        towers = (outputs,) if self.separate else ()
        members = [self._member(widths, towers, g) for g in generators]
        return [torch.stack(layer) for layer in zip(*members, strict=True)]

    def _member(self, widths: list[int], towers: tuple[int, ...], generator: torch.Generator) -> list[Tensor]:
        parameters: list[Tensor] = []
        for k, (fan_in, fan_out) in enumerate(pairwise(widths)):
            bound = fan_in**-0.5 * (0.1 if k == len(widths) - 2 else 1.7)
            weight = torch.rand(*towers, fan_in, fan_out, generator=generator, dtype=torch.float32)
            parameters += [(2 * weight - 1) * bound, torch.zeros(*towers, 1, fan_out, dtype=torch.float32)]
        return parameters

    def forward(self, parameters: Sequence[Tensor], x: Tensor, outputs: int) -> Tensor:
        members = parameters[0].shape[0]
        if x.shape[-1] <= self.products:
            rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1], device=x.device)
            x = torch.cat([x, x[..., rows] * x[..., columns]], dim=-1)
        if self.separate:  # every tower of every member is one of M K networks with one output
            parameters = [p.flatten(0, 1) for p in parameters]
            x = x.repeat_interleave(outputs, dim=0) if x.dim() == 3 else x
        h = torch.matmul(x, parameters[0]) + parameters[1]
        for weight, bias in zip(parameters[2::2], parameters[3::2], strict=True):
            h = torch.baddbmm(bias, torch.nn.functional.silu(h), weight)
        if self.separate:
            return h[..., 0].unflatten(0, (members, outputs)).transpose(-1, -2)
        return h
