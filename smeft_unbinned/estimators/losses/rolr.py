"""ROLR: squared error on the joint ratio and on its inverse (arXiv:1805.00020, eq. 22).

SM events give |R - r|^2, events at c (SM events with rate R) give |1/R - 1/r|^2. Both are smallest in
the mean at r = E[R]; the first rules where r is small, the second where it is large. R below FLOOR counts
as FLOOR.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import FLOOR, Pointwise, Ratio


def ratio_error(r: Tensor, points: Points) -> Tensor:
    """Return size |R - r|^2 + R |1/R - 1/r|^2, (M, ..., D)."""
    truth = torch.clamp(points.rate, min=FLOOR)
    inverse = truth * (1.0 / truth - 1.0 / torch.clamp(r, min=FLOOR)).square()
    return points.size * (truth - r).square() + inverse


@dataclass(frozen=True)
class Rolr(Pointwise):
    """draws: points per event and step."""

    name = "rolr"

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        del generator
        return points.size * ratio_error(ratio.at(points), points)
