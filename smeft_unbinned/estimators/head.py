"""The sum-of-squares head: r(x|c) = (1 + a_1 . c)^2 + sum_{k>1} (a_k . c)^2.

This is the general sum of squares sum_k (F_k0 + F_k . c)^2 with r(x|0) = 1, rotated so that the constant
sits in the first factor alone: R n outputs describe rank R without redundancy. r is positive for every c,
the linear term is 2 a_1 and the quadratic term sum_k a_k a_k^T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..polynomial import Polynomial, unpack


@dataclass(frozen=True)
class Labels:
    """Scaled truth of N events: linear (N, n), quadratic matrices (N, n, n), both divided by the growth."""

    linear: Tensor
    quadratic: Tensor

    @classmethod
    def scaled(cls, truth: Polynomial, growth: np.ndarray) -> Labels:
        """Divide the truth polynomials, batch (N,) and 1 at the SM, by the growth (N, n)."""
        linear = truth.linear / growth
        quadratic = unpack(truth.coefficients)[:, 1:, 1:] / (growth[:, :, None] * growth[:, None, :])
        return cls(
            torch.as_tensor(linear, dtype=torch.float32), torch.as_tensor(quadratic, dtype=torch.float32)
        )


def linear(outputs: Tensor, n: int) -> Tensor:
    """Return the scaled linear coefficients (..., n) of outputs (..., R n)."""
    return 2.0 * outputs[..., :n]


def quadratic(outputs: Tensor, n: int) -> Tensor:
    """Return the scaled quadratic matrices (..., n, n) of outputs (..., R n)."""
    a = outputs.unflatten(-1, (-1, n))
    return torch.matmul(a.transpose(-1, -2), a)


def factors(outputs: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Return the factors (..., N, R, n + 1) of outputs (..., N, R n) and growth (N, n)."""
    n = growth.shape[-1]
    a = outputs.reshape(*outputs.shape[:-1], -1, n) * growth[:, None, :]
    constant = np.zeros((*a.shape[:-1], 1))
    constant[..., 0, :] = 1.0
    return np.concatenate([constant, a], axis=-1)
