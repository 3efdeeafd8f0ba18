"""Coefficients, constants and conventions of pp -> t tbar in the dimension-six SMEFT.

The names and normalisations are those of SMEFTatNLO (arXiv:2008.11743) and of the LHC Top Working Group
(arXiv:1802.07237), with q the first two generations of left-handed doublets, u = (u, c)_R, d = (d, s, b)_R
and Q, t of the third generation:

- ctG + i ctGI multiplies g_s (Qbar sigma^{mu nu} T^A t) phi~ G^A_{mu nu} + hermitian conjugate. The operator
  carries an explicit g_s, so that every dipole amplitude has as many powers of g_s as the SM one and its
  ratio to the SM does not depend on alpha_s. The Warsaw coefficient is C_uG(33) = g_s (ctG + i ctGI), up to
  the sign of the covariant derivative: here D_mu = d_mu - i g_s T^A G^A_mu, for which a positive ctG
  increases the rate.
- cQq81, cQu8, cQd8, ctq8, ctu8, ctd8 multiply (Xbar gamma_mu T^A X)(ybar gamma^mu T^A y), X = Q or t and
  y = q, u or d; cQq11, cQu1, cQd1, ctq1, ctu1, ctd1 the same without T^A. They carry no g_s: their ratio to
  the SM goes like 1/alpha_s.

Singlets have another colour structure than gluon exchange: they do not interfere with the SM at this order.
"""

from __future__ import annotations

from typing import NamedTuple

from .vh_couplings import V

MT = 172.5
"""Top mass, GeV."""
OPERATORS = (
    "ctG", "ctGI", "cQq81", "cQu8", "cQd8", "ctq8", "ctu8", "ctd8",
    "cQq11", "cQu1", "cQd1", "ctq1", "ctu1", "ctd1",
)  # fmt: skip
"""All fourteen coefficients, c/Lambda^2 in TeV^-2."""
DEFAULT = OPERATORS
INPUTS = {"scheme": "{mt, v, alpha_s}", "mt": MT, "v": V}
CONVENTIONS = {
    "operator_basis": "SMEFTatNLO: U(2)_q x U(2)_u x U(3)_d, operators of LHC Top Working Group",
    "Lambda": "1 TeV",
    "normalisation": "the chromomagnetic operator carries an explicit g_s; four-quark operators do not",
    "shifts": "one operator insertion per amplitude: every amplitude is linear in c, the rate is its square",
    "covariant_derivative": "D_mu = d_mu - i g_s T^A G^A_mu (its sign is that of ctG)",
}


class Channel(NamedTuple):
    """Quarks of one type and chirality, with the four-quark coefficients of left- and right-handed tops."""

    luminosity: int  # row of the quark luminosities: 0 up type, 1 down type, 2 bottom
    chirality: int  # of the quark: 0 left, 1 right
    octet: tuple[str, str] | None  # with t_L and with t_R
    singlet: tuple[str, str] | None


CHANNELS = (
    Channel(0, 0, ("cQq81", "ctq8"), ("cQq11", "ctq1")),
    Channel(0, 1, ("cQu8", "ctu8"), ("cQu1", "ctu1")),
    Channel(1, 0, ("cQq81", "ctq8"), ("cQq11", "ctq1")),
    Channel(1, 1, ("cQd8", "ctd8"), ("cQd1", "ctd1")),
    Channel(2, 0, None, None),  # b_L belongs to Q: its operators hold four heavy quarks
    Channel(2, 1, ("cQd8", "ctd8"), ("cQd1", "ctd1")),
)
