"""Write a dataset and a script of flavio: `python -m plugins.flavio.example.make FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from plugins.smefit.example.make import toy_dataset
from smeft_unbinned.storage import write_text

SCRIPT = """\
import flavio
import flavio.plots
import matplotlib.pyplot as plt
import numpy as np
from flavio.math.optimize import minimize_robust
from flavio.statistics.likelihood import Likelihood

from plugins.flavio import add_unbinned
from smeft_unbinned.operators import to_wcxf

plt.rcParams["text.usetex"] = False  # flavio.plots asks for LaTeX
unbinned = Likelihood(observables=[add_unbinned("zh_14tev.dataset")])
binned = Likelihood(observables=["mu_Vh(h->bb)"])
parameters = flavio.default_parameters.get_central_all()


def point(c):
    # c = (cHW, cHq3) in TeV^-2 at 1 TeV, equal for all generations; as one object, it runs once per scale
    wilson = flavio.WilsonCoefficients()
    wilson.set_initial(to_wcxf({"cHW": c[0], "cHq3": c[1]}, "warsaw"), 1000.0, "SMEFT", "Warsaw")
    wilson.set_option("smeft_accuracy", "leadinglog")  # "integrate" is more precise, and four times slower
    return wilson


def chi2(likelihood, c):
    return -2.0 * float(np.squeeze(likelihood.log_likelihood(parameters, point(c))))


best = minimize_robust(lambda c: chi2(unbinned, c) + chi2(binned, c), np.zeros(2), methods=("MIGRAD",))
print("best fit: cHW = {:.3f}, cHq3 = {:.3f} TeV^-2".format(*best.x))

box = {"x_min": -0.5, "x_max": 0.7, "y_min": -0.3, "y_max": 0.3, "steps": 10, "n_sigma": (1, 2)}
first, second = (
    flavio.plots.likelihood_contour_data(lambda c, term=term: -0.5 * chi2(term, c), **box)
    for term in (unbinned, binned)
)
both = {**first, "z": first["z"] + second["z"]}
for label, data, colour in (
    ("$Vh$, $h\\\\to b\\\\bar b$ signal strength", second, 1), ("unbinned $Zh$", first, 0), ("both", both, 2)
):
    flavio.plots.contour(
        **data, z_min=data["z"].min(), interpolation_factor=10, col=colour, label=label, filled=data is both
    )
plt.plot(*best.x, "x", color="black")
plt.xlabel("$c_{HW}$ in TeV$^{-2}$")
plt.ylabel("$c_{Hq}^{(3)}$ in TeV$^{-2}$")
plt.legend()
plt.savefig("contours.png", dpi=150)
"""


def make(folder: str | Path) -> dict[str, Path]:
    """Write zh_14tev.dataset and fit.py into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / name for name in ("zh_14tev.dataset", "fit.py")}
    toy_dataset(n_expected=5000.0).save(paths["zh_14tev.dataset"])
    write_text(paths["fit.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
