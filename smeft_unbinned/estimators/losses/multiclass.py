"""Multi-class cross-entropy: a softmax over the SM and several points at once.

The probability of point b at x is a_b r(x|c_b) / (1 + sum_b' a_b' r(x|c_b')), with any positive class weights
a_b; the loss is smallest in the mean where r is the ratio at every point, as with two classes
(arXiv:1506.02169). All ratios come from one r(x|c), so that the classes share what they learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Data, Source
from .base import Drawn, Evaluate, Ratio, log_ratio


@dataclass(frozen=True)
class Multiclass(Drawn):
    """draws: points beside the SM, for events with truth."""

    name = "multiclass"
    needs_truth = False
    compares = True

    def bind(self, data: Data, source: Source) -> Evaluate:
        del data

        def function(ratio: Ratio, batch: Data, generator: torch.Generator) -> Tensor:
            points = source.points(batch, self.draws, generator)
            logits = log_ratio(ratio.at(points)) + torch.log(points.size)
            total = torch.logsumexp(torch.nn.functional.pad(logits, (1, 0)), dim=-1)
            target = points.size * points.rate
            loss = (points.sm[..., 0] + target.sum(dim=-1)) * total - (target * logits).sum(dim=-1)
            return loss / (1.0 + points.size.sum(dim=-1))

        return function
