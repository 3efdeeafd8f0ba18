"""Free quadratic: every coefficient of r is an output of its own; r may turn negative."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .base import Head, symmetric


@dataclass(frozen=True)
class Quadratic(Head):
    """n linear and n(n + 1)/2 quadratic coefficients, without constraint."""

    name = "quadratic"

    def outputs(self, n: int) -> int:
        return n + n * (n + 1) // 2

    def terms(self, outputs: Tensor, n: int) -> tuple[Tensor, Tensor]:
        return outputs[..., :n], symmetric(outputs[..., n:], n)
