"""A process: two waves on top of an isotropic one, exactly known in one dimension.

With the Legendre polynomials P_l of x = cos(theta), an SM amplitude of angular momentum 0, and two
coefficients that add those of 1 and 2,

    d sigma/dx = sigma_0/2 (1 + c_p P_1(x) + c_d P_2(x))^2,    sigma = sigma_0 (1 + c_p^2/3 + c_d^2/5),

the latter since the P_l are orthogonal with squares of mean 1/(2l + 1): interference is in the shape alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from smeft_unbinned import Events, Polynomial, SumOfSquares
from smeft_unbinned.processes.collision import check_operators
from smeft_unbinned.processes.sample import check_columns, check_count

NAME = "partial-waves"
OPERATORS = ("c_p", "c_d")
DEFAULT = OPERATORS
SIGMA = 2.0
"""sigma_0 in pb."""


def columns() -> tuple[str, ...]:
    """Names of the features."""
    return ("cos_theta",)


def truth(
    points: pd.DataFrame | Mapping[str, ArrayLike], *, operators: Iterable[str] = DEFAULT
) -> Polynomial:
    """Ratio of the rate to that of the SM at N points with a column cos_theta in [-1, 1], batch (N,).

    Raises InputError for a missing column, values out of range, and an unknown or repeated operator.
    """
    names = check_operators(operators, OPERATORS, NAME)
    (x,) = check_columns(points, {"cos_theta": (-1.0, 1.0)}, NAME)
    amplitude = np.stack([np.ones_like(x), x, (3.0 * x**2 - 1.0) / 2.0], axis=-1)  # (N, 3): 1, P_1, P_2
    return SumOfSquares(OPERATORS, amplitude[:, None, :]).dense().restrict(names).dense()


def cross_section(*, operators: Iterable[str] = DEFAULT) -> Polynomial:
    """sigma in pb, no batch. Raises InputError for an unknown or repeated operator."""
    names = check_operators(operators, OPERATORS, NAME)
    sigma = Polynomial.from_matrix(OPERATORS, SIGMA * np.diag([1.0, 1.0 / 3.0, 1.0 / 5.0]))
    return sigma.restrict(names).dense()


def generate(n: int, *, seed: int, operators: Iterable[str] = DEFAULT, progress: bool = False) -> Events:
    """Draw n events at the SM with equal weights in pb and their truth. progress: ignored.

    Raises InputError for an n below one, and an unknown or repeated operator.
    """
    del progress
    check_count(n)
    names = check_operators(operators, OPERATORS, NAME)
    frame = pd.DataFrame({"cos_theta": np.random.default_rng(seed).uniform(-1.0, 1.0, n)})
    metadata = {
        "process": NAME,
        "energy": None,
        "seed": seed,
        "operators": list(names),
        "basis": "unknown",
        "input_scheme": {"sigma_0": SIGMA},
        "scale": None,
        "units": {"weights": "pb", "cross_section": "pb", "coefficients": "1"},
    }
    weights = np.full(n, SIGMA / n)
    return Events(frame, truth(frame, operators=names), weights, cross_section(operators=names), metadata)
