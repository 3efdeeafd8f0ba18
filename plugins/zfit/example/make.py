"""Write datasets and the script that fits them: `python -m plugins.zfit.example.make FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from smeft_unbinned.storage import write_text
from smeft_unbinned.testing import toy_dataset

SCRIPT = """\
import zfit

from plugins.zfit import UnbinnedLoss, parameters

coefficients = parameters({"cHW": (-1, 1), "cHB": (-1, 1), "cHu": (-1, 1)})
cHW, cHB, cHu = coefficients
loss = UnbinnedLoss("zh.dataset", coefficients) + UnbinnedLoss("wh.dataset", [cHW, cHu])

result = zfit.minimize.Minuit(gradient="zfit").minimize(loss)
hesse = result.hesse()
profile, _ = result.errors(method="minuit_minos")
for c in coefficients:
    print(
        f"{c.name} = {result.params[c]['value']:.4f} +- {hesse[c]['error']:.4f}, "
        f"profile {profile[c]['lower']:+.4f} {profile[c]['upper']:+.4f} TeV^-2"
    )
"""
TRUTH = {"cHW": 0.05, "cHB": -0.1, "cHu": 0.1}
"""Coefficients of the pseudo-data, TeV^-2."""


def make(folder: str | Path) -> dict[str, Path]:
    """Write zh.dataset, wh.dataset and fit.py into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / name for name in ("zh.dataset", "wh.dataset", "fit.py")}
    for seed, (name, operators) in enumerate({"zh": ("cHW", "cHB", "cHu"), "wh": ("cHW", "cHu")}.items()):
        toy = toy_dataset(operators, "warsaw", 1000, seed).replace(name=name)
        truth = {operator: TRUTH[operator] for operator in operators}
        toy.asimov(truth, dict.fromkeys(operators, 0.0)).save(paths[f"{name}.dataset"])
    write_text(paths["fit.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
