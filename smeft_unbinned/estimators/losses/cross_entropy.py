"""Binary cross-entropy, the likelihood-ratio trick (CARL, arXiv:1506.02169).

A classifier s = 1/(1 + r) between SM events and events at c is best at r = d sigma(x|c)/d sigma(x|0). The two
classes are separate samples; or events with truth, of which a coin decides whether each counts as an SM event
or, with its rate R(z|c), as one at c.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Points
from .base import Pointwise, Ratio, cross_entropy, hard_labels


@dataclass(frozen=True)
class CrossEntropy(Pointwise):
    """draws: points per event and step, for events with truth."""

    name = "carl"
    needs_truth = False

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        if points.score is not None:
            points = hard_labels(points, generator)
        return points.size * cross_entropy(ratio.at(points), points)
