"""Coefficients of the bases that fitters and generators use, as combinations of Warsaw coefficients.

The common language is the Warsaw basis (arXiv:1008.4884) with the names of WCxf (arXiv:1712.05298): phiW,
uG_33, phiq1_11, qq1_1331, ... Where an operator with identical currents has entries that are equal by
symmetry, such as ll_1122 and ll_2211, WCxf counts one of them, while the Lagrangians of the other bases sum
over all.

DEFINITIONS holds, for every other basis, each coefficient in terms of Warsaw ones. Its flavour symmetry makes
further Warsaw entries equal to these (`forward`). Sources: arXiv:1802.07237 (definitions of the top-quark
degrees of freedom), arXiv:2008.11743 (SMEFTatNLO), arXiv:2105.00006 (SMEFiT), arXiv:2012.11343 (SMEFTsim).

Signs and factors: the covariant derivative of SMEFTatNLO and SMEFiT is d - i g A, of Warsaw and SMEFTsim d +
i g A, so operators odd in gauge fields change sign. SMEFTatNLO and SMEFiT put the strong coupling into the
operator of ctG, so that uG_33 = -gs ctG; dim6top and SMEFTsim do not.
"""

from __future__ import annotations

import math

import numpy as np

Row = dict[str, float]

ALPHA_S = 0.118
"""Strong coupling at the Z mass, for gs in the definition of ctG."""
M_W, M_Z = 80.387, 91.1876
"""Masses in GeV that define the weak mixing angle in ctZ."""
GS = math.sqrt(4.0 * math.pi * ALPHA_S)
COS = M_W / M_Z
SIN = math.sqrt(1.0 - COS**2)

_GENERATIONS = ((1, "e"), (2, "mu"), (3, "ta"))


def _minus(a: str, b: str) -> Row:
    return {a: 1.0, b: -1.0}


def _lepton_quark() -> dict[str, Row]:
    """Two-quark-two-lepton operators, for each lepton generation i: light quarks, b, top, third doublet."""
    rows: dict[str, Row] = {}
    for i, name in _GENERATIONS:
        p = f"{i}{i}"
        rows |= {f"Ol{i}u": {f"lu_{p}11": 1.0}, f"Ol{i}d": {f"ld_{p}11": 1.0}, f"Ol{i}b": {f"ld_{p}33": 1.0}}
        rows |= {f"O{name}u": {f"eu_{p}11": 1.0}, f"O{name}d": {f"ed_{p}11": 1.0}}
        rows |= {f"O{name}b": {f"ed_{p}33": 1.0}}
        rows |= {f"Otl{i}": {f"lu_{p}33": 1.0}, f"Ot{name}": {f"eu_{p}33": 1.0}}
        rows |= {f"Oq{name}": {f"qe_11{p}": 1.0}, f"OQ{name}": {f"qe_33{p}": 1.0}}
        for doublet, q in (("q", "11"), ("Q", "33")):
            rows[f"O{doublet}l{i}3"] = {f"lq3_{p}{q}": 1.0}
            rows[f"O{doublet}l{i}M"] = _minus(f"lq1_{p}{q}", f"lq3_{p}{q}")
    return rows


def _leptons() -> dict[str, Row]:
    """Four-lepton operators; the factors count entries that are equal by symmetry."""
    rows: dict[str, Row] = {}
    for i in (1, 2, 3):
        for j in (1, 2, 3):
            rows[f"Ole{i}{i}{j}{j}"] = {f"le_{i}{i}{j}{j}": 1.0}
            if i <= j:
                rows[f"Oll{i}{i}{j}{j}"] = {f"ll_{i}{i}{j}{j}": 1.0 if i == j else 0.5}
                rows[f"Oee{i}{i}{j}{j}"] = {f"ee_{i}{i}{j}{j}": 1.0 if i == j else 0.25}
            if i < j:
                rows[f"Oll{i}{j}{j}{i}"] = {f"ll_{i}{j}{j}{i}": 0.5}
    return rows


