"""Linear: r(x|c) = 1 + l(x) . u, the interference with the SM alone; negative at large c."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .base import Head


@dataclass(frozen=True)
class Linear(Head):
    """n outputs: the score at the SM."""

    name = "linear"
    linear_only = True

    def outputs(self, n: int) -> int:
        return n

    def terms(self, outputs: Tensor, n: int) -> tuple[Tensor, Tensor]:
        return outputs, outputs.new_zeros((*outputs.shape, n))
