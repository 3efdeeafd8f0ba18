"""Couplings of f fbar -> V* -> V H in the dimension-six SMEFT, linear in the Wilson coefficients.

Flavour-universal Warsaw basis, input scheme {mW, mZ, GF}, every product of shifts truncated at first order. A
coupling is a vector over (1, c_1 ... c_16), so that an amplitude is a sum of few kinematic functions times
constant vectors:

    M = sum_k K_k(x) C_k . (1, c),     k in KINDS,

    a-propagator and a-contact   multiply the SM-like structure (the propagator pole, and the f fbar V H
    contact term), b-massive, b-photon          multiply the CP-even field-strength structure (V pole, photon
    pole), t-massive, t-photon          multiply its CP-odd partner, with eps_{0123} = +1.

The sign of the covariant derivative drops out here, as long as it is the same for both gauge groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest

Real = NDArray[np.float64]

MW = 80.387
"""W mass, GeV."""
MZ = 91.1876
"""Z mass, GeV."""
MH = 125.0
"""Higgs mass, GeV."""
GF = 1.1663787e-5
"""Fermi constant, GeV^-2."""
V = float((np.sqrt(2.0) * GF) ** -0.5)
"""Higgs expectation value at zero Wilson coefficients, GeV."""
C2 = (MW / MZ) ** 2
S2 = 1.0 - C2
CW, SW = float(np.sqrt(C2)), float(np.sqrt(S2))
GZ = 2.0 * MZ / V
G2 = 2.0 * MW / V
E = G2 * SW
INPUTS = {"scheme": "{mW, mZ, GF}", "mW": MW, "mZ": MZ, "mH": MH, "GF": GF}
CONVENTIONS = {
    "operator_basis": "Warsaw, flavour universal",
    "Lambda": "1 TeV",
    "shifts": "linearised: every amplitude is linear in the coefficients, the rate is its exact square",
    "epsilon": "eps_{0123} = +1",
    "covariant_derivative": "D_mu = d_mu + i g W_mu + i g' B_mu (these rates do not depend on the sign)",
}

OPERATORS = (
    "cHW", "cHB", "cHWB", "cHq1", "cHq3", "cHu", "cHd", "cHbox", "cHD",
    "cHl1", "cHl3", "cHe", "cll1", "cHWtil", "cHBtil", "cHWBtil",
)  # fmt: skip
"""All sixteen coefficients, c/Lambda^2 in TeV^-2."""
DEFAULT = ("cHW", "cHB", "cHWB", "cHq1", "cHq3", "cHu", "cHd", "cHbox", "cHWtil", "cHBtil", "cHWBtil")
"""The coefficients of a sample unless others are asked for."""
KINDS = ("a-propagator", "a-contact", "b-massive", "b-photon", "t-massive", "t-photon")

CKM2 = np.array([[0.97435**2, 0.22500**2, 0.00369**2], [0.22486**2, 0.97349**2, 0.04182**2]])
"""|V_ij|^2 for i = u, c and j = d, s, b (Particle Data Group 2022)."""


class Fermion(NamedTuple):
    """Weak isospin, electric charge and the Warsaw coefficients of delta g = -v^2 sum_i w_i c_i / 2."""

    t3: float
    charge: float
    shift: tuple[tuple[str, float], ...]


FERMIONS = {
    "uL": Fermion(0.5, 2.0 / 3.0, (("cHq1", 1.0), ("cHq3", -1.0))),
    "uR": Fermion(0.0, 2.0 / 3.0, (("cHu", 1.0),)),
    "dL": Fermion(-0.5, -1.0 / 3.0, (("cHq1", 1.0), ("cHq3", 1.0))),
    "dR": Fermion(0.0, -1.0 / 3.0, (("cHd", 1.0),)),
    "eL": Fermion(-0.5, -1.0, (("cHl1", 1.0), ("cHl3", 1.0))),
    "eR": Fermion(0.0, -1.0, (("cHe", 1.0),)),
}


def linear(constant: float, **coefficients: float) -> Real:
    """constant + sum_i x_i v^2 c_i as a vector over (1, c), with c in TeV^-2."""
    result = np.zeros(1 + len(OPERATORS))
    result[0] = constant
    for name, value in coefficients.items():
        result[1 + OPERATORS.index(name)] = value * V**2 * 1e-6
    return result


def times(*factors: Real) -> Real:
    """Product truncated at first order in c."""
    result = factors[0]
    for factor in factors[1:]:
        result = result[0] * factor + factor[0] * result - result[0] * factor[0] * np.eye(len(result))[0]
    return result


_DELTA_GF = linear(0.0, cHl3=2.0, cll1=-1.0)
_SM = linear(1.0)
_VT = V * (_SM + 0.5 * _DELTA_GF)
_INVERSE_VT = (_SM - 0.5 * _DELTA_GF) / V
_GZ = GZ * (_SM - 0.5 * _DELTA_GF - linear(0.0, cHD=0.25))
_G2 = G2 * (_SM - 0.5 * _DELTA_GF)
_SINE2 = linear(S2, cHD=-0.5 * C2, cHWB=-SW * CW)


def lepton_couplings() -> tuple[float, float]:
    """Squared SM couplings of the Z to left- and right-handed charged leptons, normalised to sum to one."""
    left, right = (-0.5 + S2) ** 2, S2**2
    return left / (left + right), right / (left + right)


def neutral(name: str) -> Real:
    """Coupling vectors C (6, 17) of the fermion `name` (a key of FERMIONS) to Z H, in the order of KINDS."""
    fermion = FERMIONS[name]
    shift = linear(0.0, **{operator: -0.5 * weight for operator, weight in fermion.shift})
    coupling = linear(fermion.t3) - fermion.charge * _SINE2 + shift
    sm_coupling = fermion.t3 - fermion.charge * S2
    vertex = times(_INVERSE_VT, linear(1.0, cHbox=1.0, cHD=0.25)) * 2.0 * MZ**2
    per_v2 = 1.0 / V**2  # `linear` multiplies by v^2, which the field-strength terms do not have
    rows = [times(_GZ, coupling, vertex), 2.0 * GZ * shift / V]
    for suffix in ("", "til"):
        w, b, wb = f"cHW{suffix}", f"cHB{suffix}", f"cHWB{suffix}"
        massive = linear(0.0, **{w: C2, b: S2, wb: SW * CW}) * per_v2
        photon = linear(0.0, **{w: 2.0 * SW * CW, b: -2.0 * SW * CW, wb: S2 - C2}) * per_v2
        rows += [4.0 * V * GZ * sm_coupling * massive, 2.0 * V * E * fermion.charge * photon]
    return np.stack(rows)


def charged() -> Real:
    """Coupling vectors C (6, 17) of a left-handed quark pair to W H with unit CKM element."""
    vertex = times(_INVERSE_VT, linear(1.0, cHbox=1.0, cHD=-0.25)) * 2.0 * MW**2
    rows = [
        times(_G2, linear(1.0, cHq3=1.0), vertex) / np.sqrt(2.0),
        linear(0.0, cHq3=2.0) * G2 / np.sqrt(2.0) / V,
    ]
    for name in ("cHW", "cHWtil"):
        rows += [linear(0.0, **{name: 4.0}) * G2 / np.sqrt(2.0) / V, np.zeros(1 + len(OPERATORS))]
    return np.stack(rows)


class Channel(NamedTuple):
    """One incoherent part of a process: an initial state with its helicity, and the decay after it."""

    luminosity: int  # row of the parton luminosities that multiplies it
    helicity: int  # sigma, -1 or +1
    decay: tuple[float, float]  # weights of the charged lepton (l- for Z) with helicity tau = -1 and +1
    couplings: Real  # (6, 17)


class Process(NamedTuple):
    """VH production: the vector boson and its channels."""

    name: str
    mass: float  # of the vector boson, GeV
    channels: tuple[Channel, ...]
    boson: str  # suffix in the feature names


@cache
def process(name: str) -> Process:
    """The process "ZH" or "WH"; raises InputError for another name.

    ZH: luminosities 0 (up type) and 1 (down type). WH: luminosities 0 (W+) and 1 (W-).
    """
    if name == "ZH":
        decay = lepton_couplings()
        channels = tuple(
            Channel(row, sigma, decay, neutral(quark + side))
            for row, quark in enumerate("ud")
            for sigma, side in ((-1, "L"), (1, "R"))
        )
        return Process("ZH", MZ, channels, "z")
    if name == "WH":
        plus, minus = Channel(0, -1, (0.0, 1.0), charged()), Channel(1, -1, (1.0, 0.0), charged())
        return Process("WH", MW, (plus, minus), "w")
    raise InputError(f"unknown process {name!r}; VH has 'ZH' and 'WH'.{nearest(name, ('ZH', 'WH'))}")


def select(couplings: Real, operators: Sequence[str]) -> Real:
    """Columns (..., 1 + n) of coupling vectors (..., 17) for `operators`."""
    return couplings[..., [0, *(1 + OPERATORS.index(name) for name in operators)]]
