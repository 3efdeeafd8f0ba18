"""Partonic rates of t tbar as quadratic forms, parton luminosities, and their product.

Amplitudes enter as products of a few basic ones, summed over spins and colours; a constant table turns them
into the packed coefficients of a quadratic form. Top quarks are stable, so that a rate depends on the mass of
t tbar and the production angle only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from . import ttbar_amplitudes as amplitudes
from .densities import Density, strong_coupling
from .ttbar_couplings import CHANNELS, MT, Channel
from .vh_kernels import PICOBARN

Real = NDArray[np.float64]

SCALES = ("m_t", "m_tt", "half_m_tt", "2m_t")
"""Choices of the factorisation and renormalisation scale."""
TEV2 = 1e-6
"""TeV^-2 in GeV^-2."""

_GLUON = 3  # basic amplitudes of g g: SM, ctG, ctGI
_PAIRS = {n: np.triu_indices(n) for n in (2, _GLUON, 5)}
_OCTET, _SINGLET = 5, 2  # of q qbar: SM, ctG, ctGI, t_L, t_R; and t_L, t_R alone
ROWS = len(_PAIRS[_GLUON][0]) + len(CHANNELS) * (len(_PAIRS[_OCTET][0]) + len(_PAIRS[_SINGLET][0]))
"""Number of products of basic amplitudes, over all initial states."""


def scale_squared(m: Real, scale: str | float) -> Real:
    """Squared scale (GeV^2) for masses `m` of t tbar (GeV); `scale`: one of SCALES, or in GeV."""
    if not isinstance(scale, str):
        return np.full_like(m, float(scale) ** 2)
    fixed = {"m_t": MT, "2m_t": 2.0 * MT}
    if scale in fixed:
        return np.full_like(m, fixed[scale] ** 2)
    if scale == "m_tt":
        return np.asarray(m**2)
    if scale == "half_m_tt":
        return np.asarray(0.25 * m**2)
    known = ", ".join(SCALES)
    raise InputError(
        f"unknown scale {scale!r}; use a value in GeV or one of {known}.{nearest(scale, SCALES)}"
    )


def velocity(m: Real) -> Real:
    """Velocity of the top in the t tbar frame, for the mass `m` of t tbar in GeV."""
    return np.asarray(np.sqrt(np.maximum(1.0 - (2.0 * MT / m) ** 2, 0.0)))


def momenta(m: Real, cos: Real) -> tuple[Real, Real, Real, Real]:
    """Momenta (N, 4) of the partons of beam 1 and beam 2, t and tbar in the t tbar frame, at zero azimuth."""
    half, zero = 0.5 * m, np.zeros_like(m)
    k = half * velocity(m)
    x, z = k * np.sqrt((1.0 - cos) * (1.0 + cos)), k * cos
    return (
        np.stack([half, zero, zero, half], axis=1), np.stack([half, zero, zero, -half], axis=1),
        np.stack([half, x, zero, z], axis=1), np.stack([half, -x, zero, -z], axis=1),
    )  # fmt: skip


def luminosities(m: Real, y: Real, *, energy: float, density: Density, scale: str | float) -> Real:
    """d sigma/(dm dY) per partonic cross section, shape (7, N), in GeV^-1; zero where x > 1.

    Gluons; then quark from beam 1 for up type, down type and bottom; then the same with the quark from beam
    2. m, y: (N,) mass in GeV and rapidity of t tbar; energy: hadronic centre-of-mass energy in GeV.
    """
    tau = m / energy
    x1, x2 = tau * np.exp(y), tau * np.exp(-y)
    inside = (x1 < 1.0) & (x2 < 1.0)
    q2 = scale_squared(m, scale)
    f1 = np.moveaxis(density.xf(np.where(inside, x1, 0.5), q2), -1, 0)
    f2 = np.moveaxis(density.xf(np.where(inside, x2, 0.5), q2), -1, 0)
    result = np.zeros((7, m.size))
    result[0] = f1[5] * f2[5]
    for row, flavours in enumerate(((2, 4), (1, 3), (5,))):
        for q in flavours:
            result[1 + row] += f1[5 + q] * f2[5 - q]
            result[4 + row] += f1[5 - q] * f2[5 + q]
    return np.asarray(np.where(inside, result * (2.0 / m), 0.0))


def products(m: Real, cos: Real, q2: Real, density: Density) -> tuple[Real, Real]:
    """Products of basic amplitudes for g g, (6, N), and for q_L qbar and q_R qbar, (2, 18, N).

    Summed over spins and colours, averaged over initial states, in pb: their sums with coefficients are
    d sigma/dcos theta, theta between top and gluon 1 or quark. `q2`: squared scale of alpha_s in GeV^2, (N,).
    """
    coupling = 4.0 * np.pi * strong_coupling(density, q2)  # g_s^2
    phase_space = PICOBARN * velocity(m) / (32.0 * np.pi * m**2)
    first, second, top, antitop = momenta(m, cos)
    gluons = _gluon_products(first, second, top, antitop) * (phase_space * coupling**2 / 256.0)
    rows = []
    for chirality in (0, 1):
        left, right, even, odd = amplitudes.quarks(first, second, top, antitop, MT, chirality)
        exchange = (coupling / m**2)[:, None, None]
        basis = [exchange * (left + right), exchange * TEV2 * even, exchange * TEV2 * odd]
        basis += [TEV2 * left, TEV2 * right]
        octet = [_interference(basis[i], basis[j]) for i, j in zip(*_PAIRS[_OCTET], strict=True)]
        singlet = [_interference(basis[3 + i], basis[3 + j]) for i, j in zip(*_PAIRS[_SINGLET], strict=True)]
        rows.append(np.stack([2.0 * row for row in octet] + [9.0 * row for row in singlet]))
    return gluons, np.stack(rows) * (phase_space / 36.0)


def _interference(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> Real:
    """Re a b^* summed over the spins of the top quarks, (N,)."""
    return np.asarray((a * b.conj()).real.sum(axis=(-2, -1)))


def _gluon_products(k1: Real, k2: Real, top: Real, antitop: Real) -> Real:
    axes = [np.tile(axis, (len(top), 1)) for axis in ([0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0])]
    units = np.array([1.0, TEV2, TEV2])[:, None, None, None, None]
    total = np.zeros((6, len(top)))
    for e1 in axes:
        for e2 in axes:
            a = amplitudes.gluons(k1, k2, top, antitop, e1, e2, MT) * units
            for row, (i, j) in enumerate(zip(*_PAIRS[_GLUON], strict=True)):
                same = _interference(a[i, 0], a[j, 0]) + _interference(a[i, 1], a[j, 1])
                crossed = _interference(a[i, 0], a[j, 1]) + _interference(a[i, 1], a[j, 0])
                total[row] += 16.0 / 3.0 * same - 2.0 / 3.0 * crossed
    return total


def weighted_products(gluons: Real, quarks: Real, flux: Real) -> Real:
    """Products of all initial states times their luminosities, (ROWS, N).

    gluons, quarks: `products`; flux: `luminosities`. At -cos theta, where the quark comes from beam 2, charge
    conjugation and parity give the products of the other chirality of the quark.
    """
    rows = [gluons * flux[0]]
    for channel in CHANNELS:
        straight, reverse = flux[1 + channel.luminosity], flux[4 + channel.luminosity]
        rows.append(quarks[channel.chirality] * straight + quarks[1 - channel.chirality] * reverse)
    return np.concatenate(rows)


@lru_cache(maxsize=64)
def table(operators: tuple[str, ...]) -> Real:
    """Constant matrix (ROWS, P) from products to the packed coefficients over (1, c)."""

    def vectors(names: Sequence[str]) -> Real:
        known = ("", *operators)
        return np.array([[float(name == other) for other in known] for name in names])

    parts = [_packed(vectors(("", "ctG", "ctGI")))]
    for channel in CHANNELS:
        parts.append(_packed(vectors(("", "ctG", "ctGI", *_names(channel, "octet")))))
        parts.append(_packed(vectors(_names(channel, "singlet"))))
    return np.concatenate(parts)


def _names(channel: Channel, colour: str) -> tuple[str, str]:
    names = channel.octet if colour == "octet" else channel.singlet
    return names or ("absent", "absent")


def _packed(vectors: Real) -> Real:
    """Packed (pairs, P) of the products of amplitudes that are `vectors` (n, 1 + N) in (1, c)."""
    i, j = _PAIRS[len(vectors)]
    outer = vectors[i][:, :, None] * vectors[j][:, None, :]
    full = np.where((i == j)[:, None, None], outer, outer + outer.transpose(0, 2, 1))
    rows, columns = np.triu_indices(vectors.shape[1])
    return np.asarray(full[:, rows, columns] + np.where(rows == columns, 0.0, full[:, columns, rows]))


def rates(
    m: Real, y: Real, cos: Real, *, energy: float, operators: tuple[str, ...], density: Density,
    scale: str | float,
) -> Real:  # fmt: skip
    """Packed (N, P) of d sigma/(dm dY dcos theta) in pb/GeV, theta between beam 1 and t; zero where x > 1."""
    q2 = scale_squared(m, scale)
    flux = luminosities(m, y, energy=energy, density=density, scale=scale)
    return np.asarray(weighted_products(*products(m, cos, q2, density), flux).T @ table(operators))


def sm_rate(m: Real, y: Real, cos: Real, *, energy: float, density: Density, scale: str | float) -> Real:
    """The SM part of `rates`, (N,) in pb/GeV, from closed forms (Combridge, Nucl. Phys. B151 (1979) 429)."""
    q2 = scale_squared(m, scale)
    flux = luminosities(m, y, energy=energy, density=density, scale=scale)
    beta, rho = velocity(m), (2.0 * MT / m) ** 2
    t, u = 0.5 * (1.0 - beta * cos), 0.5 * (1.0 + beta * cos)  # (m_t^2 - t)/s and (m_t^2 - u)/s
    shape = t**2 + u**2 + 0.5 * rho
    gluons = (1.0 / (6.0 * t * u) - 0.375) * (shape + 0.5 * rho - 0.25 * rho**2 / (t * u))
    coupling = 4.0 * np.pi * strong_coupling(density, q2)
    total = gluons * flux[0] + 4.0 / 9.0 * shape * flux[1:].sum(axis=0)
    return np.asarray(total * PICOBARN * beta * coupling**2 / (32.0 * np.pi * m**2))
