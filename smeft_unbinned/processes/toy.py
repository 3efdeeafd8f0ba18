"""The one-dimensional toy of arXiv:2410.07315, with an optional detector: everything in closed form.

With the normal density N(x; mean, standard deviation), the rate in pb per unit of x is

    d sigma/dx = N(x; 0, 1.22) + theta^2 N(x; alpha, 0.71),      sigma(theta) = 1 + theta^2,

so that p(x|theta) = d sigma/dx / sigma is the density of that paper. A detector that adds Gaussian noise of
standard deviation `smearing` keeps this form with wider normals. Its events then carry two different ratios:
the truth label R(z|theta) of the point z before the noise, as simulations have it, and the ratio of what is
observed, r(x|theta) = E[R(z|theta)|x], which is what a network learns from these labels. `ratio` gives the
latter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..events import Events
from ..polynomial import Polynomial
from .collision import check_operators
from .sample import check_count

Real = NDArray[np.float64]

OPERATORS = ("theta",)
DEFAULT = OPERATORS
SM_WIDTH, EFT_WIDTH = 1.22, 0.71
"""Standard deviations of the two parts, close to the roots of 3/2 and 1/2."""
ALPHA = 1.0
"""Mean of the part that grows with theta^2, unless another is asked for."""


def columns() -> tuple[str, ...]:
    """Names of the features: the observed x."""
    return ("x",)


def ratio(x: ArrayLike, *, alpha: float = ALPHA, smearing: float = 0.0) -> Polynomial:
    """Exact ratio r(x|theta) of the rate to that at theta = 0 at observed points `x` (N,), batch (N,).

    smearing: standard deviation of the detector noise. Raises InputError where it is negative or x not
    finite.
    """
    values = np.atleast_1d(np.asarray(x, dtype=float))
    if values.ndim != 1 or not np.all(np.isfinite(values)):
        raise InputError(f"x must be one-dimensional and finite, got shape {values.shape}")
    if not smearing >= 0.0:
        raise InputError(f"smearing must be a standard deviation, zero or above, got {smearing}")
    wide, narrow = np.hypot(SM_WIDTH, smearing), np.hypot(EFT_WIDTH, smearing)
    exponent = 0.5 * (values / wide) ** 2 - 0.5 * ((values - alpha) / narrow) ** 2
    square = wide / narrow * np.exp(exponent)
    return Polynomial(OPERATORS, np.stack([np.ones_like(square), np.zeros_like(square), square], axis=-1))


def truth(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    operators: Iterable[str] = DEFAULT,
    alpha: float = ALPHA,
    smearing: float = 0.0,
) -> Polynomial:
    """`ratio` of the column x of N points, batch (N,). Raises InputError for a missing column or operator."""
    names = _check(operators)
    if "x" not in points:
        raise InputError(f"toy points need the column 'x'; got {', '.join(map(str, points))}")
    return _restrict(ratio(points["x"], alpha=alpha, smearing=smearing), names)


def cross_section(*, operators: Iterable[str] = DEFAULT) -> Polynomial:
    """sigma(theta) = 1 + theta^2 in pb, no batch; it depends neither on alpha nor on the smearing."""
    return _restrict(Polynomial(OPERATORS, np.array([1.0, 0.0, 1.0])), _check(operators))


def generate(
    n: int,
    *,
    seed: int,
    operators: Iterable[str] = DEFAULT,
    alpha: float = ALPHA,
    smearing: float = 0.0,
    progress: bool = False,
) -> Events:
    """Draw n events at theta = 0 with equal weights, each with the truth of its point before the noise.

    smearing: standard deviation of the detector noise in x. progress: ignored, since this takes no time.
    Raises InputError for an n below one, a negative smearing and an unknown operator.
    """
    del progress
    check_count(n)
    names = _check(operators)
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=SM_WIDTH, size=n)
    label = _restrict(ratio(z, alpha=alpha), names)
    observed = z + smearing * rng.normal(size=n)
    sigma = cross_section(operators=names)
    ratio(observed[:1], smearing=smearing)  # raises for a negative smearing
    metadata = _metadata(n, seed, names, alpha, smearing)
    return Events(pd.DataFrame({"x": observed}), label, np.full(n, 1.0 / n), sigma, metadata)


def _metadata(n: int, seed: int, names: tuple[str, ...], alpha: float, smearing: float) -> dict[str, Any]:
    return {
        "process": "toy",
        "description": "one-dimensional toy of arXiv:2410.07315",
        "energy": None,
        "seed": int(seed),
        "operators": list(names),
        "basis": "unknown",
        "input_scheme": {"SM width": SM_WIDTH, "EFT width": EFT_WIDTH, "alpha": float(alpha)},
        "scale": None,
        "smearing": float(smearing),
        "truth": "label of the point before the detector, R(z)" if smearing else "exact ratio r(x)",
        "units": {"weights": "pb", "cross_section": "pb", "coefficients": "1"},
        "weighted": False,
    }


def _check(operators: Iterable[str]) -> tuple[str, ...]:
    return check_operators(operators, OPERATORS, "the toy")


def _restrict(form: Polynomial, names: tuple[str, ...]) -> Polynomial:
    return form.restrict(names).dense()
