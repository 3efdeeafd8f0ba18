"""The fit side imports and runs where torch is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BLOCK = """
import importlib.abc, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Block())
"""

RUN = """
import numpy as np
import smeft_unbinned as su

d = su.UnbinnedDataset.load(sys.argv[1])
fit = su.minimise(su.Likelihood([d]))
assert fit.valid
fit.save(sys.argv[2])
sampled = su.sample(su.Likelihood([d]).only(["cHW"]), nlive=50, frac_remain=0.5)
assert sampled.samples is not None
su.Runcard.from_dict({"datasets": ["ZH_14TeV_STXS"], "coefficients": {"OpW": {}}}).likelihood()
try:
    su.train
except su.InputError as error:
    assert "pip install 'smeft-unbinned[train]'" in str(error), error
else:
    raise AssertionError("train needs torch")
import smeft_unbinned.cli
assert "torch" not in sys.modules
print("all is well")
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )


def test_the_fit_side_runs_without_torch(make_unbinned, tmp_path: Path) -> None:
    make_unbinned().save(tmp_path / "d")
    done = run(BLOCK + RUN, str(tmp_path / "d"), str(tmp_path / "fit.json"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all is well\n")


def test_importing_the_package_imports_neither_torch_nor_jax_nor_ultranest() -> None:
    done = run(
        "import smeft_unbinned, sys; print(*{'torch', 'jax', 'ultranest', 'matplotlib'} & set(sys.modules))"
    )
    assert done.stdout.strip() == "", done.stderr
