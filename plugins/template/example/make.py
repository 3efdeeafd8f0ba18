"""Write a dataset and the script that fits it: `python -m plugins.template.example.make FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from smeft_unbinned.storage import write_text
from smeft_unbinned.testing import toy_dataset

SCRIPT = """\
import numpy as np
from scipy.optimize import minimize

from plugins.template.adapter import UnbinnedTerm

term = UnbinnedTerm("toy.dataset", ["cHW", "cHq3"])
best = minimize(term.chi2, np.zeros(2), jac=term.slope)
print(dict(zip(term.term.names, best.x.round(4).tolist())), "chi2", round(best.fun, 4))
"""


def make(folder: str | Path) -> dict[str, Path]:
    """Write toy.dataset and fit.py into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / name for name in ("toy.dataset", "fit.py")}
    toy_dataset(("cHW", "cHq3"), "warsaw", events=2000).save(paths["toy.dataset"])
    write_text(paths["fit.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
