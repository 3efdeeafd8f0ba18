"""CASCAL: the cross-entropy of CARL plus the squared error of the joint score (arXiv:1805.00020, eq. 33)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import WithScore, cross_entropy, hard_labels


@dataclass(frozen=True)
class Cascal(WithScore):
    """alpha: weight of the score term."""

    name = "cascal"

    def labelled(self, points: Points, generator: torch.Generator) -> Points:
        return hard_labels(points, generator)

    def ratio_term(self, r: Tensor, points: Points) -> Tensor:
        return cross_entropy(r, points)
