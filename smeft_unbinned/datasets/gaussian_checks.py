"""Checks of a Gaussian measurement: shapes, numbers, and a covariance that is positive definite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .record import Vector

Groups = tuple[tuple[str, slice], ...]
"""Name and place of each measurement among the points."""

_SINGULAR = 1e-7
"""Fraction of a standard deviation that the other points must leave free; less is lost in rounding."""
_SHARE = 0.1
"""Points with at least this fraction of the largest share in a direction without uncertainty are named."""
_NAMED = 6


def check_groups(name: str, groups: Sequence[tuple[str, slice]] | None, n: int) -> Groups:
    """Return the groups of n points, by default one; raise InputError unless they cover all."""
    if groups is None:
        return ((name, slice(0, n)),)
    bounds = [(str(label), place.indices(n)) for label, place in groups]
    checked = tuple((label, slice(start, stop)) for label, (start, stop, _) in bounds)
    edges = [0, *(place.stop for _, place in checked)]
    starts = [place.start for _, place in checked]
    labels = [label for label, _ in checked]
    plain = all(step == 1 for _, (_, _, step) in bounds) and len(set(labels)) == len(labels)
    if not plain or starts != edges[:-1] or edges[-1] != n or edges != sorted(edges):
        raise InputError(
            f"{name}: groups must be distinct names with slices that cover the {n} points in order, got "
            f"{[(label, place.start, place.stop) for label, place in checked]}"
        )
    return checked


def points_named(groups: Groups, points: Sequence[int]) -> str:
    """Return the places of points within their measurements, counted from 0: "A[3], A[4], B[0]"."""
    names = []
    for point in points[:_NAMED]:
        label, place = next((k, s) for k, s in groups if s.start <= point < s.stop)
        names.append(f"{label}[{point - place.start}]")
    more = len(points) - _NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def check_finite(name: str, what: str, array: np.ndarray, groups: Groups) -> None:
    """Raise InputError, naming the first entry of an array (n, ...) that is no finite number."""
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(
            f"{name}: the {what} has a non-finite entry at {where}, point {points_named(groups, where[:1])}; "
            "correct the input"
        )


def factorised(name: str, covariance: Vector, groups: Groups) -> tuple[Vector, Vector]:
    """Return a covariance (n, n), made exactly symmetric, and its Cholesky factor L, V = L L^T.

    Raises InputError, naming measurements and points, where it is not symmetric or not positive definite.
    """
    scale = np.sqrt(np.abs(np.diag(covariance)))
    skew = np.abs(covariance - covariance.T) > 1e-8 * np.outer(scale, scale)
    if np.any(skew):
        i, j = (int(k) for k in np.argwhere(skew)[0])
        raise InputError(
            f"{name}: the covariance is not symmetric, between {points_named(groups, [i, j])}; "
            "pass (V + V^T)/2 if that is meant"
        )
    covariance = 0.5 * (covariance + covariance.T)
    try:
        factor = np.linalg.cholesky(covariance)
        if np.min(np.diag(factor) / scale) > _SINGULAR:
            return covariance, np.asarray(factor, dtype=float)
    except np.linalg.LinAlgError:
        pass
    smallest = float(np.linalg.eigvalsh(covariance)[0])
    raise InputError(
        f"{name}: the covariance is not positive definite (smallest eigenvalue {smallest:.3g}): "
        f"{_fault(covariance, groups)}"
    )


def _fault(covariance: Vector, groups: Groups) -> str:
    """Return which points have no uncertainty of their own, and what to do; points count from 0."""
    variance = np.diag(covariance)
    bare = np.flatnonzero(variance <= 0).tolist()
    if bare:
        negative = " or a negative variance" if np.any(variance < 0) else ""
        return (
            f"no uncertainty{negative} at {points_named(groups, bare)} (counted from 0); "
            "give each point an uncertainty, or leave its measurement out"
        )
    scale = np.sqrt(variance)
    _, directions = np.linalg.eigh(covariance / np.outer(scale, scale))
    share = np.abs(directions[:, 0])
    points = np.flatnonzero(share > _SHARE * share.max()).tolist()
    return (
        f"{points_named(groups, points)} (counted from 0) are fully correlated, one combination of them has "
        "no uncertainty; add an uncorrelated uncertainty, or leave one of them out"
    )
