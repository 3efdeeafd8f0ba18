"""Morphing basis: the network gives the ratios at basis points, and morphing the ratio everywhere.

With basis points u_b and the monomials m(u), r(x|u) = m(u)^T A^-1 (1, rho_1(x), ...), A_ba = m_a(u_b)
(arXiv:1805.00013; arXiv:2410.07315, sec. 4). The rho_b are exponentials of outputs, so the ratio is positive
at the basis points; in between it may not be. The points are chosen for a small expected spread of the
morphing weights over a Gaussian prior of unit width in u (`events.basis.choose_basis`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...events import morphing
from ...events.basis import choose_basis
from ...polynomial import size
from .base import Head, symmetric

LARGEST = 30.0
"""Logarithms of rho are cut here, where float32 still squares without overflow."""


@dataclass(frozen=True)
class Morphing(Head):
    """extra: points beyond the P - 1 that are needed, joined by least squares. seed: of their choice."""

    extra: int = 0
    seed: int = 0

    name = "morphing"

    def __post_init__(self) -> None:
        if self.extra < 0 or self.seed < 0:
            raise InputError(f"extra and seed must not be negative, got {self.extra} and {self.seed}")

    def outputs(self, n: int) -> int:
        return size(n) - 1 + self.extra

    def terms(self, outputs: Tensor, n: int) -> tuple[Tensor, Tensor]:
        change = torch.expm1(outputs.clamp(max=LARGEST))  # rho - 1, so that r = 1 at the SM
        inverse = torch.as_tensor(self.inverse(n), dtype=outputs.dtype)
        coefficients = torch.matmul(change, inverse.to(outputs.device).T)
        return coefficients[..., :n], symmetric(coefficients[..., n:], n)

    def points(self, n: int) -> np.ndarray:
        """Return the basis points in u, the SM left out, (B, n)."""
        return _points(n, self.extra, self.seed)

    def inverse(self, n: int) -> np.ndarray:
        """Return the matrix from rho - 1 to the coefficients beyond the constant, (P - 1, B)."""
        return _inverse(n, self.extra, self.seed)


@lru_cache(maxsize=32)
def _points(n: int, extra: int, seed: int) -> np.ndarray:
    scales = {str(i): 1.0 for i in range(n)}
    number = size(n) + extra if extra else None
    return np.asarray(choose_basis(scales, seed=seed, number=number, bounds=2.0).points[1:])


@lru_cache(maxsize=32)
def _inverse(n: int, extra: int, seed: int) -> np.ndarray:
    return np.asarray(np.linalg.pinv(morphing.monomial_matrix(_points(n, extra, seed))[:, 1:]))
