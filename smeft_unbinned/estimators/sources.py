"""Hypotheses for events with truth, and for events of separate samples.

Any distribution of c may be drawn that depends on x: the loss at each x is then a sum over c of terms with
their minimum at the true ratio. By default c is drawn where it matters for the event at hand, u = c g(x) of
order one; a prior of the user's draws the same c everywhere. Every term is divided by 1 + |u|^2, the size of
the rate it holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, nearest
from .data import Data, Masks, Points, evaluate_terms

SHAPES = ("gaussian", "uniform")
LEAST = 1e-3
"""Rates below count as this in the score."""
_REACH = (0.2, 2.0)  # of |u| per coefficient, drawn evenly in its logarithm


@dataclass(frozen=True)
class Reweighting:
    """Events with truth, compared with themselves at drawn points.

    widths: (n,) of the prior of c in TeV^-2, or None to draw c by its effect on the event.
    shape: "gaussian" (standard deviation one width) or "uniform" (within one width of zero).
    """

    widths: Tensor | None = None
    shape: str = "gaussian"

    def points(self, batch: Data, draws: int, generator: torch.Generator) -> Points:
        """Draw `draws` points for each event, the same numbers for every member."""
        events, n = batch.growth.shape[-2:]
        if self.shape == "gaussian":
            c = torch.randn(events, draws, n, generator=generator)
        else:
            c = 2 * torch.rand(events, draws, n, generator=generator) - 1
        if self.widths is None:
            low, high = (math.log(x) for x in _REACH)
            reach = torch.exp(low + (high - low) * torch.rand(events, draws, 1, generator=generator))
            u = (c * reach / math.sqrt(n)).to(batch.growth.device)
        else:
            u = (c * self.widths).to(batch.growth.device) * batch.growth[..., None, :]
        return at_points(batch, u, None)


def at_points(batch: Data, u: Tensor, masks: Masks | None) -> Points:
    """Return the points u (..., D, n) with the rates that the truth of the events gives."""
    assert batch.labels is not None  # checked before the training
    size = 1.0 / (1.0 + u.square().sum(dim=-1))
    linear, quadratic = batch.labels.linear, batch.labels.quadratic
    rate = evaluate_terms(linear, quadratic, u, masks)
    score = None
    if masks is None:
        slope = linear[..., None, :] + 2.0 * torch.matmul(u, quadratic)
        score = slope / torch.clamp(rate, min=LEAST)[..., None]
    return Points(u, size, torch.ones_like(size[..., :1]), rate, score, masks)


@dataclass(frozen=True)
class Pooled:
    """Events of separate samples, one at the SM (kind 0) and one at each of D points (kinds 1 to D).

    theta: (D, n) in TeV^-2. size: (D,) SM over point cross section. masks: the terms that each was made with.
    """

    theta: Tensor
    size: Tensor
    masks: Masks | None

    def points(self, batch: Data, draws: int, generator: torch.Generator) -> Points:
        """Return all points; an event is from the SM or from one of them."""
        del draws, generator  # the samples are where they are
        assert batch.kind is not None
        device = batch.growth.device
        u = self.theta.to(device) * batch.growth[..., None, :]
        kinds = torch.arange(1, len(self.theta) + 1, device=device)
        rate = (batch.kind[..., None] == kinds).float()
        sm = (batch.kind[..., None] == 0).float()
        masks = self.masks
        if masks is not None:
            masks = Masks(masks.linear.to(device), masks.quadratic.to(device))
        return Points(u, self.size.to(device).expand(rate.shape), sm, rate, None, masks)


def prior_widths(prior: Mapping[str, float] | None, operators: Sequence[str]) -> Tensor | None:
    """Return the widths of a prior in the order of the operators; raise InputError where it does not fit."""
    if prior is None:
        return None
    for name in prior:
        if name not in operators:
            raise InputError(
                f"the prior names {name!r}, which is not trained; known are {', '.join(operators)}."
                + nearest(name, operators)
            )
    missing = [name for name in operators if name not in prior]
    if missing:
        raise InputError(f"the prior has no width for {', '.join(missing)}; give one per coefficient")
    widths = [float(prior[name]) for name in operators]
    if not all(0 < w < math.inf for w in widths):
        raise InputError(f"the widths of a prior must be positive, got {dict(prior)}")
    return torch.tensor(widths)
