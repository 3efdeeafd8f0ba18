"""Shared fixtures: small synthetic measurements made from seeds, and where the sample data live."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, GaussianDataset, Polynomial, SumOfSquares, UnbinnedDataset
from smeft_unbinned.polynomial import size

OPERATORS = ("cHW", "cHq3", "cHu")


def _ratios(
    seed: int = 0, n: int = 40, operators: tuple[str, ...] = OPERATORS, strength: float = 0.3
) -> SumOfSquares:
    """n event ratios, one at the SM and positive everywhere."""
    rng = np.random.default_rng(seed)
    rank = len(operators) + 1
    factors = strength * rng.normal(size=(n, rank, len(operators) + 1))
    factors[:, :, 0] = np.eye(rank)[0]
    return SumOfSquares(operators, factors)


def _unbinned(
    seed: int = 0, n: int = 40, operators: tuple[str, ...] = OPERATORS, name: str = "unbinned"
) -> UnbinnedDataset:
    """An unbinned measurement whose expected yield is the sum of other events than the observed ones."""
    ratios = _ratios(seed, 2 * n, operators)
    weights = np.random.default_rng(seed + 1).uniform(0.5, 1.5, size=n)
    return UnbinnedDataset(name, ratios[:n], ratios[n:].dense().sum(), weights, metadata={"seed": seed})


def _linear(
    seed: int = 0, operators: tuple[str, ...] = OPERATORS, points: int = 12, name: str = "linear"
) -> GaussianDataset:
    """A Gaussian measurement that is linear in c, so that fits of it have closed forms."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(points, points + 3))
    coefficients = np.zeros((points, size(len(operators))))
    coefficients[:, : len(operators) + 1] = rng.normal(size=(points, len(operators) + 1))
    data = coefficients[:, 0] + rng.normal(size=points)
    return GaussianDataset(name, data, Polynomial(operators, coefficients), a @ a.T, basis="warsaw")


def _events(seed: int = 0, n: int = 60, operators: tuple[str, ...] = OPERATORS) -> Events:
    """Events with two features, truth and weights."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"pt": rng.exponential(100.0, n), "phi": rng.uniform(-np.pi, np.pi, n)})
    return Events(
        frame,
        _ratios(seed, n, operators).dense(),
        rng.uniform(1, 2, n),
        None,
        {"process": "toy", "seed": seed},
    )


@pytest.fixture(scope="session")
def make_ratios() -> Callable[..., SumOfSquares]:
    return _ratios


@pytest.fixture(scope="session")
def make_unbinned() -> Callable[..., UnbinnedDataset]:
    return _unbinned


@pytest.fixture(scope="session")
def make_linear() -> Callable[..., GaussianDataset]:
    return _linear


@pytest.fixture(scope="session")
def make_events() -> Callable[..., Events]:
    return _events


@pytest.fixture(scope="session")
def zh_events() -> Events:
    """Exact pp -> ZH events at 14 TeV, with three operators."""
    from smeft_unbinned.processes import vh

    return vh.generate(4000, operators=("cHW", "cHq3", "cHWtil"), seed=3, pt_min=75.0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder that SMEFT_UNBINNED_DATA names; the tests that need it are skipped without."""
    root = os.environ.get("SMEFT_UNBINNED_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("set SMEFT_UNBINNED_DATA to the folder of sample data")
    return Path(root)


@pytest.fixture(scope="session")
def two_ranks() -> list[str]:
    """The command that starts Python in two processes of the installed mpi4py."""
    pytest.importorskip("mpi4py", reason="the mpi extra is not installed")
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    return [mpiexec, "-n", "2", sys.executable]


@pytest.fixture
def x64() -> Iterator[None]:
    """Switch jax to double precision for one test."""
    jax = pytest.importorskip("jax", reason="the jax extra is not installed")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
