"""Cross sections of pp -> VH by Gauss-Legendre quadrature, the decay and cos theta integrated in closed form.

The integral over the VH mass is split where a pT edge opens, and each panel is mapped with m = lo + (hi - lo)
t^2 there, so that the square-root thresholds become smooth. The rapidity integral uses the symmetry under
beam exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from . import vh_couplings as vc
from . import vh_kernels as kernels
from .collision import Selection
from .vh_luminosity import luminosities

Real = NDArray[np.float64]


def threshold_mass(pt: ArrayLike, mass: float) -> Real:
    """Smallest VH mass (GeV) at which the boson can have the transverse momentum `pt` (GeV)."""
    p2 = np.asarray(pt, dtype=float) ** 2
    return np.asarray(np.sqrt(mass**2 + p2) + np.sqrt(vc.MH**2 + p2))


def cos_limits(m: Real, pt: float, mass: float) -> Real:
    """Largest |cos theta| with transverse momentum above `pt` (GeV); zero below the threshold."""
    if not pt < np.inf:
        return np.zeros_like(m)
    k = kernels.momentum(m, mass)[1]
    ratio = np.divide(pt, k, out=np.ones_like(k), where=k > pt)
    return np.sqrt((1.0 - ratio) * (1.0 + ratio))


def angular(m: Real, pt_low: float, pt_high: float, mass: float) -> tuple[Real, Real]:
    """int (1 + cos^2)/2 and int sin^2/2 over the range of cos theta with pt_low < pT < pt_high."""
    high, low = cos_limits(m, pt_low, mass), cos_limits(m, pt_high, mass)
    cube = (high**3 - low**3) / 3.0
    return high - low + cube, high - low - cube


def check_edges(pt_edges: ArrayLike) -> Real:
    """Bin edges in GeV as an increasing array (B + 1,); the last may be infinite."""
    edges = np.asarray(pt_edges, dtype=float)
    if (
        edges.ndim != 1
        or edges.size < 2
        or np.any(np.isnan(edges))
        or edges[0] < 0
        or np.any(np.diff(edges) <= 0)
    ):
        raise InputError(
            f"pt_edges must be two or more increasing momenta in GeV, not below zero, got {pt_edges!r}"
        )
    return edges


def mass_nodes(breaks: Sequence[float], order: int) -> tuple[Real, Real]:
    """Nodes and weights over the panels between `breaks`, cut so that their ends are within 40 %."""
    z, w = np.polynomial.legendre.leggauss(order)
    t, w = 0.5 * (1.0 + z), 0.5 * w
    nodes, weights = [], []
    for low, high in pairwise(breaks):
        pieces = int(np.ceil(np.log(high / low) / np.log(1.4)))
        ends = low * (high / low) ** (np.arange(pieces + 1) / pieces)
        for a, b in pairwise(ends):
            nodes.append(a + (b - a) * t**2)
            weights.append(2.0 * (b - a) * t * w)
    return np.concatenate(nodes), np.concatenate(weights)


def integrate(process: vc.Process, selection: Selection, pt_edges: ArrayLike, order: int) -> Real:
    """Packed coefficients (B, P) in pb of the bins in pT, with `order` nodes per mass panel and 2 `order` in
    rapidity.

    pt_edges: (B + 1,) in GeV, in place of the cut of the selection. Neither the branching fraction of V nor
    that of H is included.
    """
    mass, edges = process.mass, check_edges(pt_edges)
    low, high = mass_limits(process, selection, float(edges[0]))
    inner = threshold_mass(edges[np.isfinite(edges)], mass)
    breaks = sorted({low, high, *(float(m) for m in inner if low < m < high)})
    m, w_m = mass_nodes(breaks, order)

    z, w_y = np.polynomial.legendre.leggauss(2 * order)
    y_max = np.log(selection.energy / m)
    y = 0.5 * y_max[:, None] * (1.0 + z)
    flux = luminosities(np.repeat(m, z.size), y.ravel(), process, selection)
    rapidity = (flux.sum(axis=1).reshape(2, m.size, z.size) * w_y).sum(axis=2) * y_max  # both signs of Y

    tool = kernels.contraction([c.couplings for c in process.channels], selection.operators)
    measure = w_m * kernels.prefactor(m, mass) / 12.0
    bins = []
    for pt_low, pt_high in pairwise(edges):
        products = kernels.production_products(m, *angular(m, float(pt_low), float(pt_high), mass), mass)
        weighted = [products * (measure * rapidity[c.luminosity]) for c in process.channels]
        bins.append(kernels.contract(tool, weighted, m, mass).sum(axis=0))
    return np.stack(bins)


def mass_limits(process: vc.Process, selection: Selection, pt_min: float) -> tuple[float, float]:
    """Range of the VH mass in GeV that a selection leaves; raises InputError when it leaves none.

    pt_min: in GeV, in place of the cut of the selection.
    """
    low = max(float(selection.mass_range[0]), float(threshold_mass(pt_min, process.mass)))
    high = min(float(selection.mass_range[1]), float(selection.energy))
    if not low < high:
        raise InputError(
            f"no phase space: pT > {pt_min} GeV and the mass range {selection.mass_range} GeV leave "
            f"{low:.6g} < m < {high:.6g} GeV at {selection.energy} GeV; the {process.name} threshold is "
            f"{process.mass + vc.MH:.2f} GeV"
        )
    return low, high
