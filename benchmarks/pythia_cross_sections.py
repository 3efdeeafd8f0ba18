"""SM cross sections and spectra of our processes against Pythia 8, with the same densities and couplings.

    pip install pythia8mc        # GPL, a wheel for Python 3.11 on Linux, compiled elsewhere
    python benchmarks/pythia_cross_sections.py [EVENTS]

Compares pp -> ZH, WH, gg -> t tbar and q qbar -> t tbar at 13 TeV: the ratio of cross sections, and chi2 per
bin of the normalised spectra of mass and transverse momentum, with Pythia's statistical errors. Bosons and
top quarks are on shell there too; their widths are off.
"""

from __future__ import annotations

import importlib
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smeft_unbinned.processes import ttbar_rates, vh
from smeft_unbinned.processes import vh_couplings as vc
from smeft_unbinned.processes.lhagrid import LHAGrid
from smeft_unbinned.processes.ttbar_couplings import MT
from smeft_unbinned.processes.ttbar_cross_section import angle_nodes
from smeft_unbinned.processes.vh_cross_section import mass_nodes

ENERGY = 13_000.0
GRID, PDF_SET = "NNPDF31_lo_as_0118_0000.dat", 18
ALPHA_S = 0.108
"""A fixed strong coupling: only its square multiplies the cross sections."""
MASS_EDGES = (345.0, 380.0, 430.0, 500.0, 600.0, 800.0, 1200.0)
PT_EDGES = (0.0, 40.0, 80.0, 120.0, 160.0, 220.0, 300.0, 450.0)
CKM = np.sqrt(vc.CKM2)
ALPHA = float(np.sqrt(2.0) * vc.GF * vc.MW**2 * vc.S2 / np.pi)
"""The electromagnetic coupling of the scheme {mW, mZ, GF}."""


class Run(NamedTuple):
    """One process: Pythia's switch and the scale in GeV."""

    name: str
    switch: str
    scale: float


RUNS = (
    Run("ZH", "HiggsSM:ffbar2HZ", vc.MZ),
    Run("WH", "HiggsSM:ffbar2HW", vc.MW),
    Run("gg -> ttbar", "Top:gg2ttbar", MT),
    Run("qqbar -> ttbar", "Top:qqbar2ttbar", MT),
)


def settings(run: Run) -> list[str]:
    """Pythia's settings for the hard process alone, with our inputs."""
    names = [["ud", "us", "ub"], ["cd", "cs", "cb"]]
    ckm = [f"StandardModel:V{names[i][j]} force= {CKM[i, j]:.10f}" for i in range(2) for j in range(3)]
    masses = {23: vc.MZ, 24: vc.MW, 25: vc.MH, 6: MT}
    return [
        "Beams:idA = 2212", "Beams:idB = 2212", f"Beams:eCM = {ENERGY}", f"PDF:pSet = {PDF_SET}",
        "PartonLevel:all = off", "HadronLevel:all = off", "Print:quiet = on", "Random:setSeed = on",
        "Random:seed = 11", "PhaseSpace:useBreitWigners = off", "PhaseSpace:mHatMin = 10.",
        "SigmaProcess:renormScale1 = 2", "SigmaProcess:factorScale1 = 2",
        "SigmaProcess:renormScale2 = 5", "SigmaProcess:factorScale2 = 5",
        f"SigmaProcess:renormFixScale = {run.scale**2}", f"SigmaProcess:factorFixScale = {run.scale**2}",
        "SigmaProcess:alphaSorder = 0", f"SigmaProcess:alphaSvalue = {ALPHA_S}",
        "SigmaProcess:alphaEMorder = 0", f"StandardModel:alphaEM0 force= {ALPHA:.12f}",
        f"StandardModel:alphaEMmZ force= {ALPHA:.12f}", f"StandardModel:sin2thetaW force= {vc.S2:.12f}",
        f"StandardModel:sin2thetaWbar force= {vc.S2:.12f}", f"StandardModel:GF force= {vc.GF}", *ckm,
        *(f"{code}:m0 = {mass}" for code, mass in masses.items()), f"{run.switch} = on",
    ]  # fmt: skip


