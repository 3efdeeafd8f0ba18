"""Write a dataset, data of jelli, and a script that fits both: `python -m plugins.jelli.example.make DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from smeft_unbinned.storage import write_text
from smeft_unbinned.testing import toy_dataset

SCRIPT = """\
import numpy as np
from jelli import GlobalLikelihood
from scipy.optimize import minimize

from plugins.jelli import UnbinnedLikelihood

GlobalLikelihood.load("data")
parameters = [("phiW", "R"), ("phiB", "R"), ("phiu_11", "R")]
compiled = GlobalLikelihood("SMEFT", "Warsaw").get_compiled_likelihood(parameters, "global")
likelihood = UnbinnedLikelihood(compiled, "zh.dataset")

scale = 5000.0  # GeV: the coefficients run from here
value_and_grad = likelihood.negative_log_likelihood_value_and_grad()
covariance = likelihood.asymptotic_covariance()


def in_tev(c):
    value, gradient = value_and_grad(1e-6 * c, scale)
    return float(value), 1e-6 * np.asarray(gradient)


best = minimize(in_tev, np.zeros(3), jac=True)
errors = 1e6 * np.sqrt(np.diag(covariance(1e-6 * best.x, scale)))
for (name, _), x, error in zip(parameters, best.x, errors):
    print(f"{name} = {x:.4f} +- {error:.4f} TeV^-2 at {scale:g} GeV")
"""
SECTOR = "dB=de=dmu=dtau=0"
"""Where jelli finds the running of the parameters of an observable."""


def popxf(observable: str, slopes: dict[str, float], scale: float) -> dict[str, Any]:
    """Return an observable of jelli, 1 + sum of slopes (GeV^2) times coefficients at a scale in GeV."""
    linear = {f"('', '{name}', 'RR')": [slope] for name, slope in slopes.items()}
    return {
        "$schema": "https://json.schemastore.org/popxf-1.0.json",
        "metadata": {
            "observable_names": [observable],
            "parameters": list(slopes),
            "basis": {"wcxf": {"eft": "SMEFT", "basis": "Warsaw", "sectors": [SECTOR]}},
            "scale": scale,
        },
        "data": {"observable_central": {"('', '', 'RR')": [1.0], **linear}},
    }


def pdfxf(observable: str, value: float, error: float) -> dict[str, Any]:
    """Return a measurement of it with a Gaussian error."""
    normal = {"distribution_type": "NormalDistribution", "central_value": value, "standard_deviation": error}
    return {
        "$schema": "https://json.schemastore.org/pdfxf-1.0.json",
        f"measurement of {observable}": [{"observables": [observable], **normal}],
    }


def make(folder: str | Path) -> dict[str, Path]:
    """Write zh.dataset, data/rate.json, data/measurement.json and fit.py into a folder; return the paths."""
    target = Path(folder)
    (target / "data").mkdir(parents=True, exist_ok=True)
    names = ("zh.dataset", "data/rate.json", "data/measurement.json", "fit.py")
    paths = {name: target / name for name in names}
    operators = ("phiW", "phiB", "phiu_11")
    toy = toy_dataset(operators, "wcxf", 1000).replace(name="zh")
    truth = dict(zip(operators, (0.05, -0.1, 0.1), strict=True))
    toy.asimov(truth, dict.fromkeys(operators, 0.0)).save(paths["zh.dataset"])
    rate = popxf("rate", {"phiW": 4e5, "phiu_11": 2e5}, 250.0)
    write_text(paths["data/rate.json"], json.dumps(rate))
    write_text(paths["data/measurement.json"], json.dumps(pdfxf("rate", 1.02, 0.02)))
    write_text(paths["fit.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
