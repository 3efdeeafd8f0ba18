"""Amplitudes of g g -> t tbar and q qbar -> t tbar from explicit Dirac spinors, vectorised over events.

Chiral basis, gamma^mu = ((0, sigma^mu), (sigma_bar^mu, 0)), metric (+, -, -, -), D_mu = d_mu - i g_s T^A
G^A_mu. An incoming gluon of momentum k and polarisation eps couples to the top with

    V(k, eps) = eps_slash + v/sqrt2 [k_slash, eps_slash] (c + i cI gamma5),      times i g_s T^A,

c + i cI = (ctG + i ctGI)/Lambda^2, and two gluons with -v/sqrt2 [eps1_slash, eps2_slash] (c + i cI gamma5),
times i g_s^2 [T^A, T^B], which gauge invariance requires. With S(p) = (p_slash + m)/(p^2 - m^2) and the
current J of the three-gluon vertex the colour-ordered amplitudes are, up to one common phase,

    A_12 = ubar [ V(1) S(p_t - k1) V(2) + V(k1 + k2, J)/s - contact ] v,     A_21 = (1 <-> 2),

each expanded to first order in c and cI. The colour sum of |T^A T^B A_12 + T^B T^A A_21|^2 is
16/3 (|A_12|^2 + |A_21|^2) - 4/3 Re A_12 A_21^*.

Arrays: momenta and polarisations (N, 4) in GeV as (E, px, py, pz); amplitudes end with (N, 2, 2), the last
two axes being the spins of t and tbar. g_s is left out everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .vh_couplings import V

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
_SIGMA = np.concatenate([np.eye(2, dtype=complex)[None], _PAULI])  # sigma^mu
_METRIC = np.array([1.0, -1.0, -1.0, -1.0])
GAMMA: Complex = np.zeros((4, 4, 4), dtype=complex)
GAMMA[:, :2, 2:] = _SIGMA
GAMMA[:, 2:, :2] = _SIGMA * _METRIC[:, None, None]
_LOWER = (GAMMA * _METRIC[:, None, None]).reshape(4, 16)
GAMMA5 = np.diag([-1.0, -1.0, 1.0, 1.0])
LEFT, RIGHT = 0.5 * (np.eye(4) - GAMMA5), 0.5 * (np.eye(4) + GAMMA5)
_DIPOLE = V / np.sqrt(2.0)


def dot(a: Real | Complex, b: Real | Complex) -> Real | Complex:
    """Minkowski products (N,) without complex conjugation."""
    return np.asarray((a * b) @ _METRIC)


def slash(p: Real | Complex) -> Complex:
    """p_mu gamma^mu, (N, 4, 4), of vectors (N, 4)."""
    return np.asarray((p @ _LOWER).reshape(*p.shape[:-1], 4, 4))


def _roots(p: Real, mass: float) -> tuple[Complex, Complex]:
    """Square roots of p.sigma and p.sigma_bar, (N, 2, 2) each."""
    vector = np.tensordot(p[:, 1:], _PAULI, axes=(1, 0))
    scalar = (p[:, 0] + mass)[:, None, None] * _SIGMA[0]
    norm = np.sqrt(2.0 * (p[:, 0] + mass))[:, None, None]
    return np.asarray((scalar - vector) / norm), np.asarray((scalar + vector) / norm)


def u_bar(p: Real, mass: float) -> Complex:
    """Spinors ubar of an outgoing fermion, (N, 2 spins, 4); the sum over spins of u ubar is p_slash + m."""
    low, high = _roots(p, mass)
    return np.concatenate([high, low], axis=2)  # gamma^0 exchanges the halves; the roots are hermitian


def v_spinor(p: Real, mass: float) -> Complex:
    """Spinors v of an outgoing antifermion, (N, 4, 2 spins); the sum over spins of v vbar is p_slash - m."""
    low, high = _roots(p, mass)
    return np.concatenate([low, -high], axis=1)


def _vertex(k: Real, polarisation: Real | Complex) -> tuple[Complex, Complex]:
    """The parts of V that multiply 1 and c, (N, 4, 4) each; that of cI is the second times i gamma5."""
    plain, momentum = slash(polarisation), slash(k)
    product = momentum @ plain
    swapped = 2.0 * dot(k, polarisation)[:, None, None] * np.eye(4) - product  # eps_slash k_slash
    return plain, _DIPOLE * (product - swapped)


def gluons(
    k1: Real, k2: Real, top: Real, antitop: Real, e1: Real | Complex, e2: Real | Complex, mass: float
) -> Complex:
    """Colour-ordered g g -> t tbar amplitudes (3, 2, N, 2, 2).

    First axis: what multiplies 1, ctG and ctGI, in GeV^-2; second: the orderings A_12 and A_21.
    """
    ubar, v = u_bar(top, mass), v_spinor(antitop, mass)
    v5 = 1j * (GAMMA5 @ v)
    vertices = (_vertex(k1, e1), _vertex(k2, e2))
    total, s = k1 + k2, dot(k1 + k2, k1 + k2)[:, None, None]
    current = (
        dot(e1, e2)[:, None] * (k1 - k2) + 2.0 * dot(k2, e1)[:, None] * e2 - 2.0 * dot(k1, e2)[:, None] * e1
    )
    plain, dipole = _vertex(total, current)
    a, b = vertices[0][0], vertices[1][0]
    contact = _DIPOLE * (a @ b - b @ a)
    out = np.empty((3, 2, *ubar.shape[:1], 2, 2), dtype=complex)
    shared = [ubar @ (plain / s) @ v, ubar @ (dipole / s - contact)]
    for order, sign in ((0, 1.0), (1, -1.0)):
        (first, first_d), (second, second_d) = vertices[order], vertices[1 - order]
        q = top - (k1, k2)[order]
        propagator = (slash(q) + mass * np.eye(4)) / (dot(q, q) - mass**2)[:, None, None]
        left, right = ubar @ first @ propagator, propagator @ second
        head, tail = (
            left @ second_d,
            ubar @ first_d,
        )  # V5 = dipole i gamma5, and gamma5 commutes with [k, eps]
        out[0, order] = left @ (second @ v) + sign * shared[0]
        middle = head + sign * shared[1]
        out[1, order] = middle @ v + tail @ (right @ v)
        out[2, order] = middle @ v5 + (tail @ (1j * GAMMA5)) @ (right @ v)
    return out


def quarks(quark: Real, antiquark: Real, top: Real, antitop: Real, mass: float, chirality: int) -> Complex:
    """Amplitudes of q qbar -> t tbar for one `chirality` (0 left, 1 right) of the quark, (4, N, 2, 2).

    In order: J_mu ubar gamma^mu P_L v, the same with P_R, and the dipole with 1 and with i gamma5, where
    J = vbar gamma u. The SM is g_s^2/s times the sum of the first two, the dipole g_s^2/s times the others.
    """
    u = np.swapaxes(u_bar(quark, 0.0).conj(), 1, 2)[:, [2, 3, 0, 1]]  # u = gamma^0 ubar^dagger
    vbar = np.swapaxes(v_spinor(antiquark, 0.0).conj(), 1, 2)[:, :, [2, 3, 0, 1]]
    projected = (LEFT, RIGHT)[chirality] @ u
    bilinear = np.stack([vbar @ gamma @ projected for gamma in GAMMA], axis=1)  # (N, 4, 2, 2)
    current = _single(bilinear)
    ubar, v = u_bar(top, mass), v_spinor(antitop, mass)
    plain, dipole = _vertex(quark + antiquark, current)
    left, middle = ubar @ plain, ubar @ dipole
    return np.stack([left @ (LEFT @ v), left @ (RIGHT @ v), middle @ v, 1j * (middle @ (GAMMA5 @ v))])


def _single(bilinear: Complex) -> Complex:
    """The one independent current (N, 4) in the outer product (N, 4, 2, 2) of rank-one spin spaces."""
    size = np.sum(np.abs(bilinear) ** 2, axis=1)
    row, column = np.unravel_index(np.argmax(size.reshape(-1, 4), axis=1), (2, 2))
    chosen = bilinear[np.arange(len(bilinear)), :, row, column]
    scale = np.sqrt(size.sum(axis=(1, 2)) / size[np.arange(len(bilinear)), row, column])
    return np.asarray(chosen * scale[:, None])