def pythia(run: Run, events: int, module: Any) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Cross section and its error in pb, masses and transverse momenta of N hard processes in GeV."""
    generator = module.Pythia("", False)
    for line in settings(run):
        if not generator.readString(line):
            raise SystemExit(f"Pythia does not take the setting {line!r}")
    if not generator.init():
        raise SystemExit(f"Pythia does not start with {run.switch}")
    mass, pt = np.empty(events), np.empty(events)
    for i in range(events):
        while not generator.next():
            pass
        mass[i], pt[i] = generator.infoPython().mHat(), generator.infoPython().pTHat()
    info = generator.infoPython()
    return info.sigmaGen() * 1e9, info.sigmaErr() * 1e9, mass, pt


def ours(run: Run, density: LHAGrid) -> tuple[float, np.ndarray, np.ndarray, tuple[float, ...]]:
    """Cross section in pb, fractions in bins of mass and of transverse momentum, and the edges in mass."""
    if run.name in ("ZH", "WH"):
        options: dict[str, Any] = {
            "process": run.name, "energy": ENERGY, "operators": (), "density": density, "scale": run.scale,
        }  # fmt: skip
        edges = tuple(edge - 345.0 + 217.0 for edge in MASS_EDGES)
        total = float(vh.cross_section(**options).constant)
        bins = [float(vh.cross_section(mass_range=pair, **options).constant) for pair in pairwise(edges)]
        by_pt = np.asarray(vh.cross_section(pt_edges=PT_EDGES, **options).constant)
        return total, np.array(bins) / total, by_pt / total, edges
    total, bins = _top(run, density, 0.0)
    above = np.array([_top(run, density, pt)[0] for pt in PT_EDGES])
    return total, bins / total, (above[:-1] - above[1:]) / total, MASS_EDGES


def _top(run: Run, density: LHAGrid, pt_min: float, order: int = 24) -> tuple[float, np.ndarray]:
    """Cross section in pb of one initial state, and its parts in the bins of mass."""
    start = 2.0 * float(np.hypot(MT, pt_min))
    breaks = sorted({start, *(edge for edge in MASS_EDGES if edge > start), ENERGY})
    m, w = mass_nodes(breaks, order)
    z, w_y = np.polynomial.legendre.leggauss(3 * order)
    y = np.log(ENERGY / m)[:, None] * z
    flux = ttbar_rates.luminosities(
        np.repeat(m, z.size), y.ravel(), energy=ENERGY, density=density, scale=run.scale
    )
    flux = (flux.reshape(7, m.size, z.size) @ w_y) * np.log(ENERGY / m) * w
    cos, w_c = angle_nodes(m, pt_min, order)
    each = np.repeat(m, order)
    fixed = _FixedCoupling()
    gluons, quarks = ttbar_rates.products(each, cos.ravel(), each**2, fixed)
    if run.name.startswith("gg"):
        partonic, used = gluons[0], flux[0]
    else:
        partonic, used = quarks[:, 0].sum(axis=0), flux[1:].sum(axis=0)
    values = (partonic.reshape(m.size, order) * w_c).sum(axis=1) * used
    parts = [values[(m > a) & (m < b)].sum() for a, b in pairwise(MASS_EDGES)]
    return float(values.sum()), np.array(parts)


class _FixedCoupling:
    """Stands for a density where only its strong coupling is asked for."""

    name = "fixed coupling"

    def xf(self, x: Any, q2: Any) -> Any:
        raise NotImplementedError

    def alpha_s(self, q2: Any) -> Any:
        return np.full_like(q2, ALPHA_S)


def chi2(values: np.ndarray, edges: tuple[float, ...], fractions: np.ndarray) -> float:
    """chi2 per bin of a sample against fractions, with binomial errors."""
    counts = np.histogram(values, edges)[0]
    expected = fractions * len(values)
    return float(np.mean((counts - expected) ** 2 / (expected * (1.0 - fractions))))


def main(events: int = 100_000) -> None:
    """Print one line per process."""
    try:
        module = importlib.import_module("pythia8mc")
    except ModuleNotFoundError:
        raise SystemExit("this comparison needs Pythia: pip install pythia8mc") from None
    xml = Path(str(module.__file__)).parents[3] / "share" / "Pythia8"
    folders = (xml / "pdfdata", Path(sys.prefix) / "share" / "Pythia8" / "pdfdata")
    grid = next((folder / GRID for folder in folders if (folder / GRID).is_file()), None)
    if grid is None:
        raise SystemExit(f"{GRID} was not found in {', '.join(map(str, folders))}")
    density = LHAGrid(grid)
    sys.stdout.write(
        f"{'process':16s}{'ours/pb':>10s}{'Pythia/pb':>12s}{'ratio':>9s}{'error':>9s}  chi2/bin m, pT\n"
    )
    for run in RUNS:
        sigma, fractions_m, fractions_pt, edges = ours(run, density)
        other, error, mass, pt = pythia(run, events, module)
        shapes = chi2(mass, edges, fractions_m), chi2(pt, PT_EDGES, fractions_pt)
        sys.stdout.write(
            f"{run.name:16s}{sigma:10.5g}{other:12.5g}{sigma / other:9.4f}{error / other:9.4f}"
            f"  {shapes[0]:6.2f} {shapes[1]:6.2f}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
