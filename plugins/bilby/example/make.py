"""Write a dataset and the script that samples it: `python -m plugins.bilby.example.make FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from smeft_unbinned.storage import write_text
from smeft_unbinned.testing import toy_dataset

SCRIPT = """\
import bilby
from plugins.bilby import UnbinnedLikelihood

# Coefficients are c/Lambda^2 in TeV^-2, with the names of SMEFiT.
likelihood = UnbinnedLikelihood("zh.dataset", basis="smefit")
priors = likelihood.priors({"OpW": (-1, 1), "OpB": (-1, 1), "Opui": (-1, 1)})

bilby.core.utils.random.seed(1)  # two generators: bilby's own, and dynesty's below
result = bilby.run_sampler(
    likelihood,
    priors,
    label="zh",
    sampler="dynesty",
    nlive=200,
    sample="unif",  # fast for a few coefficients; bilby's default is for more
    bound="multi",
    seed=1,
    check_point_plot=False,
    print_method="interval-5",
)
for name, x in result.posterior[list(priors)].items():
    low, high = x.quantile([0.025, 0.975])
    print(f"{name} = {x.mean():.3f} +- {x.std():.3f}, 95 % in [{low:.3f}, {high:.3f}] TeV^-2")
print(f"log of the Bayes factor to the SM: {result.log_bayes_factor:.2f}")
"""


def make(folder: str | Path) -> dict[str, Path]:
    """Write zh.dataset and fit.py into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {name: target / name for name in ("zh.dataset", "fit.py")}
    toy_dataset(("cHW", "cHB", "cHu"), "warsaw", 1000).replace(name="zh").save(paths["zh.dataset"])
    write_text(paths["fit.py"], SCRIPT)
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
