"""RASCAL: ROLR plus the squared error of the joint score (arXiv:1805.00020, eq. 28)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import Pointwise, Ratio, check_alpha, score_error
from .rolr import ratio_error


@dataclass(frozen=True)
class Rascal(Pointwise):
    """alpha: weight of the score term."""

    alpha: float = 1.0

    name = "rascal"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_alpha(self.alpha)

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        del generator
        r, slope = ratio.with_slope(points)
        return points.size * (ratio_error(r, points) + self.alpha * score_error(r, slope, points))
