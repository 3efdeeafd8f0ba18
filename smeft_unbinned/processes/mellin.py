"""Leading-order evolution of parton densities in Mellin space (variable flavour number).

The moments f(N) = int_0^1 dx x^(N-1) f(x) of the Les Houches 2001 input (hep-ph/0204316, Eqs. 30-34) are
evolved with the one-loop splitting functions: at leading order every quark of a stage with nf flavours obeys

    q+qbar - Sigma/nf  and  q-qbar :  non-singlet,      (Sigma, g) : 2x2 matrix,      f(Q2) = (a0/a)^(P/beta0)
    f(Q0^2),

with a = alpha_s/(4 pi) and P normalised as d f/d ln Q2 = a P f. The inverse transform runs along N = c + z
exp(3 i pi/4).
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

Q2_START = 2.0
"""Starting scale and charm threshold, GeV^2."""
Q2_BOTTOM = 4.5**2
"""Bottom threshold, GeV^2."""
ALPHA_S_START = 0.35
"""alpha_s at the starting scale."""
CF, CA, TR = 4.0 / 3.0, 3.0, 0.5
SPECIES = ("uv", "dv", "ubar", "dbar", "s", "c", "b", "g")
"""Independent densities of the set: s = sbar, c = cbar and b = bbar at leading order."""


def beta0(nf: int) -> float:
    """One-loop coefficient of the beta function, da/d ln Q2 = -beta0 a^2."""
    return 11.0 - 2.0 * nf / 3.0


def alpha_s(q2: float) -> float:
    """One-loop strong coupling at `q2` (GeV^2); four flavours below the bottom threshold, five above."""
    bottom = ALPHA_S_START / (1.0 + ALPHA_S_START * beta0(4) / (4.0 * np.pi) * np.log(Q2_BOTTOM / Q2_START))
    start, reference, nf = (ALPHA_S_START, Q2_START, 4) if q2 <= Q2_BOTTOM else (bottom, Q2_BOTTOM, 5)
    return float(start / (1.0 + start * beta0(nf) / (4.0 * np.pi) * np.log(q2 / reference)))


class Moments(NamedTuple):
    """Mellin moments, each of shape (M,): u and d valence, q+qbar of five flavours (5, M) and the gluon."""

    uv: Complex
    dv: Complex
    plus: Complex
    gluon: Complex


def initial_moments(n: Complex) -> Moments:
    """Moments of the Les Houches 2001 input at Q2_START for the points `n`, shape (M,).

    x f = A x^a (1-x)^b has the moments A B(N + a - 1, b + 1); see hep-ph/0204316, Eq. (31).
    """

    def moment(norm: float, a: float, b: int) -> Complex:
        # B(z, b + 1) = b! / (z (z + 1) ... (z + b)) for integer b
        z = n + a - 1.0
        return np.asarray(
            norm * factorial(b) / np.prod([z + i for i in range(b + 1)], axis=0), dtype=np.complex128
        )

    uv, dv = moment(5.1072, 0.8, 3), moment(3.06432, 0.8, 4)
    dbar = moment(0.1939875, -0.1, 6)
    ubar = moment(0.1939875, -0.1, 7)
    strange = 0.2 * (ubar + dbar)
    zero = np.zeros_like(uv)
    plus = np.stack([dv + 2 * dbar, uv + 2 * ubar, 2 * strange, zero, zero])
    return Moments(uv, dv, plus, moment(1.7, -0.1, 5))


def _evolve_stage(start: Moments, n: Complex, log_ratio: float, nf: int) -> Moments:
    """Evolve with nf flavours; `log_ratio` = ln(alpha_s(start)/alpha_s(end))."""
    s1 = digamma(n + 1.0) + np.euler_gamma
    common = n * n + n + 2.0
    qq = CF * (3.0 - 4.0 * s1 + 2.0 / (n * (n + 1.0)))
    qg = 4.0 * TR * nf * common / (n * (n + 1.0) * (n + 2.0))
    gq = 2.0 * CF * common / ((n - 1.0) * n * (n + 1.0))
    gg = 4.0 * CA * (1.0 / (n * (n - 1.0)) + 1.0 / ((n + 1.0) * (n + 2.0)) - s1) + beta0(nf)
    power = log_ratio / beta0(nf)
    non_singlet = np.exp(power * qq)

    sigma = start.plus[:nf].sum(axis=0)
    root = np.sqrt((qq - gg) ** 2 + 4.0 * qg * gq)
    high, low = 0.5 * (qq + gg + root), 0.5 * (qq + gg - root)
    e_high, e_low = np.exp(power * high), np.exp(power * low)
    # exp(P t) = [ (P - low) e^{high t} - (P - high) e^{low t} ] / (high - low)
    slope = (e_high - e_low) / root
    offset = (high * e_low - low * e_high) / root
    sigma_end = offset * sigma + slope * (qq * sigma + qg * start.gluon)
    gluon_end = offset * start.gluon + slope * (gq * sigma + gg * start.gluon)

    plus = np.zeros_like(start.plus)
    plus[:nf] = non_singlet * (start.plus[:nf] - sigma / nf) + sigma_end / nf
    return Moments(non_singlet * start.uv, non_singlet * start.dv, plus, gluon_end)


def evolve(n: Complex, q2: float) -> Moments:
    """Moments at `q2` (GeV^2, not below Q2_START) for the points `n`, shape (M,)."""
    start = initial_moments(n)
    first = min(q2, Q2_BOTTOM)
    moments = _evolve_stage(start, n, float(np.log(ALPHA_S_START / alpha_s(first))), 4)
    if q2 > Q2_BOTTOM:
        moments = _evolve_stage(moments, n, float(np.log(alpha_s(Q2_BOTTOM) / alpha_s(q2))), 5)
    return moments


def species(moments: Moments) -> Complex:
    """Moments in the order of SPECIES, shape (8, M)."""
    down, up, strange, charm, bottom = moments.plus
    return np.stack(
        [
            moments.uv,
            moments.dv,
            0.5 * (up - moments.uv),
            0.5 * (down - moments.dv),
            0.5 * strange,
            0.5 * charm,
            0.5 * bottom,
            moments.gluon,
        ]
    )


def contour(*, abscissa: float = 1.9, nodes: int = 36) -> tuple[Complex, Complex]:
    """Points N and weights w of the inverse f(x) = Im sum_j w_j x^(-N_j) F(N_j), each (7 * nodes,)."""
    z, w = np.polynomial.legendre.leggauss(nodes)
    edges = np.array([0.0, 2.0, 8.0, 24.0, 72.0, 216.0, 700.0, 3000.0])
    half = 0.5 * np.diff(edges)[:, None]
    points = (edges[:-1, None] + half * (1.0 + z)).ravel()
    direction = np.exp(0.75j * np.pi)
    return abscissa + points * direction, (half * w).ravel() * direction / np.pi


def table(x: Real, q2: Real) -> Real:
    """x f(x, Q2) for the SPECIES, shape (len(x), len(q2), 8), by inverse Mellin transform.

    `x` in (0, 1), `q2` in GeV^2 not below Q2_START.
    """
    n, weights = contour()
    moments = np.stack([species(evolve(n, float(value))) for value in q2])  # (Q, 8, M)
    kernel = weights * np.exp((1.0 - n) * np.log(x)[:, None])  # (X, M)
    flat = moments.reshape(-1, n.size).T
    result = kernel.real @ flat.imag + kernel.imag @ flat.real
    return np.asarray(result.reshape(len(x), len(q2), len(SPECIES)))