_CURRENTS: dict[str, Row] = {
    "O3pq": {"phiq3_11": 1.0},
    "OpqMi": _minus("phiq1_11", "phiq3_11"),
    "O3pQ3": {"phiq3_33": 1.0},
    "OpQM": _minus("phiq1_33", "phiq3_33"),
    "Opui": {"phiu_11": 1.0},
    "Opt": {"phiu_33": 1.0},
    "Opdi": {"phid_11": 1.0},
    **{f"Opl{i}": {f"phil1_{i}{i}": 1.0} for i, _ in _GENERATIONS},
    **{f"O3pl{i}": {f"phil3_{i}{i}": 1.0} for i, _ in _GENERATIONS},
    **{f"Op{name}": {f"phie_{i}{i}": 1.0} for i, name in _GENERATIONS},
}
_TOP: dict[str, Row] = {
    "OtG": {"uG_33": -1.0 / GS},
    "OtW": {"uW_33": -1.0},
    "OtZ": {"uB_33": SIN, "uW_33": -COS},
    "Otp": {"uphi_33": 1.0},
    "O81qq": {"qq1_1331": 1.0, "qq3_1331": 3.0},
    "O83qq": _minus("qq1_1331", "qq3_1331"),
    "O11qq": {"qq1_1133": 1.0, "qq1_1331": 1 / 6, "qq3_1331": 1 / 2},
    "O13qq": {"qq3_1133": 1.0, "qq1_1331": 1 / 6, "qq3_1331": -1 / 6},
    "O8ut": {"uu_1331": 2.0},
    "O1ut": {"uu_1133": 1.0, "uu_1331": 1 / 3},
    "OQQ1": {"qq1_3333": 2.0, "qq3_3333": -2 / 3},
    "OQQ8": {"qq3_3333": 8.0},
    "Ott1": {"uu_3333": 1.0},
    **{f"OQt{k}": {f"qu{k}_3333": 1.0} for k in (1, 8)},
    **{f"O{k}qt": {f"qu{k}_1133": 1.0} for k in (1, 8)},
    **{f"O{k}qu": {f"qu{k}_3311": 1.0} for k in (1, 8)},
    **{f"O{k}dt": {f"ud{k}_3311": 1.0} for k in (1, 8)},
    **{f"O{k}qd": {f"qd{k}_3311": 1.0} for k in (1, 8)},
}
_SMEFIT: dict[str, Row] = {
    "OWWW": {"W": -1.0},
    "OpBox": {"phiBox": 1.0},
    "OpD": {"phiD": 1.0},
    "OpWB": {"phiWB": 1.0},
    "OpG": {"phiG": 1.0},
    "OpW": {"phiW": 1.0},
    "OpB": {"phiB": 1.0},
    "Op": {"phi": 1.0},
    "Ocp": {"uphi_22": 1.0},
    "Obp": {"dphi_33": 1.0},
    "Otap": {"ephi_33": 1.0},
    "Omup": {"ephi_22": 1.0},
    "Obb": {"dd_3333": 1.0},
    **_CURRENTS,
    **_TOP,
    **_lepton_quark(),
    **_leptons(),
}
_SHARED = {
    "cpQ3": "O3pQ3", "cpQM": "OpQM", "cpt": "Opt", "ctp": "Otp", "ctW": "OtW", "ctZ": "OtZ",
    "cQq81": "O81qq", "cQq83": "O83qq", "cQq11": "O11qq", "cQq13": "O13qq", "cQQ1": "OQQ1", "cQQ8": "OQQ8",
    "cQt1": "OQt1", "cQt8": "OQt8", "ctt1": "Ott1",
    **{f"cQ{q}{k}": f"O{k}q{q}" for q in "ud" for k in (1, 8)},
    **{f"ct{q}{k}": f"O{k}{q}t" for q in "ud" for k in (1, 8)},
    **{f"ctq{k}": f"O{k}qt" for k in (1, 8)},
    **{f"cQl3{i}": f"OQl{i}3" for i, _ in _GENERATIONS},
    **{f"cQlM{i}": f"OQl{i}M" for i, _ in _GENERATIONS},
    **{f"cQe{i}": f"OQ{name}" for i, name in _GENERATIONS},
    **{f"ctl{i}": f"Otl{i}" for i, _ in _GENERATIONS},
    **{f"cte{i}": f"Ot{name}" for i, name in _GENERATIONS},
}  # fmt: skip
"""Names that dim6top and SMEFTatNLO share, and SMEFiT's for the same operators."""
_NLO = {
    "cpG": "OpG", "cpW": "OpW", "cpBB": "OpB", "cpWB": "OpWB", "cpDC": "OpD", "cWWW": "OWWW", "cp": "Op",
    "cpq3i": "O3pq", "cpqMi": "OpqMi", "cpu": "Opui", "cpd": "Opdi", "ctG": "OtG", "cpe": "Ope",
    "cpmu": "Opmu", "cpta": "Opta",
    **{f"{c}pl{i}": f"O{c[1:]}pl{i}" for i, _ in _GENERATIONS for c in ("c", "c3")},
}  # fmt: skip
_BOSONIC = {
    "cG": "G", "cW": "W", "cH": "phi", "cHbox": "phiBox", "cHD": "phiD", "cHG": "phiG", "cHW": "phiW",
    "cHB": "phiB", "cHWB": "phiWB", "cGtil": "Gtilde", "cWtil": "Wtilde", "cHGtil": "phiGtilde",
    "cHWtil": "phiWtilde", "cHBtil": "phiBtilde", "cHWBtil": "phiWtildeB",
}  # fmt: skip
_LEPTONIC = {"cHl1": "phil1_11", "cHl3": "phil3_11", "cHe": "phie_11"}


def _named(names: dict[str, str]) -> dict[str, Row]:
    return {name: {entry: 1.0} for name, entry in names.items()}


