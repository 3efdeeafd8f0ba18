"""What tests inside SMEFiT share: the example with changes, its command, posteriors against exact ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from plugins.smefit.example.make import make
from plugins.smefit.runcard import MODULE, with_unbinned
from smeft_unbinned import Runcard

BOUNDS = {"min": -1.0, "max": 1.0}
COMMAND = "import numpy; numpy.random.seed(1); from smefit.cli import base_command; base_command()"
__all__ = ["BOUNDS", "MODULE", "assert_posterior", "example", "results", "smefit_command"]


def example(folder: Path, **changes: Any) -> Path:
    """Write the example with changes; return the path of the card for SMEFiT."""
    paths = make(folder, n_expected=500)
    card = {**yaml.safe_load(paths["card.yaml"].read_text(encoding="utf-8")), **changes}
    paths["card.yaml"].write_text(yaml.safe_dump(card), encoding="utf-8")
    paths["smefit.yaml"].write_text(yaml.safe_dump(with_unbinned(card, folder)), encoding="utf-8")
    return paths["smefit.yaml"]


def smefit_command(
    folder: Path, *arguments: str, before: Sequence[str] = (), code: str = COMMAND
) -> subprocess.CompletedProcess[str]:
    """Run the command of SMEFiT, or other code, in a folder; before: what starts it."""
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "COLUMNS": "400",
    }
    command = [*before, sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def results(folder: Path, name: str = "fit_results") -> dict[str, Any]:
    """Return the result of the example."""
    text = (folder / f"results/zh_example/{name}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def assert_posterior(folder: Path, result: Mapping[str, Any], free: Sequence[str] = ("OpW", "OpqMi")) -> None:
    """Check samples of two free coefficients, flat between -1 and 1, against the posterior of our likelihood.

    100 live points leave means uncertain by about 0.06 standard deviations.
    """
    samples = {name: np.array(result["samples"][name]) for name in free}
    ours = Runcard.load(folder / "card.yaml").likelihood()
    best = {name: result["best_fit_point"][name] for name in free}
    assert float(ours.m2logl(best)) <= ours.m2logl(samples).min() + 1e-9
    axis = np.linspace(-1, 1, 801)
    grid = dict(zip(free, np.meshgrid(axis, axis), strict=True))
    density = np.exp(-0.5 * (ours.m2logl(grid) - float(ours.m2logl(best))))
    for name, c in grid.items():
        mean = np.average(c, weights=density)
        width = np.sqrt(np.average((c - mean) ** 2, weights=density))
        assert abs(samples[name].mean() - mean) < 0.3 * width, name
        assert abs(samples[name].std() / width - 1.0) < 0.2, name
