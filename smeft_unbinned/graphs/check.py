"""A bundle against the dataset that it was made of, with onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..datasets import UnbinnedDataset
from ..engine import FLOOR
from ..polynomial import monomials, packed_indices
from .builder import session
from .likelihood import total_yield
from .manifest import ESTIMATOR, EVENTS, LIKELIHOOD

if TYPE_CHECKING:
    from ..estimators import Estimator

POINTS = 20
"""Points at which -2 log L is compared."""
_CHUNK = 8192


@dataclass(frozen=True)
class Differences:
    """The largest differences of -2 log L, relative to the sum of what its terms are made of.

    likelihood: from the same coefficients. network: from features, None without an estimator.
    """

    likelihood: float
    network: float | None


def check_bundle(
    folder: str | os.PathLike[str],
    dataset: UnbinnedDataset,
    estimator: Estimator | None = None,
    frame: pd.DataFrame | None = None,
    *,
    seed: int = 0,
) -> Differences:
    """Return how far the -2 log L of a bundle is from `UnbinnedDataset.m2logl` at POINTS random points.

    The points lie ever farther from the SM, up to where a coefficient alone may double the yield. Compared
    are the events of the dataset and, of an estimator, those with the features of a frame (N, F), at weight
    one. A difference counts relative to 2 sum_a |nu_a m_a| + 2 sum_e w_e sum_a |a_ea m_a|/max(r_e, FLOOR), so
    that it is the relative error of yield and coefficients that would explain it; of coefficients alone for
    the network, which the yield does not depend on. Infinite where either is not finite.
    Raises InputError without the package onnxruntime, and for files that it cannot read.
    """
    place, nu = Path(folder), total_yield(dataset)
    points = _points(nu, len(dataset.operators), seed)
    likelihood = session(place / LIKELIHOOD)
    coefficients, weights = session(place / EVENTS).run(["coefficients", "weights"], {})
    given = {"coefficients": coefficients, "weights": weights}
    difference = _largest(likelihood, given, dataset, points, nu)
    if estimator is None or frame is None:
        return Differences(difference, None)
    forms = estimator(frame)
    other = dataset.replace(ratios=forms, weights=None, spread=None, replicas=None)
    runtime, values = session(place / ESTIMATOR), frame[list(estimator.features)].to_numpy(float)
    found = [
        runtime.run(["coefficients"], {"features": values[start : start + _CHUNK]})[0]
        for start in range(0, len(values), _CHUNK)
    ]
    same = _largest(likelihood, {"coefficients": np.asarray(forms.coefficients)}, other, points, nu)
    network = _largest(likelihood, {"coefficients": np.concatenate(found)}, other, points, np.zeros_like(nu))
    return Differences(max(difference, same), network)


def _points(nu: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return points (POINTS, n) for a yield (P,)."""
    rows, columns = packed_indices(n)
    linear, quadratic = np.abs(nu[1 : n + 1]), np.abs(nu[rows == columns][1:])
    slope = linear + np.sqrt(linear**2 + 4.0 * quadratic * nu[0])
    double = np.divide(2.0 * nu[0], slope, out=np.ones(n), where=slope > 0)
    distance = np.linspace(0.0, 1.0, POINTS + 1)[1:, None]
    return np.asarray(np.random.default_rng(seed).uniform(-1.0, 1.0, (POINTS, n)) * distance * double)


def _largest(
    likelihood: Any, given: Mapping[str, np.ndarray], dataset: UnbinnedDataset, points: np.ndarray,
    nu: np.ndarray,
) -> float:  # fmt: skip
    """Return the largest difference relative to its terms, those of the yield with coefficients nu (P,)."""
    largest = 0.0
    for c, wanted in zip(points, dataset.m2logl(points), strict=True):
        ratio, found = likelihood.run(["ratio", "m2logl"], {**given, "c": c})
        m = np.abs(monomials(c))
        events = dataset.weights @ (np.abs(given["coefficients"]) @ m / np.maximum(ratio, FLOOR))
        difference = abs(found - wanted) / (2.0 * (np.abs(nu) @ m + events))
        largest = max(largest, float(difference) if np.isfinite(difference) else np.inf)
    return largest
