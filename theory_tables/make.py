"""Make the binned tables: SMEFiT theory JSON and commondata YAML, from the leading-order quadrature.

    python -m theory_tables.make [FOLDER] [--only NAME ...]

Predictions, with the Les Houches 2001 densities: see `predictions`, which lists the tables; coefficients have
SMEFiT's names (c/Lambda^2 in TeV^-2). Data: Asimov pseudo-data at the SM, see `ASSUMPTIONS`.
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
from smeft_unbinned.processes.densities import LesHouches
from smeft_unbinned.storage import make_folder

from .predictions import BR_H_BB, ORDER, TABLES, Prediction, Table, predict, units_of


class Assumption(NamedTuple):
    """What the uncertainties of the pseudo-data of a process rest on."""

    what: str
    efficiency: float
    branching_fraction: float | None  # of H -> bb, where a Higgs boson is measured
    luminosity: float  # relative error, correlated across datasets
    uncorrelated: float  # relative error of every bin


ASSUMPTIONS = {
    "ZH": Assumption("ZH with Z to ll in bins of pT(Z)", 0.3, BR_H_BB, 0.017, 0.02),
    "WH": Assumption("WH with W to l nu in bins of pT(W)", 0.3, BR_H_BB, 0.017, 0.02),
    "ttbar": Assumption("t tbar in bins of the t tbar mass", 0.02, None, 0.025, 0.05),
}


def theory(name: str) -> dict[str, Any]:
    """Contents of the theory file `name`."""
    table = _table(name)
    made = predict(table)
    coefficients = np.asarray(made.form.coefficients)
    labels = ["SM", *made.form.operators]
    rows, columns = np.triu_indices(len(labels))
    order = {}
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        label = labels[j] if i == 0 else f"{labels[i]}*{labels[j]}"
        order[label] = _numbers(coefficients[:, k])
    bins = len(table.edges) - 1
    nothing = np.zeros((bins, bins)).tolist()
    return {
        "best_sm": order["SM"],
        "scales": _numbers(made.scales),
        "theory_cov_current": nothing,
        "theory_cov_conservative": nothing,
        "theory_cov_aggressive": nothing,
        "LO": order,
        "provenance": _provenance(name, table, made),
    }


def _provenance(name: str, table: Table, made: Prediction) -> dict[str, Any]:
    error = max(made.error, 1e-8)
    return {
        "command": f"python -m theory_tables.make --only {name}",
        "energy": table.energy,
        "density": LesHouches().name,
        **made.about,
        "quadrature_order": ORDER,
        "integration_error": f"relative, quadrature: below {error:.0e}; densities: below 2e-5",
    }


def commondata(name: str, central: Sequence[float]) -> dict[str, Any]:
    """Contents of the commondata file `name` for the SM prediction `central` (B,) in units of the table."""
    table = _table(name)
    assumed = ASSUMPTIONS[table.process]
    units, to_fb = units_of(table)
    sigma = np.asarray(central)
    events = sigma * to_fb * table.luminosity * assumed.efficiency * (assumed.branching_fraction or 1.0)
    higgs = assumed.branching_fraction
    text = (
        f"Asimov pseudo-data at the SM: {assumed.what}. "
        "statistical: sigma/sqrt(N) with N = sigma * luminosity * "
        + (f"BR(H -> bb) * efficiency, BR(H -> bb) = {higgs}, " if higgs else "efficiency, ")
        + f"efficiency = {assumed.efficiency}, no background; "
        f"luminosity: {100 * assumed.luminosity:g} %, correlated across datasets; "
        f"uncorrelated: {100 * assumed.uncorrelated:g} %"
    )
    return {
        "dataset_name": name,
        "doi": "none",
        "location": "none",
        "arxiv": "none",
        "hepdata": "none",
        "units": units,
        "description": text,
        "luminosity": table.luminosity,
        "num_data": sigma.size,
        "num_sys": 2,
        "data_central": _numbers(sigma),
        "statistical_error": _numbers(sigma / np.sqrt(events)),
        "systematics": [_numbers(assumed.luminosity * sigma), _numbers(assumed.uncorrelated * sigma)],
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
    try:
        make_folder(options.folder)
        for name in options.only:
            write(name, options.folder)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
