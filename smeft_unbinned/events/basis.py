"""Choice of the points at which to generate or reweight, by the spread of the morphing weights over a prior.

With points c_b the rate anywhere is a combination of the rates there, w(c) = sum_b v_b(c) w_b, with the
morphing weights v(c) = m(c)^T A^-1 (arXiv:1805.00020, section on morphing; arXiv:2410.07315). Statistical
fluctuations of the w_b enter with v_b, so a good basis has a small expected

    spread = E_prior[ sum_b v_b(c)^2 ]^(1/2),

which is one where a single point suffices. It is exact for a quadratic form: sum_b v_b^2 = m^T (A^T A)^-1 m,
so the expectation is the trace of (A^T A)^-1 times the second moments of the monomials, fourth moments of the
prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np
import scipy

from ..errors import InputError, nearest
from ..polynomial import check_operators, size
from . import morphing

if TYPE_CHECKING:
    from typing_extensions import Unpack

Prior = Literal["gaussian", "uniform"]
_REACH = 0.1  # distance at which points repel each other, in units of the prior's scales
_MOMENTS: dict[str, tuple[float, float]] = {"gaussian": (1.0, 3.0), "uniform": (1 / 3, 1 / 5)}


@dataclass(frozen=True)
class Basis:
    """Points chosen, and how good they are.

    operators: n names. points: (B, n) in TeV^-2; the first is the SM where that was asked for.
    spread: root of the expected summed squares of the morphing weights at the points; `before` at those that
        the search started from. condition: condition number of the scaled monomial matrix.
    """

    operators: tuple[str, ...]
    points: np.ndarray
    spread: float
    before: float
    condition: float

    def named(self) -> list[dict[str, float]]:
        """Return the points as {operator: value}, as the readers take them."""
        return [dict(zip(self.operators, row, strict=True)) for row in self.points.tolist()]


class SearchOptions(TypedDict, total=False):
    """Where points are sought.

    start: points to improve on, mappings by name or (B, n) in TeV^-2; default random ones.
    bounds: largest |c| in units of the scale, default 3.
    include_sm: keep the first point at the SM, as by default.
    tries: starts, of which the best is returned; default 4.
    """

    start: Sequence[Mapping[str, float]] | np.ndarray | None
    bounds: float
    include_sm: bool
    tries: int


@dataclass(frozen=True, eq=False)
class Search:
    """`SearchOptions` with a value for each."""

    start: Sequence[Mapping[str, float]] | np.ndarray | None = None
    bounds: float = 3.0
    include_sm: bool = True
    tries: int = 4


def moments(n: int, prior: Prior = "gaussian") -> np.ndarray:
    """Return E[m_a(c) m_b(c)], (P, P), for independent c_i of scale one.

    gaussian: standard deviation one. uniform: between -1 and 1.
    """
    if prior not in _MOMENTS:
        raise InputError(
            f"prior must be 'gaussian' or 'uniform', got {prior!r}.{nearest(str(prior), _MOMENTS)}"
        )
    second, fourth = _MOMENTS[prior]
    rows, columns = np.triu_indices(n + 1)
    powers = np.zeros((rows.size, n + 1), dtype=int)
    for a, (i, j) in enumerate(zip(rows, columns, strict=True)):
        powers[a, i] += 1
        powers[a, j] += 1
    total = powers[:, None, 1:] + powers[None, :, 1:]
    table = np.array([1.0, 0.0, second, 0.0, fourth])
    return np.asarray(np.prod(table[total], axis=-1))


def spread(points: np.ndarray, scales: np.ndarray, prior: Prior = "gaussian") -> float:
    """Return the spread of the morphing weights of points (B, n) for a prior of scales (n,).

    Infinite where the points leave monomials undetermined.
    """
    matrix = morphing.monomial_matrix(np.asarray(points, dtype=float) / scales)
    value, _ = _variance(matrix, moments(matrix_operators(matrix), prior))
    return float(np.sqrt(value))


def matrix_operators(matrix: np.ndarray) -> int:
    """Return n from the number of monomials of a matrix (B, P)."""
    return int((np.sqrt(8 * matrix.shape[1] + 1) - 3) / 2 + 0.5)


def _variance(matrix: np.ndarray, second: np.ndarray) -> tuple[float, np.ndarray]:
    """Return tr[(A^T A)^-1 S] and its derivative by A, (B, P)."""
    gram = matrix.T @ matrix
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return float("inf"), np.zeros_like(matrix)
    inverse = np.linalg.inv(gram)
    inner = inverse @ second @ inverse
    return float(np.sum(inverse * second)), -2.0 * matrix @ inner


def choose_basis(
    scales: Mapping[str, float],
    *,
    seed: int,
    prior: Prior = "gaussian",
    number: int | None = None,
    **options: Unpack[SearchOptions],
) -> Basis:
    """Return points with a small expected spread of the morphing weights over a prior.

    scales: {operator: scale of its prior in TeV^-2}: standard deviation of a Gaussian, or half the width of a
        uniform prior around zero.
    seed: of the random starts. number: of points, default one per monomial; more lower the spread further.
    options: see `SearchOptions`.

    Raises InputError for fewer points than monomials, scales that are not positive, and start points that do
    not fit.
    """
    names, search = check_operators(scales), Search(**options)
    widths = np.array([float(x) for x in scales.values()])
    n, needed = len(names), size(len(names))
    if not n or not np.all((widths > 0) & np.isfinite(widths)):
        raise InputError(f"scales must be positive for at least one operator, got {dict(scales)}")
    count = needed if number is None else int(number)
    given = None if search.start is None else _start(search.start, names) / widths
    count = len(given) if given is not None and number is None else count
    if count < needed:
        raise InputError(
            f"{n} operators have {needed} monomials, {count} points cannot determine them; ask for at least "
            f"{needed}"
        )
    bounds = search.bounds
    if not bounds > 0 or search.tries < 1:
        raise InputError(f"bounds and tries must be positive, got {bounds} and {search.tries}")
    if given is not None and len(given) != count:
        raise InputError(f"start has {len(given)} points, number asks for {count}")
    second, rng = moments(n, prior), np.random.default_rng(seed)
    found: list[tuple[float, np.ndarray]] = []
    before: list[float] = []
    for t in range(search.tries):
        fresh = rng.normal(size=(count, n)) if prior == "gaussian" else rng.uniform(-1, 1, size=(count, n))
        first = np.clip(given if given is not None and t == 0 else fresh, -bounds, bounds)
        first[0] = 0.0 if search.include_sm else first[0]
        before.append(_variance(morphing.monomial_matrix(first), second)[0])
        found.append(_improve(first, second, bounds, search.include_sm))
    found = [pair for pair in found if len(pair[1]) == 1 or _apart(pair[1]) > 1e-2 * _REACH]
    if not found:
        raise InputError(f"{count} points within bounds={bounds:g} come to lie on each other; ask for fewer")
    value, points = min(found, key=lambda pair: pair[0])
    _, condition = morphing.check_points(names, points * widths)
    return Basis(names, points * widths, float(np.sqrt(value)), float(np.sqrt(before[0])), condition)


def _start(start: Sequence[Mapping[str, float]] | np.ndarray, names: Sequence[str]) -> np.ndarray:
    if isinstance(start, np.ndarray):
        points = np.asarray(start, dtype=float)
    else:
        points = np.array([[float(p.get(name, 0.0)) for name in names] for p in start])
        unknown = [name for p in start for name in p if name not in names]
        if unknown:
            raise InputError(f"unknown operator {unknown[0]!r} in start.{nearest(unknown[0], names)}")
    if points.ndim != 2 or points.shape[1] != len(names) or not np.all(np.isfinite(points)):
        raise InputError(f"start must hold finite points (B, {len(names)}), got shape {points.shape}")
    return points


def _crowding(points: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a penalty on points that are close to each other, and its derivative (B, n).

    A weight at the same point twice says nothing new, but the spread alone would put surplus points there.
    """
    difference = points[:, None] - points[None, :]
    distance = np.sqrt(np.sum(difference**2, axis=-1) + 1e-6)
    each = np.exp(-distance / _REACH) * (1.0 - np.eye(len(points)))
    slope = -np.sum((each / distance)[..., None] * difference, axis=1) / _REACH
    return 0.05 * float(np.sum(each)), 0.1 * slope


