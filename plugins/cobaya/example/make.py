"""Write datasets, cobaya's input file and a script: `python -m plugins.cobaya.example.make FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from smeft_unbinned.storage import write_text
from smeft_unbinned.testing import toy_dataset

CARD = """\
# Coefficients are c/Lambda^2 in TeV^-2, with the names of SMEFiT.
likelihood:
  zh:
    class: plugins.cobaya.Unbinned
    file: zh.dataset
    basis: smefit
  wh:
    class: plugins.cobaya.Unbinned
    file: wh.dataset
    basis: smefit

params:
  OpW:
    prior: {min: -1, max: 1}
    ref: 0
    proposal: 0.05
    latex: c_{\\varphi W}
  OpB:
    prior: {min: -1, max: 1}
    ref: 0
    proposal: 0.05
    latex: c_{\\varphi B}
  Opui:
    prior: {min: -1, max: 1}
    ref: 0
    proposal: 0.05
    latex: c_{\\varphi u}

sampler:
  mcmc:
    Rminus1_stop: 0.02
    seed: 1

output: chains/higgs
"""
SCRIPT = """\
from getdist import loadMCSamples

samples = loadMCSamples("chains/higgs", settings={"ignore_rows": 0.3})
for name in ("OpW", "OpB", "Opui"):
    print(samples.getInlineLatex(name, limit=1), "(68 %),", samples.getInlineLatex(name, limit=2), "(95 %)")
"""


def make(folder: str | Path) -> dict[str, Path]:
    """Write zh.dataset, wh.dataset, fit.yaml and intervals.py into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / name for name in ("zh.dataset", "wh.dataset", "fit.yaml", "intervals.py")}
    for seed, (name, operators) in enumerate({"zh": ("cHW", "cHB", "cHu"), "wh": ("cHW", "cHu")}.items()):
        toy_dataset(operators, "warsaw", 1000, seed).replace(name=name).save(paths[f"{name}.dataset"])
    write_text(paths["fit.yaml"], CARD)
    write_text(paths["intervals.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
