"""The design of a linear Gaussian problem: -2 log L(p) = |A p - r|^2 - |r0|^2 with whitened rows.

Each point of a binned dataset whose theory is linear, and each Gaussian constraint of a nuisance, is a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from ..constraints import ConstraintTerm
from ..datasets import GaussianDataset
from ..likelihood import Likelihood
from ..polynomial import Polynomial

_PROBES = 8
_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Design:
    """A linear least-squares problem in p parameters.

    names: (p,). matrix: A, (m, p), whitened response. target: r, (m,).
    start: |r|^2 of the theory at the SM: what |A p - r|^2 exceeds -2 log L by.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    target: np.ndarray
    start: float

    @property
    def scale(self) -> np.ndarray:
        """Lengths of the columns, (p,): the inverse error of each parameter when the others are known."""
        return np.asarray(np.linalg.norm(self.matrix, axis=0))

    def m2logl(self, points: np.ndarray) -> np.ndarray:
        """Return -2 log L at points (..., p): shape (...)."""
        return np.asarray(np.sum((points @ self.matrix.T - self.target) ** 2, axis=-1) - self.start)


def design(likelihood: Likelihood) -> Design | None:
    """Return the design of a likelihood, or None where its structure does not say that it is quadratic.

    Quadratic are sums of `GaussianDataset`s whose theory, with fixed values and rules of dependence put in,
    has no quadratic terms in the free parameters, and constraints. A dataset of any other kind is not.
    """
    if not getattr(likelihood, "linear_rules", True):
        return None
    names = likelihood.parameters
    unit = np.concatenate([np.zeros((1, len(names))), np.eye(len(names))])
    places = {name: np.asarray(x) for name, x in likelihood.dataset_points(unit).items()}
    rows, targets, start = [], [], 0.0
    for d in likelihood.datasets:
        if not isinstance(d, GaussianDataset):
            return None
        shift = _shift(d, places[d.name])
        if shift is None:
            return None
        factor = np.linalg.cholesky(d.covariance)
        whitened = solve_triangular(
            factor, np.column_stack([d.data - np.asarray(d.theory.constant), shift]), lower=True
        )
        rows.append(whitened[:, 2:])
        targets.append(whitened[:, 0] - whitened[:, 1])
        start += float(whitened[:, 0] @ whitened[:, 0])
    values = {name: np.asarray(x) for name, x in likelihood.coefficients(unit).items()}
    for name, (centre, error) in _pairs(likelihood).items():
        rows.append((values[name][1:] - values[name][0])[None] / error)
        targets.append(np.array([(centre - values[name][0]) / error]))
        start += (centre / error) ** 2
    return Design(names, np.concatenate(rows), np.concatenate(targets), start)


def _pairs(likelihood: Likelihood) -> dict[str, tuple[float, float]]:
    """Return the constraints that there are, by nuisance."""
    term = ConstraintTerm(likelihood.constraints)
    given = {name: likelihood.constraints[name] for name in term.parameters}
    return {name: pair for name, pair in given.items() if pair is not None}


def _shift(d: GaussianDataset, place: np.ndarray) -> np.ndarray | None:
    """Return t(p = 0) - t(SM) and dt/dp, (points, 1 + n), or None where t is quadratic in p.

    place: where the dataset is at p = 0 and at the n unit vectors of p, (1 + n, parameters of the dataset).
    """
    k, n = len(d.operators), len(place) - 1
    table = np.array(place.T)
    table[:, 1:] -= table[:, :1]
    coefficients = np.asarray(d.theory.coefficients)
    if coefficients[:, k + 1 :].any():
        full = np.concatenate([np.eye(n + 1)[:1], table[:k]])
        form = Polynomial(d.operators, coefficients).substitute([f"p{i}" for i in range(n)], full)
        if form.coefficients[:, n + 1 :].any():
            return None
        shift = np.array(form.coefficients[:, : n + 1])
        shift[:, 0] -= coefficients[:, 0]
    else:
        shift = coefficients[:, 1 : k + 1] @ table[:k]
    return np.asarray(shift + d.shifts.T @ table[k:])


def agrees(likelihood: Likelihood, found: Design) -> bool:
    """Return whether -2 log L of the likelihood is the quadratic form at points of up to ten errors."""
    scale = np.where(found.scale > 0, found.scale, 1.0)
    directions = np.random.default_rng(0).normal(size=(_PROBES, len(found.names)))
    lengths = np.linspace(0.0, 10.0, _PROBES)[:, None]
    points = lengths * directions / np.linalg.norm(directions, axis=1, keepdims=True) / scale
    exact = np.asarray(likelihood.m2logl(points))
    size = 1.0 + found.start + np.sum((points @ found.matrix.T - found.target) ** 2, axis=-1)
    return bool(np.all(np.abs(found.m2logl(points) - exact) <= _TOLERANCE * size))
