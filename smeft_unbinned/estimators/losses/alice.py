"""ALICE: cross-entropy with the soft label s(x, z) = 1/(1 + R(z|c)) of the joint ratio.

(arXiv:1808.00973, eq. 2.) With every event counting both as an SM event and, with its rate R, as one at c,
the loss log(1 + r) + R log(1 + 1/r) is (1 + R) times the cross-entropy of the soft label.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import Pointwise, Ratio, cross_entropy


@dataclass(frozen=True)
class Alice(Pointwise):
    """draws: points per event and step."""

    name = "alice"

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        del generator
        return points.size * cross_entropy(ratio.at(points), points)
