"""Derivative learning: regress every ratio coefficient on SM events.

The mean over SM events of |R_a(z) - f_a(x)|^2 is smallest at f_a(x) = E[R_a(z)|x] = r_a(x), the ratio
coefficient given what is observed (arXiv:2107.10859, sec. 3; arXiv:2410.07315, sec. 2). Labels are divided by
their growth, and each linear coefficient by its spread, so that every coefficient counts alike; cross terms
are thereby normalised by the geometric mean of their two diagonal scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..data import Data, Labels, Source
from .base import Evaluate, Loss, Ratio


@dataclass(frozen=True)
class Derivative(Loss):
    """No options."""

    name = "derivative"
    regression = True
    heads: ClassVar[tuple[str, ...]] = ("squares", "quadratic", "linear", "morphing")

    def bind(self, data: Data, source: Source) -> Evaluate:
        del source
        assert data.labels is not None
        norms = spreads(data.labels, data.weights.mean(dim=1))

        def function(ratio: Ratio, batch: Data, generator: torch.Generator) -> Tensor:
            del generator
            assert batch.labels is not None
            return squared_error(ratio, batch.labels, norms)

        return function


def spreads(labels: Labels, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss normalisations, (n,) each: rms of the scaled linear and diagonal quadratic labels."""
    w = weights / weights.sum()
    rms = torch.sqrt(torch.einsum("e,ei->i", w, labels.linear**2))
    diagonal = torch.diagonal(labels.quadratic, dim1=-2, dim2=-1)
    size = torch.sqrt(torch.einsum("e,ei->i", w, diagonal**2))
    least = 0.03 * float(rms.max()) or 1.0  # no coefficient may interfere with the SM
    small = 1e-3 * float(size.max()) or 1.0
    return torch.clamp(rms, min=least), torch.clamp(size, min=small)


def squared_error(ratio: Ratio, labels: Labels, norms: tuple[Tensor, Tensor]) -> Tensor:
    """Return the normalised squared error of each member and event, (M, B)."""
    linear, quadratic = ratio.terms()
    first = ((linear - labels.linear) / norms[0]).square().mean(dim=-1)
    if ratio.head.linear_only:
        return first
    scale = torch.sqrt(norms[1])
    second = (quadratic - labels.quadratic) / (scale[:, None] * scale[None, :])
    return first + second.square().mean(dim=(-1, -2))
