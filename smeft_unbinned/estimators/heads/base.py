"""Head: how the ratio depends on c, given the outputs of a network.

With the growth g(x) of each coefficient (see `growth`) and u_i = c_i g_i(x), every head describes

    r(x|c) = 1 + l(x) . u + u^T Q(x) u

and differs in how l and Q follow from the network's outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...polynomial import Polynomial, QuadraticForm, pack
from ..data import evaluate_terms


class Head(ABC):
    """One way to write the ratio; subclasses are frozen dataclasses whose fields are their options."""

    name: ClassVar[str]
    linear_only: ClassVar[bool] = False
    """Whether r has no quadratic term."""
    positive: ClassVar[bool] = False
    """Whether r is positive for every c by construction."""
    like: ClassVar[str] = ""
    """Name of another head that is trained alike: losses that take that one take this one too."""

    @abstractmethod
    def outputs(self, n: int) -> int:
        """Return how many outputs the network needs for n coefficients."""

    @abstractmethod
    def terms(self, outputs: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Return l (..., n) and Q (..., n, n) of outputs (..., K)."""

    def ratio(self, outputs: Tensor, u: Tensor) -> Tensor:
        """Return r (M, ..., D) of outputs (M, ..., K) at D points u (..., D, n)."""
        return evaluate_terms(*self.terms(outputs, u.shape[-1]), u, None)

    def ratio_and_slope(self, outputs: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return r (M, ..., D) and its derivative by u, (M, ..., D, n)."""
        linear, quadratic = self.terms(outputs, u.shape[-1])
        product = torch.matmul(u, quadratic)
        r = 1.0 + ((linear[..., None, :] + product) * u).sum(dim=-1)
        return r, linear[..., None, :] + 2.0 * product

    def form(
        self, operators: Sequence[str], outputs: np.ndarray, growth: np.ndarray, calibration: np.ndarray
    ) -> QuadraticForm:
        """Return the ratios, batch (M, N), of outputs (M, N, K), growth (N, n), calibration (M, n+1, n+1)."""
        n = growth.shape[-1]
        linear, quadratic = (t.numpy() for t in self.terms(torch.as_tensor(outputs), n))
        matrix = np.zeros((*outputs.shape[:-1], n + 1, n + 1))
        matrix[..., 0, 0] = 1.0
        matrix[..., 0, 1:] = matrix[..., 1:, 0] = 0.5 * linear * growth
        if self.linear_only:  # a congruence would make it quadratic: only the offset of the linear term
            offset = calibration[:, None, 0, 1:]
            matrix[..., 0, 1:] += offset
            matrix[..., 1:, 0] += offset
            return Polynomial(operators, pack(matrix))
        matrix[..., 1:, 1:] = quadratic * growth[:, :, None] * growth[:, None, :]
        s = calibration[:, None]
        return Polynomial(operators, pack(s.swapaxes(-1, -2) @ matrix @ s))


def symmetric(packed: Tensor, n: int) -> Tensor:
    """Return symmetric matrices (..., n, n) of monomial coefficients (..., n(n+1)/2) of u_i u_j, i <= j."""
    rows, columns = np.triu_indices(n)
    where = np.zeros((n, n), dtype=np.int64)
    where[rows, columns] = where[columns, rows] = np.arange(rows.size)
    half = torch.as_tensor(np.where(rows == columns, 1.0, 0.5), dtype=packed.dtype, device=packed.device)
    index = torch.as_tensor(where.reshape(-1), device=packed.device)
    return (packed * half)[..., index].unflatten(-1, (n, n))
