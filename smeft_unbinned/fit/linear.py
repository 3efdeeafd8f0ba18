"""Exact fit where -2 log L is quadratic in every parameter: linear Gaussian measurements.

With whitened rows A and residuals r the best fit is the least-squares solution of A p = r and the covariance
(A^T A)^-1. Columns are scaled to unit length and the problem is solved by A = Q R, whose condition number is
the square root of that of the Fisher matrix A^T A, which is never formed: with binned LHC data that matrix
has a condition number of 10^9 even after scaling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import qr, solve_triangular

from ..errors import InputError
from ..likelihood import Likelihood
from ..quantiles import half_width
from .box import all_bounds, inside, log_volume, make_prior, outside_share
from .design import Design, agrees, design
from .prior import Prior
from .provenance import caveats, nuisances_in, provenance, pulls
from .result import FitResult, check_level

FLAT = 1e-11
"""Eigenvalue of the Fisher matrix, scaled to ones on its diagonal, below which a direction is flat."""
CUT = 0.01
"""Probability outside a range that is worth a message."""
CUTS = "the prior box cuts into the posterior of"
_SHOWN = 0.01


def is_quadratic(likelihood: Likelihood) -> bool:
    """Return whether -2 log L is quadratic in all parameters, so that `solve` gives the exact posterior.

    Decided by what the datasets are made of: binned Gaussian ones without quadratic terms in the free
    coefficients, constraints of nuisances, and linear rules between coefficients; then checked at points up
    to ten errors away. A dataset of another kind makes it False, and so does a mismatch.
    """
    return _design(likelihood) is not None


def _design(likelihood: Likelihood) -> Design | None:
    joint: Likelihood = getattr(likelihood, "joint", likelihood)  # profiled: quadratic where the joint one is
    found = design(joint)
    return found if found is not None and agrees(joint, found) else None


@dataclass(frozen=True)
class Solution:
    """Least-squares solution: best (p,), covariance (p, p), root (p, p) with root root^T the covariance.

    eigenvalues: of the scaled Fisher matrix, ascending, (p,).
    """

    best: np.ndarray
    covariance: np.ndarray
    root: np.ndarray
    eigenvalues: np.ndarray


def least_squares(problem: Design) -> Solution:
    """Solve a design; raise InputError naming the directions that no row constrains."""
    scale = problem.scale
    idle = [n for n, s in zip(problem.names, scale, strict=True) if not s > 0]
    if idle:
        raise InputError(
            f"no dataset constrains {', '.join(idle)}: -2 log L does not depend on it; "
            "fix it or remove it from the fit"
        )
    matrix = problem.matrix / scale
    triangle: np.ndarray
    rotation, triangle = qr(matrix, mode="economic") if len(matrix) >= len(scale) else _padded(matrix)
    singular, axes = np.linalg.svd(triangle)[1:]
    flat = singular**2 < FLAT
    if flat.any():
        directions = [name_direction(problem.names, v) for v in reduced(axes[flat], scale)]
        raise InputError(
            f"no dataset constrains {' and '.join(directions)}: flat direction"
            f"{'s' if len(directions) > 1 else ''} of -2 log L; fix one coefficient of each or remove it"
        )
    signs = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    best = solve_triangular(triangle, rotation.T @ problem.target) / scale
    root = solve_triangular(triangle, np.diag(signs)) / scale[:, None]
    return Solution(best, root @ root.T, root, singular[::-1] ** 2)


def _padded(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Q, R of a matrix with fewer rows than columns, filled up with rows of zeros."""
    p = matrix.shape[1]
    filled = np.concatenate([matrix, np.zeros((p - len(matrix), p))])
    q, r = qr(filled, mode="economic")
    return np.asarray(q), np.asarray(r)


