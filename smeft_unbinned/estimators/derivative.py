"""Derivative learning: regress every ratio coefficient on SM events.

The mean over SM events of |R_a(z) - f_a(x)|^2 is smallest at f_a(x) = E[R_a(z)|x] = r_a(x), the ratio
coefficient given what is observed (arXiv:2107.10859, sec. 3; arXiv:2410.07315, sec. 2). Labels are divided by
their growth, and each linear coefficient by its spread, so that every coefficient counts alike; cross terms
are thereby normalised by the geometric mean of their two diagonal scales.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import head
from .head import Labels


def spreads(labels: Labels, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss normalisations, (n,) each: rms of the scaled linear and diagonal quadratic labels."""
    w = weights / weights.sum()
    rms = torch.sqrt(torch.einsum("e,ei->i", w, labels.linear**2))
    diagonal = torch.diagonal(labels.quadratic, dim1=-2, dim2=-1)
    size = torch.sqrt(torch.einsum("e,ei->i", w, diagonal**2))
    least = 0.03 * float(rms.max()) or 1.0  # no coefficient may interfere with the SM
    return torch.clamp(rms, min=least), torch.clamp(size, min=1e-3 * float(size.max()))


def loss(outputs: Tensor, labels: Labels, norms: tuple[Tensor, Tensor]) -> Tensor:
    """Return the loss of each member and event, (M, B), for outputs (M, B, R n)."""
    n = labels.linear.shape[-1]
    first = (head.linear(outputs, n) - labels.linear) / norms[0]
    scale = torch.sqrt(norms[1])
    second = (head.quadratic(outputs, n) - labels.quadratic) / (scale[:, None] * scale[None, :])
    return first.square().mean(dim=-1) + second.square().mean(dim=(-1, -2))
