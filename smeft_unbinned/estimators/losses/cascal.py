"""CASCAL: the cross-entropy of CARL plus the squared error of the joint score (arXiv:1805.00020, eq. 33)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import Pointwise, Ratio, check_alpha, cross_entropy, hard_labels, score_error


@dataclass(frozen=True)
class Cascal(Pointwise):
    """alpha: weight of the score term."""

    alpha: float = 1.0

    name = "cascal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_alpha(self.alpha)

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        points = hard_labels(points, generator)
        r, slope = ratio.with_slope(points)
        return points.size * (cross_entropy(r, points) + self.alpha * score_error(r, slope, points))
