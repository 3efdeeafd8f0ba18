"""Kinematic functions of VH production and decay, and their contraction with the couplings.

For quark helicity sigma and lepton helicity tau the amplitude is (angles: theta between quark and V, theta_l
and phi of the charged lepton in the V rest frame, helicity axes)

    A = -sqrt(2 s) sum_lambda d1_{sigma,lambda}(theta) e^{i lambda phi} d1_{lambda,tau}(theta_l) m_lambda,
    m_{+-1} = a + b E sqrt(s) -+ i bt k sqrt(s),      m_0 = a E/m + b sqrt(s) m.

With r = sigma tau, p = (1 + r cos cos_l)/2, q = (cos + r cos_l)/2 and d = -r sin sin_l/2 every product of two
structures is real and depends on (sigma, tau) through r alone. Reversing the beams (cos -> -cos, phi -> phi +
pi) flips r. So two sets of six products describe all helicities and both beam orderings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import vh_couplings as vc

Real = NDArray[np.float64]

PICOBARN = 0.3893793721e9
"""(hbar c)^2 in pb GeV^2."""
_STRUCTURE = (0, 0, 1, 1, 2, 2)
"""Structure (a, b, bt) of each of the coupling KINDS."""
_PRODUCT = {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (2, 2): 5}
"""Row of the product of two structures."""


def momentum(m: Real, mass: float) -> tuple[Real, Real]:
    """Energy and momentum (GeV) of V in the VH frame, for the invariant mass `m` of VH (GeV)."""
    energy = (m**2 + mass**2 - vc.MH**2) / (2.0 * m)
    return energy, np.sqrt(np.maximum(energy**2 - mass**2, 0.0))


def prefactor(m: Real, mass: float) -> Real:
    """k/(16 pi s^(3/2)) 2 s (hbar c)^2: the factor of a |A/sqrt(2 s)|^2 summed over spins, in pb GeV^2.

    The average over initial states (1/12 for quarks, 1/4 for leptons) is not included.
    """
    return np.asarray(PICOBARN * momentum(m, mass)[1] / (8.0 * np.pi * m))


def decay_products(m: Real, cos: Real, cos_l: Real, phi: Real, mass: float, r: int) -> Real:
    """Products aa, ab, a bt, bb, b bt, bt bt for r = sigma tau = +-1, shape (6, N), with the 3/(4 pi) of the
    decay.

    m in GeV; the products carry GeV^0, GeV^2 and GeV^4 for zero, one and two factors of b or bt.
    """
    energy, k = momentum(m, mass)
    p, q = 0.5 * (1.0 + r * cos * cos_l), 0.5 * (cos + r * cos_l)
    d = -0.5 * r * np.sqrt((1.0 - cos**2) * (1.0 - cos_l**2))
    c_phi, s_phi = np.cos(phi), np.sin(phi)
    p2, q2, gamma = p * p, q * q, energy / mass
    tt, dd, td = p2 * c_phi**2 + q2 * s_phi**2, q2 * c_phi**2 + p2 * s_phi**2, p * d * c_phi
    odd_tt, odd_td, d2 = (p2 - q2) * s_phi * c_phi, p * d * s_phi, d * d
    out = np.empty((6, m.size))
    out[0] = tt + gamma * (2.0 * td + gamma * d2)
    out[1] = m * (energy * (tt + d2) + (mass + gamma * energy) * td)
    out[2] = m * k * (odd_tt + gamma * odd_td)
    out[3] = m**2 * (energy**2 * tt + mass * (2.0 * energy * td + mass * d2))
    out[4] = m**2 * k * (energy * odd_tt + mass * odd_td)
    out[5] = (m * k) ** 2 * dd
    return out * (0.75 / np.pi)


def production_products(m: Real, transverse: Real, longitudinal: Real, mass: float) -> Real:
    """The products of `decay_products` integrated over the decay and over cos theta, shape (6, N).

    `transverse` = int (1 + cos^2)/2 and `longitudinal` = int sin^2/2 over the range of cos theta.
    """
    energy, k = momentum(m, mass)
    gamma = energy / mass
    zero = np.zeros_like(m)
    return np.stack(
        [
            transverse + gamma**2 * longitudinal,
            m * energy * (transverse + longitudinal),
            zero,
            m**2 * (energy**2 * transverse + mass**2 * longitudinal),
            zero,
            (m * k) ** 2 * transverse,
        ]
    )


class Contraction(NamedTuple):
    """Constant table that turns products into packed polynomial coefficients."""

    pairs: tuple[tuple[int, int], ...]  # pairs of KINDS that occur
    table: Real  # (channels * pairs, P)


def contraction(couplings: Sequence[Real], operators: Sequence[str]) -> Contraction:
    """Table for channels with `couplings` (6, 17) each and the chosen operators."""
    vectors = np.stack([vc.select(c, operators) for c in couplings])  # (C, 6, n + 1)
    kinds = [k for k in range(len(vc.KINDS)) if np.any(vectors[:, k])]
    pairs = tuple((k, j) for position, k in enumerate(kinds) for j in kinds[position:])
    rows, columns = np.triu_indices(len(operators) + 1)
    table = np.empty((len(vectors), len(pairs), rows.size))
    for index, (k, j) in enumerate(pairs):
        outer = vectors[:, k, :, None] * vectors[:, j, None, :]
        outer = outer if k == j else outer + outer.transpose(0, 2, 1)
        packed = outer[:, rows, columns] + np.where(rows == columns, 0.0, outer[:, columns, rows])
        table[:, index] = packed
    return Contraction(pairs, np.ascontiguousarray(table.reshape(-1, rows.size)))


def contract(tool: Contraction, products: Sequence[Real], m: Real, mass: float) -> Real:
    """Packed coefficients (N, P) from the products (6, N) of every channel, weights included."""
    massive, photon = 1.0 / (m**2 - mass**2), 1.0 / m**2
    one = np.ones_like(m)
    propagators = (massive, one, massive, photon, massive, photon)
    factors = [propagators[k] * propagators[j] for k, j in tool.pairs]
    source = [_PRODUCT[_STRUCTURE[k], _STRUCTURE[j]] for k, j in tool.pairs]
    features = np.empty((m.size, len(products) * len(tool.pairs)))
    for channel, product in enumerate(products):
        for index, (factor, row) in enumerate(zip(factors, source, strict=True)):
            np.multiply(factor, product[row], out=features[:, channel * len(tool.pairs) + index])
    return np.asarray(features @ tool.table)


def channel_products(process: vc.Process, luminosities: Real, plus: Real, minus: Real) -> list[Real]:
    """Products (6, N) of each channel weighted with decay couplings and parton luminosities.

    luminosities: (L, 2, N), second axis the beam ordering (quark from beam 1, quark from beam 2).
    plus, minus: `decay_products` for r = +1 and r = -1.
    """
    result = []
    for channel in process.channels:
        straight, reverse = luminosities[channel.luminosity]
        same = channel.decay[(channel.helicity + 1) // 2]
        other = channel.decay[(1 - channel.helicity) // 2]
        result.append(
            (same * straight + other * reverse) * plus + (other * straight + same * reverse) * minus
        )
    return result
