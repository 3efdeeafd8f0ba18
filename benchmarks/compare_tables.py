"""Our leading-order predictions against published SMEFiT tables, as ratios of relative SMEFT effects.

    SMEFT_UNBINNED_DATA=... PYTHIA8DATA=... python benchmarks/compare_tables.py

For every coefficient that both know, r = [effect/SM] of ours over [effect/SM] of the table, per bin, for
linear and squared terms: common factors of the rates drop out. Densities: the Les Houches set, and with
PYTHIA8DATA the grid NNPDF31_nnlo_as_0118_luxqed, which is close to what the tables were made with.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smeft_unbinned.operators import translate
from smeft_unbinned.polynomial import Polynomial
from smeft_unbinned.processes import ttbar, vh
from smeft_unbinned.processes.densities import Density, LesHouches
from smeft_unbinned.processes.lhagrid import LHAGrid
from theory_tables.predictions import ATLAS_MTT, CMS_MTT, OPERATORS, TTBAR_IN_SMEFIT

GRID = "NNPDF31_nnlo_as_0118_luxqed_0000.dat"
ZH_PT = (75.0, 150.0, 250.0, np.inf)
"""Edges of ATLAS_ZH_Hbb_13TeV (arXiv:1903.04618, table 3), GeV."""


class Comparison(NamedTuple):
    """A published table, the bins of ours, and the coefficients worth comparing."""

    name: str
    process: str
    edges: tuple[float, ...]
    leading: tuple[str, ...]


COMPARISONS = (
    Comparison(
        "CMS_tt_13TeV_ljets_2016_Mtt", "ttbar", CMS_MTT,
        ("OtG", "O81qq", "O8qt", "O8ut", "O8qu", "O8dt", "O8qd"),
    ),
    Comparison(
        "ATLAS_tt_13TeV_ljets_2016_Mtt", "ttbar", ATLAS_MTT,
        ("OtG", "O81qq", "O8qt", "O8ut", "O8qu", "O8dt", "O8qd"),
    ),
    Comparison(
        "ATLAS_ZH_Hbb_13TeV", "ZH", ZH_PT,
        ("O3pq", "Opui", "Opdi", "OpqMi", "OpW", "OpWB", "OpB", "OpBox"),
    ),
)  # fmt: skip


def prediction(process: str, edges: tuple[float, ...], density: Density) -> Polynomial:
    """Cross sections per bin in SMEFiT's coefficients, at 13 TeV."""
    if process == "ttbar":
        form = ttbar.cross_section(mass_edges=edges, operators=tuple(TTBAR_IN_SMEFIT), density=density)
        return form.change_basis(list(TTBAR_IN_SMEFIT.values()), np.eye(len(TTBAR_IN_SMEFIT))).dense()
    form = vh.cross_section(
        process=process, energy=13_000.0, pt_edges=edges, operators=OPERATORS[process], density=density
    )
    return translate(form, "warsaw", "smefit").dense()


def relative(form: Polynomial, name: str, power: int) -> np.ndarray:
    """The linear (power 1) or squared (2) term of one coefficient over the SM, (B,)."""
    matrix, index = np.asarray(form.matrix()), 1 + form.operators.index(name)
    value = 2.0 * matrix[:, 0, index] if power == 1 else matrix[:, index, index]
    return np.asarray(value / matrix[:, 0, 0])


def ratios(comparison: Comparison, database: Path, density: Density) -> dict[str, np.ndarray]:
    """Ours over the table, (B,) by label; labels are `NAME` and `NAME*NAME`, where the table has them."""
    order: dict[str, Any] = json.loads((database / "theory" / f"{comparison.name}.json").read_text())["LO"]
    form = prediction(comparison.process, comparison.edges, density)
    if len(order["SM"]) != len(comparison.edges) - 1:
        raise SystemExit(
            f"{comparison.name} has {len(order['SM'])} bins, expected {len(comparison.edges) - 1}"
        )
    sm, result = np.array(order["SM"]), {}
    for name in comparison.leading:
        for label, power in ((name, 1), (f"{name}*{name}", 2)):
            if label in order:
                result[label] = relative(form, name, power) / (np.array(order[label]) / sm)
    return result


def main() -> None:
    """Print a table of ratios for each comparison."""
    root, xml = os.environ.get("SMEFT_UNBINNED_DATA"), os.environ.get("PYTHIA8DATA")
    if not root:
        raise SystemExit("set SMEFT_UNBINNED_DATA to the folder that holds smefit_database")
    densities: list[Density] = [LesHouches()]
    if xml:
        densities.append(LHAGrid(Path(xml).parent / "pdfdata" / GRID))
    np.set_printoptions(linewidth=200)
    for comparison in COMPARISONS:
        for density in densities:
            edges = ", ".join(f"{edge:g}" for edge in comparison.edges)
            sys.stdout.write(f"\n{comparison.name}, bins {edges} GeV, {density.name}\n")
            for label, values in ratios(comparison, Path(root) / "smefit_database", density).items():
                sys.stdout.write(f"  {label:14s}" + "".join(f"{value:8.3f}" for value in values) + "\n")


if __name__ == "__main__":
    main()
