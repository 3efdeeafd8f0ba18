"""Quadratic classifier: one network for all terms, squared loss (arXiv:2007.10356; arXiv:2308.05704).

With f = r/(1 + r), SM events give f^2 and events at c give (1 - f)^2; the sum is smallest in the mean at the
ratio. r is quadratic in c, and the events at c are SM events with rate R, or separate samples at many points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import Pointwise, Ratio, log_ratio


@dataclass(frozen=True)
class QuadraticClassifier(Pointwise):
    """draws: points per event and step, for events with truth."""

    name = "quadratic-classifier"
    needs_truth = False

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        del generator
        log = log_ratio(ratio.at(points))
        squares = points.sm * torch.sigmoid(log).square() + points.rate * torch.sigmoid(-log).square()
        return points.size * squares
