"""Make the binned pp -> ZH tables: SMEFiT theory JSON and commondata YAML, from the leading-order quadrature.

    python -m theory_tables.make [FOLDER] [--only NAME ...]

Predictions: fiducial cross sections in fb per bin of pT(Z), sigma(pp -> ZH) times BR(Z -> ee, mumu), at
leading order with the Les Houches 2001 densities at mu = mZ, for nine coefficients in SMEFiT's names
(c/Lambda^2 in TeV^-2), quark couplings flavour universal: cHq1 = OpqMi + O3pq, cHq3 = O3pq. Data: Asimov
pseudo-data at the SM, see `UNCERTAINTIES`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from smeft_unbinned.errors import InputError, nearest
from smeft_unbinned.operators import translate
from smeft_unbinned.polynomial import Polynomial
from smeft_unbinned.processes import vh
from smeft_unbinned.processes import vh_couplings as vc
from smeft_unbinned.processes.densities import LesHouches
from smeft_unbinned.processes.vh_cross_section import threshold_mass

BR_Z_LL = 0.0673
"""BR(Z -> ee) + BR(Z -> mumu)."""
BR_H_BB = 0.582
EFFICIENCY = 0.3
LUMI_ERROR, UNCORRELATED_ERROR = 0.017, 0.02
UNCERTAINTIES = (
    "statistical: sigma/sqrt(N) with N = sigma * luminosity * BR(H -> bb) * efficiency, "
    f"BR(H -> bb) = {BR_H_BB}, efficiency = {EFFICIENCY}, no background; "
    f"luminosity: {100 * LUMI_ERROR:g} %, correlated across datasets; "
    f"uncorrelated: {100 * UNCORRELATED_ERROR:g} %"
)
OPERATORS = ("cHW", "cHB", "cHWB", "cHq1", "cHq3", "cHu", "cHd", "cHbox", "cHD")
STXS = (75.0, 150.0, 250.0, 400.0, np.inf)
FINE = (
    75.0, 100.0, 125.0, 150.0, 175.0, 200.0, 225.0, 250.0, 275.0, 300.0, 325.0, 350.0, 375.0,
    400.0, 450.0, 500.0, 550.0, 600.0, 700.0, 800.0, 1000.0, 1200.0, np.inf,
)  # fmt: skip


class Table(NamedTuple):
    """One table: energy in GeV, luminosity in fb^-1, edges of pT(Z) in GeV."""

    energy: float
    luminosity: float
    edges: tuple[float, ...]


TABLES = {
    "ZH_13TeV_STXS": Table(13_000.0, 139.0, STXS),
    "ZH_13TeV_fine": Table(13_000.0, 139.0, FINE),
    "ZH_14TeV_STXS": Table(14_000.0, 300.0, STXS),
    "ZH_14TeV_fine": Table(14_000.0, 300.0, FINE),
}


def prediction(table: Table) -> Polynomial:
    """Cross sections in fb with BR(Z -> ll), batch over bins, in SMEFiT's coefficients."""
    options: dict[str, Any] = {"energy": table.energy, "pt_edges": table.edges, "operators": OPERATORS}
    form = translate(vh.cross_section(process="ZH", **options), "warsaw", "smefit")
    return form.dense() * (1e3 * BR_Z_LL)


def theory(name: str) -> dict[str, Any]:
    """Contents of the theory file `name`."""
    table = _table(name)
    form = prediction(table)
    coefficients = np.asarray(form.coefficients)
    labels = ["SM", *form.operators]
    rows, columns = np.triu_indices(len(labels))
    order = {}
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        label = labels[j] if i == 0 else f"{labels[i]}*{labels[j]}"
        order[label] = _numbers(coefficients[:, k])
    bins = len(table.edges) - 1
    nothing = np.zeros((bins, bins)).tolist()
    return {
        "best_sm": order["SM"],
        "scales": _numbers(threshold_mass(table.edges[:-1], vc.MZ)),
        "theory_cov_current": nothing,
        "theory_cov_conservative": nothing,
        "theory_cov_aggressive": nothing,
        "LO": order,
        "provenance": _provenance(name, table),
    }


def _provenance(name: str, table: Table) -> dict[str, Any]:
    options: dict[str, Any] = {"energy": table.energy, "pt_edges": table.edges, "operators": OPERATORS}
    error = float(np.max(vh.cross_section_error(process="ZH", **options)))
    return {
        "command": f"python -m theory_tables.make --only {name}",
        "process": "pp -> ZH, Z -> e+ e- or mu+ mu-, leading order",
        "observable": "cross section per bin of pT(Z)",
        "units": "fb",
        "pt_edges": [edge if np.isfinite(edge) else None for edge in table.edges],
        "energy": table.energy,
        "branching_fraction": {"Z -> ee, mumu": BR_Z_LL},
        "density": LesHouches().name,
        "factorisation_scale": vh.DEFAULT_SCALE,
        "input_scheme": dict(vc.INPUTS),
        "scales": "smallest mass of ZH in the bin, GeV",
        **vc.CONVENTIONS,
        "coefficients": "c/Lambda^2 in TeV^-2; cHq1 = OpqMi + O3pq, cHq3 = O3pq; flavour universal",
        "integration_error": f"relative, quadrature: below {max(error, 1e-8):.0e}; densities: below 2e-5",
    }


def commondata(name: str, central: Sequence[float]) -> dict[str, Any]:
    """Contents of the commondata file `name` for the SM prediction `central` (B,) in fb."""
    table = _table(name)
    sigma = np.asarray(central)
    events = sigma * table.luminosity * BR_H_BB * EFFICIENCY
    return {
        "dataset_name": name,
        "doi": "none",
        "location": "none",
        "arxiv": "none",
        "hepdata": "none",
        "units": "fb",
        "description": f"Asimov pseudo-data at the SM: ZH with Z to ll in bins of pT(Z). {UNCERTAINTIES}",
        "luminosity": table.luminosity,
        "num_data": sigma.size,
        "num_sys": 2,
        "data_central": _numbers(sigma),
        "statistical_error": _numbers(sigma / np.sqrt(events)),
        "systematics": [_numbers(LUMI_ERROR * sigma), _numbers(UNCORRELATED_ERROR * sigma)],
        "sys_names": ["LUMI_UNBINNED", "UNCORR"],
        "sys_type": ["MULT", "MULT"],
    }


def write(name: str, folder: Path) -> None:
    """Write the two files of table `name` below `folder`."""
    content = theory(name)
    for part in ("theory", "commondata"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "theory" / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    data = yaml.safe_dump(commondata(name, content["best_sm"]), sort_keys=False, width=110)
    (folder / "commondata" / f"{name}.yaml").write_text(data)


def _table(name: str) -> Table:
    if name not in TABLES:
        raise InputError(f"unknown table {name!r}; known are {', '.join(TABLES)}.{nearest(name, TABLES)}")
    return TABLES[name]


def _numbers(values: Any) -> list[float]:
    """Floats with ten significant digits, so that files do not change with rounding."""
    return [float(f"{value:.10g}") for value in values]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: regenerate all tables, or those named."""
    parser = argparse.ArgumentParser(prog="python -m theory_tables.make", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    options = parser.parse_args(arguments)
    for name in options.only:
        write(name, options.folder)


if __name__ == "__main__":
    main()
