"""Sum of squares: r(x|c) = (1 + a_1 . u)^2 + sum_{k>1} (a_k . u)^2, positive for every c.

This is the general sum of squares sum_k (F_k0 + F_k . c)^2 with r(x|0) = 1, rotated so that the constant
sits in the first factor alone: R n outputs describe rank R without redundancy. The linear term is 2 a_1 and
the quadratic one sum_k a_k a_k^T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...polynomial import SumOfSquares
from .base import Head

MAX_RANK = 8


@dataclass(frozen=True)
class Squares(Head):
    """rank: number of squares R; 0 takes n + 1, which holds any ratio exactly, up to MAX_RANK."""

    rank: int = 0

    name = "squares"
    positive = True

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise InputError(f"rank must be positive, or 0 to choose it, got {self.rank}")

    def outputs(self, n: int) -> int:
        return (self.rank or min(n + 1, MAX_RANK)) * n

    def terms(self, outputs: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a = outputs.unflatten(-1, (-1, n))
        return 2.0 * outputs[..., :n], torch.matmul(a.transpose(-1, -2), a)

    def ratio(self, outputs: Tensor, u: Tensor) -> Tensor:
        return self._amplitudes(outputs, u)[0].square().sum(dim=-1)

    def ratio_and_slope(self, outputs: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        amplitudes, a = self._amplitudes(outputs, u)
        return amplitudes.square().sum(dim=-1), 2.0 * torch.matmul(amplitudes, a)

    def _amplitudes(self, outputs: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        a = outputs.unflatten(-1, (-1, u.shape[-1]))
        product = torch.matmul(u, a.transpose(-1, -2))  # (M, ..., D, R)
        one = torch.zeros(a.shape[-2], dtype=u.dtype, device=u.device)
        one[0] = 1.0
        return product + one, a

    def form(
        self, operators: Sequence[str], outputs: np.ndarray, growth: np.ndarray, calibration: np.ndarray
    ) -> SumOfSquares:
        n = growth.shape[-1]
        a = outputs.reshape(*outputs.shape[:-1], -1, n) * growth[:, None, :]
        constant = np.zeros((*a.shape[:-1], 1))
        constant[..., 0, :] = 1.0
        return SumOfSquares(operators, np.concatenate([constant, a], axis=-1) @ calibration[:, None])
