"""Cross sections of pp -> t tbar by Gauss-Legendre quadrature in mass, rapidity and production angle.

The mass integral is split at bin edges and mapped with m = lo + (hi - lo) t^2, so that the square-root
threshold becomes smooth; the angle is integrated in atanh(beta cos theta), which flattens the t-channel
peaks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from . import ttbar_rates as tr
from .collision import Selection
from .ttbar_couplings import MT
from .vh_cross_section import mass_nodes

Real = NDArray[np.float64]

THRESHOLD = 2.0 * MT


def cos_limit(m: Real, pt_min: float) -> Real:
    """Largest |cos theta| with a transverse momentum above `pt_min` (GeV); zero below the threshold."""
    k = 0.5 * m * tr.velocity(m)
    ratio = np.divide(pt_min, k, out=np.ones_like(k), where=k > pt_min)
    return np.sqrt((1.0 - ratio) * (1.0 + ratio))


def threshold_mass(pt_min: float) -> float:
    """Smallest mass of t tbar (GeV) with a transverse momentum of the top above `pt_min` (GeV)."""
    return float(2.0 * np.hypot(MT, pt_min))


def mass_limits(selection: Selection, mass_range: tuple[float, float]) -> tuple[float, float]:
    """Range of the t tbar mass in GeV that a selection leaves; raises InputError when it leaves none.

    mass_range: in GeV, in place of that of the selection.
    """
    low = max(float(mass_range[0]), threshold_mass(selection.pt_min))
    high = min(float(mass_range[1]), float(selection.energy))
    if not low < high:
        raise InputError(
            f"no phase space: pT > {selection.pt_min} GeV and the mass range {mass_range} GeV leave "
            f"{low:.6g} < m < {high:.6g} GeV at {selection.energy} GeV; the threshold is {THRESHOLD:.1f} GeV"
        )
    return low, high


def check_edges(mass_edges: ArrayLike) -> Real:
    """Bin edges in GeV as an increasing array (B + 1,); the last may be infinite."""
    edges = np.asarray(mass_edges, dtype=float)
    if edges.ndim != 1 or edges.size < 2 or np.any(np.isnan(edges)) or np.any(np.diff(edges) <= 0):
        raise InputError(f"mass_edges must be two or more increasing masses in GeV, got {mass_edges!r}")
    if edges[1] <= THRESHOLD:
        raise InputError(f"the first bin of mass_edges ends below the threshold {THRESHOLD:.1f} GeV")
    return edges


def angle_nodes(m: Real, pt_min: float, order: int) -> tuple[Real, Real]:
    """Nodes and weights (M, order) of the integral over cos theta at each mass."""
    z, w = np.polynomial.legendre.leggauss(order)
    beta, limit = tr.velocity(m), cos_limit(m, pt_min)
    half = np.arctanh(beta * limit)[:, None]
    cos = np.tanh(half * z) / beta[:, None]
    return cos, w * half * (1.0 - (beta[:, None] * cos) ** 2) / beta[:, None]


def integrate(selection: Selection, mass_edges: ArrayLike, order: int) -> Real:
    """Packed coefficients (B, P) in pb of the bins in the mass of t tbar.

    mass_edges: (B + 1,) in GeV, in place of the mass range of the selection.
    """
    edges = check_edges(mass_edges)
    low, high = mass_limits(selection, (float(edges[0]), float(edges[-1])))
    breaks = sorted({low, high, *(float(m) for m in edges if low < m < high)})
    m, w_m = mass_nodes(breaks, order)
    z, w_y = np.polynomial.legendre.leggauss(2 * order)
    y_max = np.log(selection.energy / m)
    y = y_max[:, None] * z
    density, scale = selection.density, selection.scale
    flux = tr.luminosities(
        np.repeat(m, z.size), y.ravel(), energy=selection.energy, density=density, scale=scale
    ).reshape(7, m.size, z.size)
    flux = (flux @ w_y) * y_max * w_m
    cos, w_c = angle_nodes(m, selection.pt_min, order)
    each = np.repeat(m, order)
    gluons, quarks = tr.products(each, cos.ravel(), tr.scale_squared(each, scale), density)
    gluons = (gluons.reshape(-1, m.size, order) * w_c).sum(axis=2)
    quarks = (quarks.reshape(2, -1, m.size, order) * w_c).sum(axis=3)
    cells = tr.weighted_products(gluons, quarks, flux)
    which = np.searchsorted(edges, m, side="right") - 1
    bins = np.stack([cells[:, which == b].sum(axis=1) for b in range(edges.size - 1)])
    return np.asarray(bins @ tr.table(selection.operators))
