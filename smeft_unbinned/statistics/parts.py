"""A likelihood taken apart: its joint form, its points, and its measurements by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
