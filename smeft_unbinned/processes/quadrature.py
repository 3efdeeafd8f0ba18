"""The integration error of cross sections that are Gauss-Legendre sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..polynomial import Polynomial

ORDER = 20
"""Gauss-Legendre nodes per panel of a cross section unless another number is asked for."""


def integration_error(
    cross_section: Callable[..., Polynomial], order: int, options: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Relative error of cross_section(order=order, **options), per bin: scalar or (B,).

    The largest difference between `order` and 2/3 of it over all coefficients, each relative to the geometric
    mean of its diagonal entries of G; it overestimates the error at `order`.
    """
    fine = np.asarray(cross_section(order=order, **options).matrix())
    coarse = np.asarray(cross_section(order=(2 * order) // 3, **options).matrix())
    diagonal = np.sqrt(np.diagonal(fine, axis1=-2, axis2=-1))
    size = diagonal[..., :, None] * diagonal[..., None, :]
    relative = np.divide(np.abs(fine - coarse), size, out=np.zeros_like(fine), where=size > 0.0)
    return np.asarray(relative.max(axis=(-2, -1)))
