"""-2 log L to second order around the SM with rates linear in c: what a linear fit sees of any dataset.

With the slope g = d(-2 log L)/dc at the SM and the Fisher information I it is g.c + c^T I c: the observed
curvature with its expectation in place of it, and rates that never turn negative. As I = A A^T this is a
Gaussian measurement of A^T c with unit variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..datasets import GaussianDataset, PoissonDataset
from ..datasets.extended import ExtendedTerm
from ..datasets.resampling import information
from ..errors import InputError
from ..polynomial import Polynomial, size

_NOTHING = 1e-14
"""Eigenvalue over the largest, in units of the diagonal, that is rounding."""


def parabola(
    name: str,
    parameters: Sequence[str],
    information: np.ndarray,
    slope: np.ndarray,
    basis: str,
    nuisances: Sequence[str] = (),
) -> GaussianDataset:
    """Return c^T I c - 2 h.c as a dataset.

    parameters: the p coefficients, then `nuisances`. information: I, (p, p). slope: h, (p,), in its range.
    """
    diagonal = np.sqrt(np.diag(information))
    d = np.where(diagonal > 0, diagonal, 1.0)
    values, vectors = np.linalg.eigh(information / np.outer(d, d))
    kept = values > _NOTHING * max(float(values[-1]), 0.0)
    root = (vectors * np.sqrt(np.where(kept, values, 0.0))) * d[:, None]  # A, (p, p)
    back = (vectors * np.where(kept, 1.0 / np.sqrt(np.where(kept, values, 1.0)), 0.0)) / d[:, None]
    n = len(parameters) - len(nuisances)
    theory = np.zeros((len(parameters), size(n)))
    theory[:, 1 : n + 1] = root[:n].T
    shifts = {name: root[n + k] for k, name in enumerate(nuisances)}
    return GaussianDataset(
        name, back.T @ slope, Polynomial(parameters[:n], theory), np.eye(len(parameters)), basis=basis,
        nuisances=shifts,
    )  # fmt: skip


def linearised(dataset: Any) -> Any:
    """Return a dataset with linear rates; raise InputError for one of an unknown kind."""
    if isinstance(dataset, GaussianDataset):
        n = len(dataset.operators)
        theory = np.array(dataset.theory.coefficients)
        theory[:, n + 1 :] = 0.0
        return GaussianDataset(
            dataset.name, dataset.data, Polynomial(dataset.operators, theory), dataset.covariance,
            basis=dataset.basis, metadata=dataset.metadata, groups=dataset.groups,
            nuisances=dict(zip(dataset.nuisances, dataset.shifts, strict=True)),
            sampling_covariance=dataset.sampling_covariance,
        )  # fmt: skip
    if not isinstance(dataset, ExtendedTerm):
        raise InputError(
            f"{dataset.name}: no linear version of {type(dataset).__name__}; use quadratic: true"
        )
    sm = np.zeros(len(dataset.parameters))
    expected = dataset.contents(sm) if isinstance(dataset, PoissonDataset) else dataset.weights
    whole = information(dataset, sm, expected)
    slope = -0.5 * np.asarray(dataset.gradient(sm))
    return parabola(dataset.name, dataset.parameters, whole, slope, dataset.basis, dataset.nuisances)
