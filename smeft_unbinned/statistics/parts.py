"""A likelihood taken apart: where each dataset is at a point, how it moves with them, other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from ..constraints import Constraint, ConstraintTerm
from ..datasets import Dataset, GaussianDataset
from ..errors import InputError
from ..likelihood import Likelihood
from ..polynomial import Point, as_point
from ..profiled import ProfiledLikelihood


def joint_of(likelihood: Likelihood) -> Likelihood:
    """Return the likelihood of coefficients and nuisances behind one that is profiled, or the same."""
    return likelihood.joint if isinstance(likelihood, ProfiledLikelihood) else likelihood


def full_point(likelihood: Likelihood, c: Point | None) -> np.ndarray:
    """Return a point of the joint likelihood, (p,): None is the SM, nuisances that c leaves out are zero.

    Raises InputError for an unknown name, another number of coefficients, and what is not finite.
    """
    whole = joint_of(likelihood)
    if c is None or hasattr(c, "keys"):
        point = np.array(as_point(c or {}, whole.parameters), dtype=float)
    else:
        point = np.array(as_point(c, likelihood.parameters), dtype=float)
    if point.ndim != 1 or not np.isfinite(point).all():
        raise InputError(f"one point of finite numbers is needed, got {point}")
    missing = len(whole.parameters) - len(point)
    return np.concatenate([point, np.zeros(missing)]) if missing else point


def by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Return numbers by name."""
    return {name: float(x) for name, x in zip(names, values, strict=True)}


def jacobians(likelihood: Likelihood, point: np.ndarray) -> list[np.ndarray]:
    """Return by dataset the derivatives of its own parameters by those of the likelihood, (k, p) each."""
    p = len(likelihood.parameters)
    curves = likelihood._curves
    bend = None if curves is None else np.asarray(curves.jacobian(point))
    maps = [a for a, _ in likelihood._maps[: len(likelihood.datasets)]]
    return [np.asarray(a[:, :p] if bend is None else a[:, :p] + a[:, p:] @ bend) for a in maps]


def replaced(
    likelihood: Likelihood, datasets: Sequence[Any], constraints: Mapping[str, Constraint | None]
) -> Likelihood:
    """Return the likelihood of other data, and other centres of constraints, in the same parameters.

    datasets: in the order of those here, with the same parameters. A profiled likelihood stays one.
    """
    if isinstance(likelihood, ProfiledLikelihood):
        return replaced(likelihood.joint, datasets, constraints).profiled()
    new = copy(likelihood)
    new.datasets, new.constraints = tuple(datasets), dict(constraints)
    new._terms = (*new.datasets, *([ConstraintTerm(new.constraints)] if new.constraints else []))
    return new


def groups(dataset: Dataset) -> list[tuple[str, slice]]:
    """Return name and place of each binned measurement in a dataset; other kinds have none."""
    return list(dataset.groups) if isinstance(dataset, GaussianDataset) else []


def unique(names: Sequence[str]) -> list[str]:
    """Return names that are distinct: what occurs again gets a number."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
