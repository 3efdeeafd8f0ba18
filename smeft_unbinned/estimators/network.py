"""A stack of fully connected networks evaluated and trained as one: batched matrix products over members."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Parameters = list[Tensor]
"""Weights and biases in turn: (M, in, out), (M, 1, out) for each layer of M members."""


def initialise(members: int, widths: Sequence[int], generator: torch.Generator) -> Parameters:
    """Return random parameters, uniform within 1/sqrt(in), last layer a tenth of that."""
    parameters: Parameters = []
    for k, (inputs, outputs) in enumerate(pairwise(widths)):
        bound = inputs**-0.5 * (0.1 if k == len(widths) - 2 else 1.7)
        weight = torch.rand(members, inputs, outputs, generator=generator, dtype=torch.float32)
        parameters += [(2 * weight - 1) * bound, torch.zeros(members, 1, outputs, dtype=torch.float32)]
    return parameters


def forward(parameters: Parameters, x: Tensor) -> Tensor:
    """Return the outputs (M, B, out) of M members for shared inputs (B, in), SiLU between layers."""
    h = torch.matmul(x, parameters[0]) + parameters[1]
    for weight, bias in zip(parameters[2::2], parameters[3::2], strict=True):
        h = torch.baddbmm(bias, torch.nn.functional.silu(h), weight)
    return h
