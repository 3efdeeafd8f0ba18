"""What the tests inside real fitters share: one problem, our own answer to it, and commands of a README."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import plugins
from smeft_unbinned import FitResult, Likelihood, UnbinnedDataset
from smeft_unbinned.fit import laplace
from smeft_unbinned.rg_matrix import Matrix
from smeft_unbinned.rge import Running
from smeft_unbinned.rge_parse import RunningBlock
from smeft_unbinned.testing import toy_dataset

BOUND = 1.0
"""Half-width of the flat prior of each coefficient, TeV^-2."""
MEAN, WIDTH = 0.1, 0.1
"""Largest difference of means in standard deviations, and of widths, relative."""


def problem(operators: Sequence[str], basis: str) -> UnbinnedDataset:
    """Return the dataset that every fitter fits: 2,000 events, with a posterior near a Gaussian."""
    return toy_dataset(operators, basis, events=2000, seed=3)


def ours(dataset: UnbinnedDataset, bound: float = BOUND) -> FitResult:
    """Return our posterior of it, with a flat prior within the bound in each coefficient."""
    bounds = dict.fromkeys(dataset.operators, (-bound, bound))
    result = laplace(Likelihood([dataset], bounds=bounds), n_samples=20_000, seed=1)
    assert result.valid, result.messages
    return result


def assert_agrees(samples: pd.DataFrame, reference: FitResult) -> None:
    """Check means and widths of the samples of a fitter, in TeV^-2, one column for each coefficient."""
    assert reference.samples is not None
    expected = reference.samples[list(samples.columns)]
    shift = (samples.mean() - expected.mean()).abs() / expected.std()
    assert shift.max() < MEAN, f"means differ by {shift.to_dict()} standard deviations"
    ratio = samples.std() / expected.std()
    assert np.abs(ratio - 1.0).max() < WIDTH, f"widths over ours: {ratio.to_dict()}"


def running(folder: Path) -> tuple[dict[str, Any], Matrix]:
    """Return a block rge with a file of matrices to 1 TeV for OpW, OpB, and that matrix."""
    matrix = Matrix(("O3pq", "OpW"), ("OpB", "OpW"), np.array([[0.4, 0.1], [0.02, 0.9]]))
    block = {"init_scale": 5000.0, "adm_QCD": False}
    path = folder / "running.safetensors"
    Running(matrix.names, RunningBlock.parse(block), {1000.0: matrix}).save(path)
    return {**block, "rg_matrix": str(path)}, matrix


def readme(fitter: str) -> list[list[str]]:
    """Return the commands of the first shell block of a fitter's README, without those of pip."""
    text = (Path(str(plugins.__path__[0])) / fitter / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert found, f"the README of {fitter} has no shell block"
    lines = [line for line in found[1].splitlines() if line and not line.startswith(("#", "pip "))]
    return [shlex.split(line) for line in lines]


def run_readme(fitter: str, folder: Path) -> str:
    """Run the commands of the README in a folder with this Python; return what they print."""
    printed = []
    for command in readme(fitter):
        program = command[0]
        if program == "cd":
            folder = folder / command[1]
            continue
        own = Path(sys.executable).parent / program
        command = [sys.executable if program == "python" else str(own), *command[1:]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout + done.stderr)
    return "\n".join(printed)