def _apart(points: np.ndarray) -> float:
    """Return the smallest distance between two of the points (B, n)."""
    distance = np.linalg.norm(points[:, None] - points[None, :], axis=-1)
    return float(np.min(distance + np.where(np.eye(len(points)), np.inf, 0.0)))


def _improve(first: np.ndarray, second: np.ndarray, bounds: float, fixed: bool) -> tuple[float, np.ndarray]:
    """Minimise over the points (B, n), the first of which stays where it is if fixed."""
    keep, shape = int(fixed), first.shape
    rows, columns = np.triu_indices(shape[1] + 1)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        points = np.concatenate([first[:keep], x.reshape(-1, shape[1])])
        matrix = morphing.monomial_matrix(points)
        value, slope = _variance(matrix, second)
        if not np.isfinite(value):
            return 1e30, np.zeros_like(x)
        near, away = _crowding(points)
        full = np.concatenate([np.ones((len(points), 1)), points], axis=1)
        gradient = np.zeros_like(full)
        for a, (i, j) in enumerate(zip(rows, columns, strict=True)):
            gradient[:, i] += slope[:, a] * full[:, j]
            gradient[:, j] += slope[:, a] * full[:, i]
        total = gradient[:, 1:] / value + away  # of the logarithm, whose minimum is the same
        return float(np.log(value)) + near, total[keep:].ravel()

    limits = [(-bounds, bounds)] * (first.size - keep * shape[1])
    result = scipy.optimize.minimize(
        objective, first[keep:].ravel(), jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": 500}
    )
    points = np.concatenate([first[:keep], result.x.reshape(-1, shape[1])])
    value = _variance(morphing.monomial_matrix(points), second)[0]
    start = _variance(morphing.monomial_matrix(first), second)[0]
    return (value, points) if value <= start else (start, first)
