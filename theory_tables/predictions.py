"""What each binned table predicts, by process: `TABLES` lists them, `predict` computes one.

- ZH and WH: fiducial cross sections in fb per bin of pT(V), times the leptonic branching fraction of V.
- ttbar: d sigma/dm(t tbar) in pb/GeV per bin, stable tops, or the inclusive cross section in pb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smeft_unbinned.operators import translate
from smeft_unbinned.polynomial import Polynomial
from smeft_unbinned.processes import ttbar, ttbar_couplings, vh
from smeft_unbinned.processes import vh_couplings as vc
from smeft_unbinned.processes.ttbar_cross_section import THRESHOLD
from smeft_unbinned.processes.vh_cross_section import threshold_mass

BR_Z_LL = 0.0673
"""BR(Z -> ee) + BR(Z -> mumu)."""
BR_W_LNU = 0.2134
"""BR(W -> e nu) + BR(W -> mu nu)."""
BR_H_BB = 0.582
ORDER = 20
"""Gauss-Legendre nodes per panel of every quadrature."""
OPERATORS = {
    "ZH": ("cHW", "cHB", "cHWB", "cHq1", "cHq3", "cHu", "cHd", "cHbox", "cHD"),
    "WH": ("cHW", "cHq3", "cHbox", "cHD"),
}
TTBAR_IN_SMEFIT = {
    "ctG": "OtG", "cQq81": "O81qq", "cQu8": "O8qu", "cQd8": "O8qd", "ctq8": "O8qt", "ctu8": "O8ut",
    "ctd8": "O8dt", "cQq11": "O11qq", "cQu1": "O1qu", "cQd1": "O1qd", "ctq1": "O1qt", "ctu1": "O1ut",
    "ctd1": "O1dt",
}  # fmt: skip
"""SMEFiT's name of each t tbar coefficient, equal in normalisation; ctGI has none."""
STXS = (75.0, 150.0, 250.0, 400.0, np.inf)
FINE = (
    75.0, 100.0, 125.0, 150.0, 175.0, 200.0, 225.0, 250.0, 275.0, 300.0, 325.0, 350.0, 375.0,
    400.0, 450.0, 500.0, 550.0, 600.0, 700.0, 800.0, 1000.0, 1200.0, np.inf,
)  # fmt: skip
CMS_MTT = (300.0, 360.0, 430.0, 500.0, 580.0, 680.0, 800.0, 1000.0, 1200.0, 1500.0, 2500.0)
"""Edges of CMS_tt_13TeV_ljets_2016_Mtt (arXiv:1803.08856), GeV."""
ATLAS_MTT = (300.0, 380.0, 470.0, 620.0, 820.0, 1100.0, 1500.0, 2500.0)
"""Edges of ATLAS_tt_13TeV_ljets_2016_Mtt (arXiv:1908.07305), GeV."""


class Table(NamedTuple):
    """One table: energy in GeV, luminosity in fb^-1, bin edges in GeV, process."""

    energy: float
    luminosity: float
    edges: tuple[float, ...]
    process: str = "ZH"


class Prediction(NamedTuple):
    """A predicted table: quadratic forms in SMEFiT's coefficients, batch over bins, and more."""

    form: Polynomial
    scales: NDArray[np.float64]  # smallest mass of the final state in each bin, GeV
    error: float  # relative integration error
    about: Mapping[str, Any]  # further provenance


TABLES = {
    "ZH_13TeV_STXS": Table(13_000.0, 139.0, STXS),
    "ZH_13TeV_fine": Table(13_000.0, 139.0, FINE),
    "ZH_14TeV_STXS": Table(14_000.0, 300.0, STXS),
    "ZH_14TeV_fine": Table(14_000.0, 300.0, FINE),
    "WH_13TeV_STXS": Table(13_000.0, 139.0, (0.0, *STXS), "WH"),
    "WH_14TeV_STXS": Table(14_000.0, 300.0, (0.0, *STXS), "WH"),
    "tt_13TeV_Mtt_CMS": Table(13_000.0, 35.8, CMS_MTT, "ttbar"),
    "tt_13TeV_Mtt_ATLAS": Table(13_000.0, 36.1, ATLAS_MTT, "ttbar"),
    "tt_13TeV_inclusive": Table(13_000.0, 139.0, (0.0, np.inf), "ttbar"),
}