def reduced(null: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return a basis of the space of flat directions (k, p) with few coefficients each, in units of p.

    null: orthonormal rows in scaled coordinates. Gauss-Jordan elimination with full pivoting.
    """
    rows = np.array(null)
    for i in range(len(rows)):
        row, column = divmod(int(np.argmax(np.abs(rows[i:]))), rows.shape[1])
        rows[[i, i + row]] = rows[[i + row, i]]
        rows[i] /= rows[i, column]
        others = [j for j in range(len(rows)) if j != i]
        rows[others] -= np.outer(rows[others, column], rows[i])
    return np.asarray(np.where(np.abs(rows) > _SHOWN, rows, 0.0) / scale)


def name_direction(names: Sequence[str], direction: np.ndarray) -> str:
    """Return a direction (p,) in words, such as "OpQM + 0.3 O3pQ3"; the largest component is one."""
    lead = direction[np.argmax(np.abs(direction))]
    terms = [(x / lead, n) for x, n in zip(direction, names, strict=True) if x != 0]
    terms.sort(key=lambda term: -abs(term[0]))
    words = [
        f"{'-' if x < 0 else '+'} {'' if f'{abs(x):.2g}' == '1' else f'{abs(x):.2g} '}{n}" for x, n in terms
    ]
    return " ".join(words).removeprefix("+ ")


def solve(
    likelihood: Likelihood,
    *,
    n_samples: int = 10_000,
    seed: int = 0,
    levels: Sequence[float] = (0.68, 0.95),
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> FitResult:
    """Return the exact posterior of a likelihood with quadratic -2 log L: flat prior, no ranges.

    best and covariance are exact, samples are independent, and the evidence is that of a flat prior in the
    ranges of `bounds`, default those of the likelihood, if all coefficients have one; constraints of
    nuisances are priors. `messages` say where a range would cut into the posterior: best, covariance,
    samples and intervals know nothing of ranges, and log Z then holds the share of samples inside.

    n_samples: number of posterior samples. seed: of these. levels: of the stored intervals.
    `provenance` has the eigenvalues of the Fisher matrix scaled to a unit diagonal ("smallest_eigenvalue")
    and its condition number.
    Raises InputError when -2 log L is not quadratic, and for flat directions, which it names.
    """
    for level in levels:
        check_level(level)
    if n_samples < 1 or seed < 0:
        raise InputError(f"n_samples must be positive and seed not negative, got {n_samples} and {seed}")
    problem = _design(likelihood)
    if problem is None:
        raise InputError(
            "-2 log L is not quadratic in all parameters, so it has no exact solution: all datasets must be "
            "binned and Gaussian without quadratic terms (use_quad: false), all rules between coefficients "
            "linear; use minimise, laplace or sample"
        )
    ranges = all_bounds(likelihood, bounds)
    solution = least_squares(problem)
    names, p = likelihood.parameters, len(likelihood.parameters)
    best, covariance = solution.best[:p], solution.covariance[:p, :p]  # profiled nuisances stand last
    z = np.random.default_rng(seed).normal(size=(n_samples, len(problem.names)))
    free = best + (z @ solution.root.T)[:, :p]
    prior = make_prior(likelihood, ranges)
    m2logl = float(likelihood.m2logl(best))
    logz, logz_error, messages = _evidence(prior, best, covariance, free, m2logl)
    frame = pd.DataFrame(covariance, index=list(names), columns=list(names))
    errors = pd.Series(np.sqrt(np.diag(covariance)), index=frame.index)
    values = {k: float(v) for k, v in likelihood.coefficients(best).items()}

    def intervals(level: float) -> pd.DataFrame:
        half = errors.to_numpy() * half_width(level)
        table = pd.DataFrame({"lower": best - half, "upper": best + half}, index=list(names))
        table.attrs["method"] = "exact Gaussian"
        return table

    return FitResult(
        method="linear",
        best=values,
        covariance=frame,
        m2logl=m2logl,
        valid=True,
        messages=(*messages, *pulls(likelihood, values, errors), *caveats(likelihood)),
        samples=pd.DataFrame({k: np.asarray(v) for k, v in likelihood.coefficients(free).items()}),
        logz=logz,
        logz_error=logz_error,
        stored_intervals={float(level): intervals(level) for level in levels},
        provenance=provenance(
            likelihood,
            ("numpy", "scipy"),
            seed=seed,
            n_samples=n_samples,
            condition=float(solution.eigenvalues[-1] / solution.eigenvalues[0]),
            smallest_eigenvalue=float(solution.eigenvalues[0]),
            prior=prior.record() if logz is not None else None,
        ),
        interval_function=intervals,
        nuisances=tuple(n for n in nuisances_in(likelihood) if n in values),
    )


def _evidence(
    prior: Prior, best: np.ndarray, covariance: np.ndarray, free: np.ndarray, m2logl: float
) -> tuple[float | None, float | None, list[str]]:
    """Return log Z and its error, None without ranges, and what to say about ranges that cut."""
    messages = []
    share = outside_share(prior, best, np.sqrt(np.diag(covariance)))
    cut = [(x, n) for n, x in zip(prior.names, share, strict=True) if x > CUT]
    if cut:
        worst = [f"{n} ({x:.0%} outside)" for x, n in sorted(cut, reverse=True)[:5]]
        more = f" and {len(cut) - 5} more" if len(cut) > 5 else ""
        messages.append(
            f"{CUTS} {', '.join(worst)}{more}: the exact solution ignores it; "
            "widen the ranges, or sample inside them with laplace, nuts or ultranest"
        )
    volume = log_volume(prior)
    if not np.isfinite(volume):
        return None, None, messages
    within = float(inside(prior, free).mean())
    if within == 0.0:
        messages.append("log Z is not given: none of the samples lies inside the prior box")
        return None, None, messages
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    integral = 0.5 * np.linalg.slogdet(2 * np.pi * correlation)[1] + float(np.sum(np.log(scale)))
    logz = -0.5 * m2logl + integral + volume + float(np.log(within))
    return float(logz), float(np.sqrt((1 - within) / (within * len(free)))), messages
