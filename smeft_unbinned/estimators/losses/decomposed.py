"""Decomposed cross-entropy of ML4EFT: a classifier per coefficient (arXiv:2211.02058, sec. 3).

The classifier of a linear coefficient compares the SM with the rate 1 + c_i r_i(x), that of a quadratic one
with 1 + c_i^2 r_ii(x), and of a cross term with 1 + c_i c_j r_ij(x), in the loss log(1 + r) + R log(1 + 1/r).
Each learns from its own sample, made with that term alone; or from events with truth, at values of c at which
the term is of order one. A ratio that turns non-positive costs a penalty, or is cut off by a ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ..data import Data, Masks, Points, Source
from ..sources import Pooled, at_points
from .base import FLOOR, Drawn, Evaluate, Ratio, cross_entropy

_REACH = 0.5  # of u for a linear or cross term, whose rate must stay positive; 2 for a quadratic one


@dataclass(frozen=True)
class Decomposed(Drawn):
    """draws: terms per step, for events with truth. positivity: "penalty" or "relu"."""

    positivity: str = "penalty"

    name = "decomposed"
    needs_truth = False
    heads = ("quadratic", "linear")
    reason = "it trains every coefficient by itself"
    separate = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positivity not in ("penalty", "relu"):
            raise InputError(f"positivity is 'penalty' or 'relu', got {self.positivity!r}")

    def bind(self, data: Data, source: Source) -> Evaluate:
        n = data.growth.shape[-1]
        if isinstance(source, Pooled) and source.masks is None:
            raise InputError(
                "decomposed cross-entropy needs a sample per term of the rate (events.draw_samples with "
                "terms='linear', 'quadratic' or 'cross'); for samples with the full rate take loss='carl'"
            )

        def function(ratio: Ratio, batch: Data, generator: torch.Generator) -> Tensor:
            if isinstance(source, Pooled):
                points = source.points(batch, self.draws, generator)
            else:
                points = _terms(batch, self.draws, ratio.head.linear_only, generator)
            r = ratio.at(points)
            if self.positivity == "relu":
                r = torch.nn.functional.relu(r) + FLOOR
            scale = (n if ratio.head.linear_only else n + n * (n + 1) // 2) / points.u.shape[-2]
            return scale * (points.size * cross_entropy(r, points)).mean(dim=-1)

        return function


def _terms(batch: Data, draws: int, linear_only: bool, generator: torch.Generator) -> Points:
    """Return points at each of which one term counts, drawn among all terms."""
    events, n = batch.growth.shape[-2:]
    rows, columns = np.triu_indices(n)
    first = np.concatenate([np.arange(n), rows])
    second = np.concatenate([np.full(n, -1), columns])
    count = n if linear_only else first.size
    chosen = torch.randperm(count, generator=generator)[:draws].numpy()
    i, j = first[chosen], second[chosen]
    d = np.arange(len(chosen))
    where, linear, quadratic = np.zeros((d.size, n)), (j < 0).astype(float), np.zeros((d.size, n, n))
    where[d, i] = 1.0
    where[d[j >= 0], j[j >= 0]] = 1.0
    quadratic[d[j >= 0], i[j >= 0], j[j >= 0]] = quadratic[d[j >= 0], j[j >= 0], i[j >= 0]] = 1.0
    reach = np.where(i == j, 2.0, np.where(j < 0, _REACH, _REACH**0.5))
    device = batch.growth.device
    u = (2 * torch.rand(events, d.size, n, generator=generator) - 1) * torch.as_tensor(reach)[:, None].float()
    masks = Masks(*(torch.as_tensor(m, dtype=torch.float32, device=device) for m in (linear, quadratic)))
    return at_points(batch, (u * torch.as_tensor(where).float()).to(device), masks)
