"""ALICES: ALICE plus the squared error of the joint score (arXiv:1808.00973, eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..data import Points
from .base import WithScore, cross_entropy


@dataclass(frozen=True)
class Alices(WithScore):
    """alpha: weight of the score term."""

    name = "alices"

    def ratio_term(self, r: Tensor, points: Points) -> Tensor:
        return cross_entropy(r, points)
