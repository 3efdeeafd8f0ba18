"""Sampling of pp -> VH phase space: (charge, m, Y) from a tabulated envelope, the angles uniformly.

The envelope is piecewise constant on a grid: in each cell the largest corner value of the SM rate d sigma/(dm
dY), decay and cos theta integrated. The remaining weight is the angular shape, of order one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import vh_couplings as vc
from . import vh_kernels as kernels
from .collision import Collision, Setup
from .vh_cross_section import angular, cos_limits, mass_limits, threshold_mass
from .vh_luminosity import luminosities

Real = NDArray[np.float64]

_MASS_CELLS, _RAPIDITY_CELLS = 240, 64


class Points(NamedTuple):
    """Phase-space points, each (N,): VH mass (GeV) and rapidity, angles, sign of the W (+1 for ZH)."""

    m: Real
    y: Real
    cos: Real
    cos_l: Real
    phi: Real
    charge: Real


def rates(points: Points, process: vc.Process, collision: Collision) -> Real:
    """Packed (N, P) of d sigma/(dm dY dcos theta dcos theta_l dphi) in pb/GeV; zero outside x < 1."""
    mass, m = process.mass, points.m
    flux = luminosities(m, points.y, process, collision)
    if process.name == "WH":
        flux = flux * np.stack([points.charge > 0, points.charge < 0])[:, None, :]
    plus = kernels.decay_products(m, points.cos, points.cos_l, points.phi, mass, +1)
    minus = kernels.decay_products(m, points.cos, points.cos_l, points.phi, mass, -1)
    products = kernels.channel_products(process, flux * (kernels.prefactor(m, mass) / 12.0), plus, minus)
    tool = kernels.contraction([c.couplings for c in process.channels], collision.operators)
    return kernels.contract(tool, products, m, mass)


class Envelope:
    """Proposal density in (charge, m, Y, cos theta) of a sample; uniform in the decay angles."""

    def __init__(self, process: vc.Process, setup: Setup) -> None:
        self.process, self.setup = process, setup
        low, high = mass_limits(process, setup, setup.pt_min)
        start = float(threshold_mass(setup.pt_min, process.mass))
        # uniform in sqrt(ln(m/start)): fine at the threshold, where the rate rises as a square root
        u = np.linspace(np.sqrt(np.log(low / start)), np.sqrt(np.log(high / start)), _MASS_CELLS + 1)
        self.mass_edges = start * np.exp(u**2)
        self.v_edges = np.linspace(-1.0, 1.0, _RAPIDITY_CELLS + 1)
        m, v = np.meshgrid(self.mass_edges, self.v_edges, indexing="ij")
        values = self._smooth(m.ravel(), v.ravel()).reshape(-1, *m.shape)
        corners = [values[:, i : i + _MASS_CELLS, j : j + _RAPIDITY_CELLS] for i in (0, 1) for j in (0, 1)]
        self.height = np.max(corners, axis=0)  # (charges, mass cells, rapidity cells), in d m d v
        area = np.diff(self.mass_edges)[:, None] * np.diff(self.v_edges)
        cumulative = np.cumsum((self.height * area).ravel())
        self.total = float(cumulative[-1])
        self.cumulative = cumulative / self.total

    def _smooth(self, m: Real, v: Real) -> Real:
        """SM rate per dm dv (Y = v Y_max) times the tail factor, for each charge: (charges, N)."""
        setup, process = self.setup, self.process
        y_max = np.log(setup.energy / m)
        # the outermost points sit at x = 1, where the rate vanishes
        flux = luminosities(m, v * y_max, process, setup).sum(axis=1)
        products = kernels.production_products(
            m, *angular(m, setup.pt_min, np.inf, process.mass), process.mass
        )
        factor = kernels.prefactor(m, process.mass) / 12.0 * y_max * (m / self.mass_edges[0]) ** setup.power
        groups: list[list[vc.Channel]] = [list(process.channels)]
        if process.name == "WH":
            groups = [[channel] for channel in process.channels]
        tool = [kernels.contraction([c.couplings for c in group], ()) for group in groups]
        return np.stack(
            [
                kernels.contract(t, [products * (factor * flux[c.luminosity]) for c in g], m, process.mass)[
                    :, 0
                ]
                for t, g in zip(tool, groups, strict=True)
            ]
        )

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Points, Real]:
        """Draw n points; also returns the reciprocal of their proposal density, (N,)."""
        setup = self.setup
        r = rng.random((6, n))
        cell = np.searchsorted(self.cumulative, r[0], side="right")
        cell = np.minimum(cell, self.cumulative.size - 1)
        charge, i, j = np.unravel_index(cell, self.height.shape)
        m = self.mass_edges[i] + r[1] * np.diff(self.mass_edges)[i]
        y_max = np.log(setup.energy / m)
        v = self.v_edges[j] + r[2] * np.diff(self.v_edges)[j]
        cos_max = cos_limits(m, setup.pt_min, self.process.mass)
        phi = np.pi * (1.0 - 2.0 * r[5])  # in (-pi, pi]
        points = Points(m, v * y_max, cos_max * (2.0 * r[3] - 1.0), 2.0 * r[4] - 1.0, phi, 1.0 - 2.0 * charge)
        inverse = self.total / self.height[charge, i, j] * y_max * (2.0 * cos_max) * 4.0 * np.pi
        return points, inverse

    def weights(self, points: Points, inverse: Real) -> Real:
        """SM weights in pb: the mean over proposals is the cross section."""
        sm = rates(points, self.process, replace(self.setup, operators=()))
        return np.asarray(sm[:, 0] * inverse)
