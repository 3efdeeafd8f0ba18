"""RASCAL: ROLR plus the squared error of the joint score (arXiv:1805.00020, eq. 28)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..data import Points
from .base import WithScore
from .rolr import ratio_error


@dataclass(frozen=True)
class Rascal(WithScore):
    """alpha: weight of the score term."""

    name = "rascal"

    def ratio_term(self, r: Tensor, points: Points) -> Tensor:
        return ratio_error(r, points)
