"""Parton densities that need no licence: the Les Houches 2001 benchmark set at leading order.

The evolution (module `mellin`) is tabulated once per process on a grid in (x, Q2) and interpolated with cubic
Lagrange polynomials. Anything with an `xf` method of the same shape can take its place, see `Density`. A set
may also have a method `alpha_s(q2)`, the strong coupling that it was made with; see `strong_coupling` for the
others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import mellin

Real = NDArray[np.float64]

FLAVOURS = (-5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5)
"""Flavour (PDG number) along the last axis of `Density.xf`; quark q sits at index 5 + q."""


@runtime_checkable
class Density(Protocol):
    """What the processes ask of a set of parton densities."""

    @property
    def name(self) -> str:
        """Name for the metadata of generated samples."""

    def xf(self, x: ArrayLike, q2: ArrayLike) -> Real:
        """x f(x, Q2), shape (..., 11) in the order of FLAVOURS; `x` in (0, 1) and `q2` in GeV^2 broadcast."""


def one_loop(q2: ArrayLike, *, alpha_s: float, reference_q2: float, flavours: int = 5) -> Real:
    """One-loop strong coupling at `q2` (GeV^2) that is `alpha_s` at `reference_q2` (GeV^2)."""
    slope = alpha_s * mellin.beta0(flavours) / (4.0 * np.pi)
    return np.asarray(alpha_s / (1.0 + slope * np.log(np.asarray(q2, dtype=float) / reference_q2)))


ALPHA_S_MZ, MZ2 = 0.118, 91.1876**2
"""The strong coupling at the Z mass for sets that bring none, and the squared Z mass in GeV^2."""


def strong_coupling(density: Density, q2: ArrayLike) -> Real:
    """alpha_s at `q2` (GeV^2) that goes with a set of densities, of the shape of `q2`.

    That of the set where it has a method `alpha_s`, and otherwise one-loop running from alpha_s(mZ) = 0.118.
    """
    own: Callable[[ArrayLike], Real] | None = getattr(density, "alpha_s", None)
    return one_loop(q2, alpha_s=ALPHA_S_MZ, reference_q2=MZ2) if own is None else np.asarray(own(q2))


class LesHouches:
    """The Les Houches 2001 toy input (hep-ph/0204316), evolved at leading order with a variable flavour
    number.

    Below Q2 = 2 GeV^2 and above 1e10 GeV^2 the densities are frozen, as they are below x = 1e-7.
    The interpolation adds less than 1e-5 relative error for x < 0.8.
    """

    name = "Les Houches 2001 LO VFNS (hep-ph/0204316)"

    def alpha_s(self, q2: ArrayLike) -> Real:
        """Strong coupling of the benchmark at `q2` (GeV^2): one loop, 0.35 at 2 GeV^2."""
        values = np.asarray(q2, dtype=float)
        bottom = mellin.alpha_s(mellin.Q2_BOTTOM)
        above = one_loop(values, alpha_s=bottom, reference_q2=mellin.Q2_BOTTOM)
        below = one_loop(values, alpha_s=bottom, reference_q2=mellin.Q2_BOTTOM, flavours=4)
        return np.asarray(np.where(values > mellin.Q2_BOTTOM, above, below))

    def xf(self, x: ArrayLike, q2: ArrayLike) -> Real:
        """x f(x, Q2); see `Density.xf`."""
        xs, scales = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(q2, dtype=float))
        flat_x, flat_q2 = xs.ravel(), scales.ravel()
        low, high = _sections()
        above = flat_q2 >= mellin.Q2_BOTTOM
        if above.all():
            values = _lookup(high, flat_x, flat_q2)
        else:
            values = np.where(above[:, None], _lookup(high, flat_x, flat_q2), _lookup(low, flat_x, flat_q2))
        uv, dv, ubar, dbar, strange, charm, bottom, gluon = np.maximum(values, 0.0).T
        up, down = uv + ubar, dv + dbar
        result = np.stack(
            [bottom, charm, strange, ubar, dbar, gluon, down, up, strange, charm, bottom], axis=-1
        )
        return np.asarray(result.reshape(*xs.shape, len(FLAVOURS)))


class _Section(NamedTuple):
    """Densities divided by (1-x)^3 on a uniform grid in (u, t), without a flavour threshold inside."""

    values: Real  # (U, T, 8)
    u0: float
    du: float
    t0: float
    dt: float
    q2_range: tuple[float, float]


_X_RANGE = (1e-7, 0.99)
_LOG_LAMBDA2 = float(np.log(0.02))


def _u(x: Real) -> Real:
    """Grid coordinate: logarithmic at small x, linear at large x."""
    return np.asarray(5.0 * (1.0 - x) - np.log(x))


def _t(q2: Real) -> Real:
    """Grid coordinate ln ln(Q2/Lambda^2), in which the evolution is nearly linear."""
    return np.asarray(np.log(np.log(q2) - _LOG_LAMBDA2))


def _invert_u(u: Real) -> Real:
    """x(u) by Newton iteration in ln x."""
    log_x = -u
    for _ in range(60):
        x = np.exp(log_x)
        log_x = log_x + (5.0 * (1.0 - x) - log_x - u) / (1.0 + 5.0 * x)
    return np.exp(log_x)


@cache
def _sections() -> tuple[_Section, _Section]:
    """The tables below and above the bottom threshold, built on first use (about 0.3 s)."""
    below = _build(mellin.Q2_START, mellin.Q2_BOTTOM * (1.0 - 1e-12), 12)
    return below, _build(mellin.Q2_BOTTOM * (1.0 + 1e-12), 1e10, 40)


def _build(q2_low: float, q2_high: float, scales: int, points: int = 480) -> _Section:
    u = np.linspace(float(_u(np.asarray(_X_RANGE[1]))), float(_u(np.asarray(_X_RANGE[0]))), points)
    t = np.linspace(float(_t(np.asarray(q2_low))), float(_t(np.asarray(q2_high))), scales)
    x = _invert_u(u)
    values = mellin.table(x, np.exp(np.exp(t) + _LOG_LAMBDA2)) / ((1.0 - x) ** 3)[:, None, None]
    return _Section(
        values, float(u[0]), float(u[1] - u[0]), float(t[0]), float(t[1] - t[0]), (q2_low, q2_high)
    )


def _stencil(position: Real, size: int) -> tuple[NDArray[np.intp], list[Real]]:
    """First index and the four cubic Lagrange weights on a uniform grid of `size` points."""
    first = np.clip(np.floor(position).astype(np.intp) - 1, 0, size - 4)
    d = position - first
    a, b, c = d - 1.0, d - 2.0, d - 3.0
    return first, [-a * b * c / 6.0, d * b * c / 2.0, -d * a * c / 2.0, d * a * b / 6.0]


def _lookup(section: _Section, x: Real, q2: Real) -> Real:
    """Densities (N, 8) of `mellin.SPECIES` at `x` and `q2`, both of shape (N,)."""
    clipped = np.clip(x, _X_RANGE[0], 1.0)
    size_u, size_t, species = section.values.shape
    i, wu = _stencil((_u(clipped) - section.u0) / section.du, size_u)
    j, wt = _stencil((_t(np.clip(q2, *section.q2_range)) - section.t0) / section.dt, size_t)
    table = section.values.reshape(size_u * size_t, species)
    start = i * size_t + j
    result = np.zeros((x.size, species))
    for a in range(4):
        for b in range(4):
            result += (wu[a] * wt[b])[:, None] * table[start + (a * size_t + b)]
    return np.asarray(result * ((1.0 - clipped) ** 3)[:, None])