def units_of(table: Table) -> tuple[str, NDArray[np.float64]]:
    """Units of a table, and the factors (B,) that turn its predictions into cross sections in fb."""
    bins = len(table.edges) - 1
    if table.process != "ttbar":
        return "fb", np.ones(bins)
    return ("pb", np.full(1, 1e3)) if bins == 1 else ("pb/GeV", 1e3 * np.diff(table.edges))


def _vh(table: Table) -> Prediction:
    boson, fraction = ("Z", BR_Z_LL) if table.process == "ZH" else ("W", BR_W_LNU)
    final = "e+ e- or mu+ mu-" if boson == "Z" else "e nu or mu nu, both charges"
    options: dict[str, Any] = {
        "process": table.process, "energy": table.energy, "pt_edges": table.edges,
        "operators": OPERATORS[table.process], "order": ORDER,
    }  # fmt: skip
    form = translate(vh.cross_section(**options), "warsaw", "smefit").dense() * (1e3 * fraction)
    finite = np.asarray(table.edges[:-1])
    about = {
        "process": f"pp -> {table.process}, {boson} -> {final}, leading order",
        "observable": f"cross section per bin of pT({boson})",
        "units": "fb",
        "pt_edges": _edges(table),
        "branching_fraction": {"Z -> ee, mumu" if boson == "Z" else "W -> e nu, mu nu": fraction},
        "factorisation_scale": vh.DEFAULT_SCALE,
        "input_scheme": dict(vc.INPUTS),
        "scales": f"smallest mass of {table.process} in the bin, GeV",
        **vc.CONVENTIONS,
        "coefficients": "c/Lambda^2 in TeV^-2; cHq1 = OpqMi + O3pq, cHq3 = O3pq; flavour universal",
    }
    mass = vc.process(table.process).mass
    error = float(np.max(vh.cross_section_error(**options)))
    return Prediction(form, threshold_mass(finite, mass), error, about)


def _ttbar(table: Table) -> Prediction:
    inclusive = len(table.edges) == 2
    options: dict[str, Any] = {
        "energy": table.energy, "mass_edges": table.edges, "operators": tuple(TTBAR_IN_SMEFIT),
        "order": ORDER,
    }  # fmt: skip
    form = ttbar.cross_section(**options).change_basis(list(TTBAR_IN_SMEFIT.values()), np.eye(13)).dense()
    units, to_fb = units_of(table)
    about = {
        "process": "pp -> t tbar, stable top quarks, leading order",
        "observable": "cross section" if inclusive else "d sigma/dm(t tbar), averaged over the bin",
        "units": units,
        "mass_edges": _edges(table),
        "factorisation_scale": ttbar.DEFAULT_SCALE,
        "renormalisation_scale": ttbar.DEFAULT_SCALE,
        "input_scheme": dict(ttbar_couplings.INPUTS),
        "scales": "smallest mass of t tbar in the bin, GeV",
        **ttbar_couplings.CONVENTIONS,
        "coefficients": "c/Lambda^2 in TeV^-2; "
        + ", ".join(f"{n} = {s}" for n, s in TTBAR_IN_SMEFIT.items()),
    }
    scales = np.maximum(np.asarray(table.edges[:-1]), THRESHOLD)
    error = float(np.max(ttbar.cross_section_error(**options)))
    return Prediction(form / (to_fb / 1e3), scales, error, about)


_MAKERS: dict[str, Callable[[Table], Prediction]] = {"ZH": _vh, "WH": _vh, "ttbar": _ttbar}


def predict(table: Table) -> Prediction:
    """Compute one table at leading order with the Les Houches 2001 densities."""
    return _MAKERS[table.process](table)


def _edges(table: Table) -> list[float | None]:
    return [edge if np.isfinite(edge) else None for edge in table.edges]
