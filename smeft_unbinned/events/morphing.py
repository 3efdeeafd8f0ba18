"""Morphing: the polynomial of each event from its weights at a few points in coefficient space.

A weight is quadratic in the coefficients, w_b = sum_a m_a(c_b) q_a with the monomials m = (1, c_i, c_i c_j),
so the weights at enough points c_b give q by a linear system A q = w, A_ba = m_a(c_b): exactly when there
are as many points as monomials, by least squares when there are more (arXiv:1805.00020). Coefficients are
scaled to a largest value of one first, so that the condition number of A says how well the choice of points
separates the monomials and not in which units they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..polynomial import Polynomial, check_operators, monomials

_RANK = 1e-10  # singular values below this fraction of the largest one count as zero
_HUGE = 1e100  # ratios above are mistakes, and their squares overflow
NonPositive = Literal["error", "drop"]


@dataclass(frozen=True)
class Report:
    """How well the inversion went.

    points, monomials, rank: sizes of A, and its rank.
    condition: condition number of A with coefficients scaled to a largest value of one.
    smallest_eigenvalue: least eigenvalue of the matrix of any event's ratio polynomial (1 at the SM); exact
        weights give none below zero.
    residual: largest misfit of a weight relative to the event's SM weight; zero up to rounding unless there
        are more points than monomials.
    kept: which of the N events given remain, (N,).
    """

    points: int
    monomials: int
    rank: int
    condition: float
    smallest_eigenvalue: float
    residual: float
    kept: np.ndarray

    @property
    def dropped(self) -> int:
        """Number of events left out because their SM weight is not positive."""
        return int(np.sum(~self.kept))


def monomial_names(operators: Sequence[str]) -> list[str]:
    """Return a name for each monomial, in the order of `polynomial.monomials`."""
    rows, columns = np.triu_indices(len(operators) + 1)
    factors = ["1", *operators]
    names = []
    for i, j in zip(rows, columns, strict=True):
        names.append(factors[j] if i == 0 else f"{factors[i]}^2" if i == j else f"{factors[i]}*{factors[j]}")
    return names


def monomial_matrix(points: np.ndarray) -> np.ndarray:
    """Return A with A_ba = m_a(c_b): points (B, n) in TeV^-2 give (B, P)."""
    return np.asarray(monomials(np.asarray(points, dtype=float)))


def check_points(operators: Sequence[str], points: np.ndarray) -> tuple[int, float]:
    """Return rank and condition number of the scaled monomial matrix of points (B, n).

    Raises InputError for points of another shape, not finite or listed twice, and for points that leave
    monomials undetermined, naming these.
    """
    names = check_operators(operators)
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != len(names) or not names:
        raise InputError(
            f"points must have shape (B, {len(names)}) for {len(names)} operators, got {points.shape}"
            + ("" if names else "; give at least one operator")
        )
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if bad.size:
        raise InputError(f"point {bad[0]} is not finite: {_describe(names, points[bad[0]])}")
    scaled = points / _scales(points)
    for b in range(len(points)):
        same = np.flatnonzero(np.all(np.abs(scaled[:b] - scaled[b]) < 1e-12, axis=1))
        if same.size:
            raise InputError(
                f"points {same[0]} and {b} are the same, {_describe(names, points[b])}; give each point once"
            )
    matrix = monomial_matrix(scaled)
    _, s, vt = np.linalg.svd(matrix, full_matrices=True)
    rank = int(np.sum(s > _RANK * s[0])) if s.size else 0
    if rank < matrix.shape[1]:
        raise InputError(_deficient(names, matrix, vt[rank:], rank))
    return rank, float(s[0] / s[-1])


def _scales(points: np.ndarray) -> np.ndarray:
    largest = np.max(np.abs(points), axis=0, initial=0.0)
    return np.where(largest > 0, largest, 1.0)


def _describe(operators: Sequence[str], point: np.ndarray) -> str:
    values = [f"{name} = {x:g}" for name, x in zip(operators, point, strict=True) if x]
    return "(" + ", ".join(values or ["all zero"]) + ")"


def _deficient(operators: Sequence[str], matrix: np.ndarray, null: np.ndarray, rank: int) -> str:
    """Name the monomials of the null space (K, P): those in one vector cannot be told from each other."""
    names = monomial_names(operators)
    projector = null.T @ null
    linked = np.abs(projector) > 1e-8
    absent = [a for a in range(len(names)) if not np.any(matrix[:, a])]
    left = [a for a in range(len(names)) if linked[a, a] and a not in absent]
    groups = []
    while left:
        group, queue = set(), [left[0]]
        while queue:
            a = queue.pop()
            if a not in group:
                group.add(a)
                queue += [b for b in left if linked[a, b]]
        left = [a for a in left if a not in group]
        groups.append(" from ".join(names[a] for a in sorted(group)))
    parts = [f"they cannot separate {_listing(groups, 30)}"] if groups else []
    parts += [f"they never switch on {_listing([names[a] for a in absent], 10)}"] if absent else []
    return (
        f"the {len(matrix)} points determine only {rank} of the {len(names)} monomials in "
        f"{len(operators)} operators: {'; '.join(parts)}. Add weights at more points (two values per "
        "operator and one point per pair suffice), or choose fewer operators"
    )


def _listing(items: Sequence[str], limit: int) -> str:
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _check_weights(weights: np.ndarray, points: np.ndarray, labels: Sequence[str]) -> None:
    if weights.ndim != 2 or weights.shape[1] != len(points) or len(labels) != len(points):
        raise InputError(f"weights of shape {weights.shape} do not fit {len(points)} points: expected (N, B)")
    if not len(weights):
        raise InputError("there are no events to invert")
    bad = np.argwhere(~np.isfinite(weights))
    if bad.size:
        event, b = bad[0]
        raise InputError(
            f"event {event}: weight {labels[b]!r} is {weights[event, b]}; remove or repair this event"
        )


def _representable(ratios: np.ndarray, kept: np.ndarray) -> None:
    """Raise InputError for numbers (M, P) out of the range of calculations, naming the first event."""
    bad = np.flatnonzero(~(np.abs(ratios) < _HUGE).all(axis=1))
    if bad.size:
        raise InputError(
            f"event {np.flatnonzero(kept)[bad[0]]}: its weights over the SM one are out of range (above "
            f"{_HUGE:g}); remove or repair this event"
        )


def positive(sm: np.ndarray, non_positive: NonPositive) -> np.ndarray:
    """Return which SM weights (N,) are positive; raise InputError for others unless told to drop them."""
    if non_positive not in ("error", "drop"):
        raise InputError(f"non_positive must be 'error' or 'drop', got {non_positive!r}")
    kept = sm > 0
    count = int(np.sum(~kept))
    if count and (non_positive == "error" or count == len(sm)):
        event = int(np.flatnonzero(~kept)[0])
        raise InputError(
            f"{count} of {len(sm)} events have an SM weight that is not positive, first event {event} "
            f"({sm[event]:g}): their ratio is not defined; pass non_positive='drop' to leave them out"
        )
    return kept


def invert(
    operators: Sequence[str],
    points: np.ndarray,
    weights: np.ndarray,
    *,
    non_positive: NonPositive = "error",
    labels: Sequence[str] | None = None,
) -> tuple[Polynomial, np.ndarray, Report]:
    """Return the ratio polynomials (M,), the SM weights (M,) and a report, from weights at points.

    operators: n names. points: (B, n) in TeV^-2. weights: (N, B), any unit, which the SM weights share.
    non_positive: what to do with events whose SM weight is not positive; with "drop" M may be below N.
    labels: names of the B weights, for errors.
    An SM point among the points is used as it stands: the SM weights are those given.

    Raises InputError for what `check_points` refuses, weights that are not finite (naming event and weight)
    or of another shape, and SM weights that are not positive.
    """
    points, weights = np.asarray(points, dtype=float), np.asarray(weights, dtype=float)
    rank, condition = check_points(operators, points)
    _check_weights(weights, points, labels or [f"{b}" for b in range(len(points))])
    scales = _scales(points)
    matrix = monomial_matrix(points / scales)
    at_sm = np.flatnonzero(~points.any(axis=1))
    sm = weights[:, at_sm[0]] if at_sm.size else np.linalg.lstsq(matrix, weights.T, rcond=None)[0][0]
    kept = positive(sm, non_positive)
    sm = sm[kept]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ratios = (weights[kept] / sm[:, None] - 1.0).T  # (B, M)
        units = monomial_matrix(scales[None])[0]
    _representable(ratios.T, kept)
    q = np.ones((matrix.shape[1], len(sm)))
    if at_sm.size:
        q[1:] = np.linalg.lstsq(matrix[:, 1:], ratios, rcond=None)[0]
    else:
        q[1:] = np.linalg.lstsq(matrix, ratios, rcond=None)[0][1:]
    residual = float(np.max(np.abs(matrix[:, 1:] @ q[1:] - ratios)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ratio = Polynomial(operators, (q / units[:, None]).T)
    _representable(ratio.coefficients, kept)
    smallest = min(
        float(np.linalg.eigvalsh(ratio[i : i + 20000].matrix())[:, 0].min()) for i in range(0, len(sm), 20000)
    )
    return ratio, sm, Report(len(points), matrix.shape[1], rank, condition, smallest, residual, kept)
