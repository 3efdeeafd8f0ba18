"""A loss: the maximum-likelihood classifier (arXiv:1806.02350, there with r = e^f).

SM events give r, events at c give -log r: in the mean over events at x the loss is E[sm] r - E[rate] log r,
whose derivative E[sm] - E[rate]/r vanishes at the ratio r = E[rate]/E[sm], its only minimum for r > 0. The
rate of an event is r(z|c) where truth is known; where samples are separate, whether it is from that at c.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smeft_unbinned.estimators.data import Points
from smeft_unbinned.estimators.losses.base import Pointwise, Ratio, log_ratio


@dataclass(frozen=True)
class MaximumLikelihood(Pointwise):
    """draws: points per event and step, for events with truth."""

    name = "mlc"
    needs_truth = False

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        del generator  # nothing random besides the points
        r = ratio.at(points)
        positive = torch.clamp(r, min=0.0)  # a negative ratio of a free head must not be a gain
        return points.size * (points.sm * positive - points.rate * log_ratio(r))
