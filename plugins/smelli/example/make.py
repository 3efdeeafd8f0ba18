"""Write a dataset and a script of smelli: `python -m plugins.smelli.example.make FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from smeft_unbinned.storage import write_text
from smeft_unbinned.testing import toy_dataset

SCRIPT = """\
import flavio.plots
import matplotlib.pyplot as plt

from plugins.flavio import add_unbinned
from plugins.smelli import GlobalLikelihood
from smeft_unbinned.operators import to_wcxf

plt.rcParams["text.usetex"] = False  # flavio.plots asks for LaTeX
toy, ewpt = add_unbinned("toy.dataset"), "likelihood_ewpt.yaml"
likelihood = GlobalLikelihood(unbinned=[toy], include_likelihoods=[ewpt], fix_ckm=True)


def coefficients(x, y):
    # cHu and cHd in TeV^-2, equal for all generations
    return to_wcxf({"cHu": x, "cHd": y}, "warsaw")


scale = 1000.0  # GeV, where they are given
data = likelihood.plot_data_2d(coefficients, scale, -0.12, 0.12, -0.35, 0.15, steps=10)
best = likelihood.chi2_min(
    coefficients, scale, methods=("MIGRAD",), include_likelihoods=["global"], plotdata=data
)["global"]["coords_min"]
print("best fit: cHu = {:.3f}, cHd = {:.3f} TeV^-2".format(*best))

levels = [flavio.statistics.functions.delta_chi2(n, dof=2) for n in (1, 2)]
for name, label, colour in ((ewpt, "electroweak", 1), (toy, "unbinned", 0), ("global", "both", 2)):
    flavio.plots.contour(
        **data[name], levels=levels, z_min=data[name]["z"].min(), interpolation_factor=10, col=colour,
        label=label, filled=name == "global",
    )
plt.plot(*best, "x", color="black")
plt.xlabel("$c_{Hu}$ in TeV$^{-2}$")
plt.ylabel("$c_{Hd}$ in TeV$^{-2}$")
plt.legend()
plt.savefig("contours.png", dpi=150)
"""


def make(folder: str | Path) -> dict[str, Path]:
    """Write toy.dataset and fit.py into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / name for name in ("toy.dataset", "fit.py")}
    toy_dataset(("cHu", "cHd"), "warsaw", events=1500).save(paths["toy.dataset"])
    write_text(paths["fit.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