DEFINITIONS: dict[str, dict[str, Row]] = {
    "smefit": _SMEFIT,
    "smeftatnlo": {
        **{name: _SMEFIT[other] for name, other in {**_SHARED, **_NLO}.items()},
        "cdp": {"phiBox": -1.0},  # its operator is d(phi^2) d(phi^2) = -phi^2 Box phi^2
    },
    "dim6top": {
        **{name: _SMEFIT[other] for name, other in _SHARED.items()},
        "ctG": {"uG_33": -1.0},
        **{f"cQb{k}": {f"qd{k}_3333": 1.0} for k in (1, 8)},
        **{f"ctb{k}": {f"ud{k}_3333": 1.0} for k in (1, 8)},
    },
    "warsaw": {
        **_named({**_BOSONIC, **_LEPTONIC}),
        **_named({"cHq1": "phiq1_11", "cHq3": "phiq3_11", "cHu": "phiu_11", "cHd": "phid_11"}),
        "cll": {"ll_1122": 0.5},
        "cll1": {"ll_1221": 0.5},
    },
    "smeftsim_top": {
        **_named({**_BOSONIC, **_LEPTONIC}),
        **_named({"cHj1": "phiq1_11", "cHj3": "phiq3_11", "cHu": "phiu_11", "cHd": "phid_11"}),
        **_named({"cHQ1": "phiq1_33", "cHQ3": "phiq3_33", "cHt": "phiu_33", "cHbq": "phid_33"}),
        **_named(
            {"ctHRe": "uphi_33", "ctGRe": "uG_33", "ctWRe": "uW_33", "ctBRe": "uB_33", "cbHRe": "dphi_33"}
        ),
        "cQj11": _TOP["O11qq"],
        "cQj18": _TOP["O81qq"],
        "cQj31": _TOP["O13qq"],
        "cQj38": _TOP["O83qq"],
    },
}
"""{basis: {coefficient: {Warsaw entry: factor}}}: the coefficient as a combination of Warsaw ones."""

FLAVOUR = {
    "smefit": "U(2)_q x U(2)_u x U(3)_d, leptons of each generation apart",
    "smeftatnlo": "U(2)_q x U(2)_u x U(3)_d, leptons of each generation apart",
    "dim6top": "U(2)_q x U(2)_u x U(2)_d, leptons of each generation apart",
    "warsaw": "U(3)^5: the same for every generation (SMEFTsim's U35 names)",
    "smeftsim_top": "U(2)_q x U(2)_u x U(2)_d, U(3)_l x U(3)_e (SMEFTsim's top names)",
    "wcxf": "none: every entry by itself",
}
"""Flavour symmetry of each basis: which Warsaw entries are equal."""


def _pairs(entry: str, position: int, other: str) -> str:
    """Return an entry with the indices 11 of its first (0) or second (1) current replaced."""
    name, _, indices = entry.partition("_")
    if indices in ("1331",):
        return f"{name}_{other}33{other}"
    pair = [indices[:2], indices[2:]]
    pair[position] = 2 * other
    return f"{name}_{''.join(pair)}"


def _copies(basis: str, entry: str) -> list[str]:
    """Return the other entries that the flavour symmetry makes equal to this one."""
    name, _, indices = entry.partition("_")
    if basis == "warsaw":
        if name == "ll":
            return [f"ll_{a}{a}{b}{b}" if indices == "1122" else f"ll_{a}{b}{b}{a}" for a, b in ("13", "23")]
        return [f"{name}_{g}{g}" for g in "23"] if indices == "11" else []
    if basis == "smeftsim_top" and name in ("phil1", "phil3", "phie"):
        return [f"{name}_22", f"{name}_33"]
    three = "3" if basis in ("smefit", "smeftatnlo") else ""
    if name in ("phiq1", "phiq3", "phiu", "phid") and indices == "11":
        return [_pairs(entry, 0, g) for g in "2" + (three if name == "phid" else "")]
    light = {"qq1": 0, "qq3": 0, "uu": 0, "qu1": None, "qu8": None, "qe": 0, "lq1": 1, "lq3": 1}
    light |= {"lu": 1, "ld": 1, "eu": 1, "ed": 1, "ud1": 1, "ud8": 1, "qd1": 1, "qd8": 1}
    if name not in light or "3333" in indices:
        return []
    position = light[name]
    if position is None:
        position = 0 if indices.startswith("11") else 1
    if indices != "1331" and indices[2 * position : 2 * position + 2] != "11":
        return []
    return [_pairs(entry, position, g) for g in "2" + (three if name[:2] in ("ud", "qd") else "")]


def forward(basis: str) -> dict[str, Row]:
    """Return Warsaw entries as combinations of the basis's coefficients, equal entries included."""
    definitions = DEFINITIONS[basis]
    names = list(definitions)
    entries = list(dict.fromkeys(entry for row in definitions.values() for entry in row))
    inverse = np.linalg.inv([[definitions[name].get(entry, 0.0) for entry in entries] for name in names])
    rows: dict[str, Row] = {}
    for entry, line in zip(entries, inverse.tolist(), strict=True):
        row = {name: x for name, x in zip(names, line, strict=True) if abs(x) > 1e-12}
        rows |= dict.fromkeys([entry, *_copies(basis, entry)], row)
    if basis == "warsaw":
        rows |= {f"ll_{2 * g}{2 * g}": {"cll": 1.0, "cll1": 1.0} for g in "123"}
    return rows
