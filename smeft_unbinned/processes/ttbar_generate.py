"""Sampling of pp -> t tbar phase space: (m, Y) from a tabulated envelope, the angle from a mixture.

The envelope is piecewise constant on a grid: in each cell the largest corner value of the SM rate d sigma/(dm
dY), the angle integrated. The cosine is drawn from an equal mixture of a uniform density and the t-channel
shape 1/(1 - beta^2 cos^2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import ttbar_rates as tr
from .collision import Setup
from .ttbar_cross_section import angle_nodes, cos_limit, mass_limits, threshold_mass

Real = NDArray[np.float64]

_MASS_CELLS, _RAPIDITY_CELLS, _ANGLES = 240, 64, 16


class Points(NamedTuple):
    """Phase-space points, each (N,): mass (GeV) and rapidity of t tbar, cosine of the production angle."""

    m: Real
    y: Real
    cos: Real


class Envelope:
    """Proposal density in (m, Y, cos theta) of a sample."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        low, high = mass_limits(setup, setup.mass_range)
        start = threshold_mass(setup.pt_min)
        # uniform in sqrt(ln(m/start)): fine at the threshold, where the rate rises as a square root
        u = np.linspace(np.sqrt(np.log(low / start)), np.sqrt(np.log(high / start)), _MASS_CELLS + 1)
        self.mass_edges = start * np.exp(u**2)
        self.v_edges = np.linspace(-1.0, 1.0, _RAPIDITY_CELLS + 1)
        values = self._smooth()
        corners = [values[i : i + _MASS_CELLS, j : j + _RAPIDITY_CELLS] for i in (0, 1) for j in (0, 1)]
        self.height = np.max(corners, axis=0)  # (mass cells, rapidity cells), in d m d v
        area = np.diff(self.mass_edges)[:, None] * np.diff(self.v_edges)
        cumulative = np.cumsum((self.height * area).ravel())
        self.total = float(cumulative[-1])
        self.cumulative = cumulative / self.total

    def _smooth(self) -> Real:
        """SM rate per dm dv (Y = v Y_max) times the tail factor on the corners of the cells."""
        setup, m = self.setup, self.mass_edges
        cos, weight = angle_nodes(np.maximum(m, m[0] * (1.0 + 1e-9)), setup.pt_min, _ANGLES)
        each = np.repeat(m, _ANGLES)
        gluons, quarks = tr.products(each, cos.ravel(), tr.scale_squared(each, setup.scale), setup.density)
        gluons = (gluons.reshape(-1, m.size, _ANGLES) * weight).sum(axis=2)
        quarks = (quarks.reshape(2, -1, m.size, _ANGLES) * weight).sum(axis=3)
        y_max = np.log(setup.energy / m)
        shape = (m.size, self.v_edges.size)
        # the outermost points sit at x = 1, where the rate vanishes
        flux = tr.luminosities(
            np.repeat(m, shape[1]), np.outer(y_max, self.v_edges).ravel(), energy=setup.energy,
            density=setup.density, scale=setup.scale,
        )  # fmt: skip
        flux = np.moveaxis(flux.reshape(7, *shape), 2, 0)  # (rapidities, 7, masses)
        sm = [(tr.weighted_products(gluons, quarks, part).T @ tr.table(()))[:, 0] for part in flux]
        return np.asarray(np.stack(sm, axis=1) * (y_max * (m / m[0]) ** setup.power)[:, None])

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Points, Real]:
        """Draw n points; also returns the reciprocal of their proposal density, (N,)."""
        setup = self.setup
        r = rng.random((5, n))
        cell = np.searchsorted(self.cumulative, r[0], side="right")
        cell = np.minimum(cell, self.cumulative.size - 1)
        i, j = np.unravel_index(cell, self.height.shape)
        m = self.mass_edges[i] + r[1] * np.diff(self.mass_edges)[i]
        y_max = np.log(setup.energy / m)
        v = self.v_edges[j] + r[2] * np.diff(self.v_edges)[j]
        beta, limit = tr.velocity(m), cos_limit(m, setup.pt_min)
        width = np.arctanh(beta * limit)
        s = 2.0 * r[3] - 1.0
        cos = np.where(r[4] < 0.5, limit * s, np.tanh(width * s) / beta)
        cos = np.clip(cos, -limit, limit)
        proposal = 0.25 / limit + 0.25 * beta / (width * (1.0 - (beta * cos) ** 2))
        return Points(m, v * y_max, cos), self.total / self.height[i, j] * y_max / proposal

    def weights(self, points: Points, inverse: Real) -> Real:
        """SM weights in pb: the mean over proposals is the cross section."""
        setup = self.setup
        sm = tr.sm_rate(*points, energy=setup.energy, density=setup.density, scale=setup.scale)
        return np.asarray(sm * inverse)
