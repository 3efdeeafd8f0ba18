"""A simple detector: features of events smeared by Gaussian resolutions, truth labels kept.

After smearing, the truth polynomial of an event is a label R(z|c) of the point z before the detector, no
longer the ratio r(x|c) of the observed features x. The mean of R over the events at one x is r there, r(x|c)
= E[R(z|c)|x], so that a regression of the labels on the smeared features still learns r; but the labels must
not be used as r themselves, for instance to export an exact likelihood.

Few events with large labels dominate such a regression, each at the one x that its noise happened to give.
Fractional smearing (arXiv:2410.07315) spreads these outliers over several x, with their weight shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, nearest
from ..events import Events
from ..polynomial import Polynomial
from .resolution import ZH_DETECTOR, Real, Resolution, load_resolutions

__all__ = ["ZH_DETECTOR", "Resolution", "fractional_smear", "load_resolutions", "outlier_scores", "smear"]

Whole = NDArray[np.int64]

_STREAM = 0x5EA3
"""Second word of the seed, so that the noise is independent of what made the events with the same seed."""
_ROUNDING = 1e-9
QUANTILE = 0.99
"""Events above this quantile of the outlier score are repeated unless another choice is made."""


def smear(events: Events, resolutions: Mapping[str, Resolution], seed: int, copies: int = 1) -> Events:
    """Return events with the named features smeared independently; sigma(c) is unchanged.

    copies: every event enters so many times, each with its own noise and its weight divided by `copies`; the
    copies of one event stand together. Features without a resolution stay exact. The truth stays that of the
    event before the detector: see the module. Features that depend on one another, such as a mass and a
    transverse momentum, are smeared as if they were measured apart.
    Raises InputError for an unknown feature and for less than one copy.
    """
    _check_copies(copies)
    return _smear(events, resolutions, seed, np.full(len(events), copies), {"copies": int(copies)})


def fractional_smear(
    events: Events,
    resolutions: Mapping[str, Resolution],
    seed: int,
    *,
    copies: int = 10,
    threshold: float | None = None,
    quantile: float | None = None,
) -> Events:
    """Return events smeared once, and those with outlying labels `copies` times (arXiv:2410.07315).

    Outliers are events whose `outlier_scores` lie above `threshold`, or above that `quantile` of the scores
    (each event counting once; default QUANTILE). Each copy has its own noise and its share 1/copies of the
    weight, so that sums over any function of z stay what they are, and means over x keep their expectation;
    copies of one event stand together. `metadata["smearing"]` records the threshold and what it did.
    Raises InputError for events without truth, less than one copy, both a threshold and a quantile, values of
    these out of range, and an unknown feature.
    """
    _check_copies(copies)
    if events.truth is None:
        raise InputError("fractional smearing chooses events by their labels: it needs truth polynomials")
    if threshold is not None and quantile is not None:
        raise InputError("give a threshold or a quantile of the outlier score, not both")
    scores = outlier_scores(events.truth, np.asarray(events.weights))
    if threshold is None:
        level = QUANTILE if quantile is None else float(quantile)
        if not 0.0 <= level <= 1.0:
            raise InputError(f"the quantile of the outlier score must lie between 0 and 1, got {quantile}")
        cut = float(np.quantile(scores, level))
    else:
        level, cut = None, float(threshold)
        if not 0.0 <= cut < np.inf:
            raise InputError(
                f"the threshold of the outlier score must be finite and zero or above, got {threshold}"
            )
    outliers = scores > cut
    record = {
        "copies": 1,
        "fractional": {
            "copies": int(copies),
            "threshold": cut,
            "quantile": level,
            "outliers": int(outliers.sum()),
            "events": len(events),
            "largest_score": float(scores.max()),
        },
    }
    return _smear(events, resolutions, seed, np.where(outliers, copies, 1), record)


def outlier_scores(labels: Polynomial, weights: Real | None = None) -> Real:
    """Return how far the largest coefficient of each label (N,) stands out, (N,).

    The score is max_a |R_a| / s_a over the coefficients a of c_i and c_i c_j, with s_a the median of |R_a|
    over the events in which it is not zero, each with the modulus of its weight (N,): a spread that the
    outliers themselves do not move. A coefficient that is the same in all events gives 1 everywhere.
    """
    n = len(labels.operators)
    rows, columns = np.triu_indices(n + 1)
    coefficients = np.abs(np.asarray(labels.coefficients, dtype=float))
    diagonal = np.sqrt(coefficients[:, rows == columns])
    zero = coefficients <= _ROUNDING * diagonal[:, rows] * diagonal[:, columns]  # what rounding leaves of it
    coefficients[zero & (rows != columns)] = 0.0
    share = np.ones(len(coefficients)) if weights is None else np.abs(np.asarray(weights, dtype=float))
    scores = np.zeros(len(coefficients))
    for column in coefficients.T[1:]:
        filled = (column > 0.0) & (share > 0.0)
        if filled.any():
            scores = np.maximum(scores, column / _median(column[filled], share[filled]))
    return scores


def _median(values: Real, weights: Real) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def _check_copies(copies: int) -> None:
    if copies < 1:
        raise InputError(f"the number of copies must be at least 1, got {copies}")


def _smear(
    events: Events, resolutions: Mapping[str, Resolution], seed: int, counts: Whole, record: dict[str, Any]
) -> Events:
    """Return events with event e repeated counts[e] times, each time with noise of its own."""
    for name in resolutions:
        if name not in events.features:
            known = ", ".join(events.features.columns)
            raise InputError(
                f"unknown feature {name!r}; known are {known}.{nearest(name, events.features.columns)}"
            )
    index = np.repeat(np.arange(len(events)), counts)
    rng = np.random.default_rng([seed, _STREAM])
    columns: dict[str, Real] = {}
    for name, column in zip(map(str, events.features), events.features.to_numpy(float).T, strict=True):
        repeated = column[index]
        columns[name] = resolutions[name].apply(repeated, rng) if name in resolutions else repeated
    metadata = {
        **events.metadata,
        "sources": list(events.sources),
        "smearing": {
            "resolutions": {name: asdict(resolution) for name, resolution in resolutions.items()},
            "seed": int(seed),
            **record,
        },
        "truth": "label of the event before the detector, R(z)",
    }
    return Events(
        pd.DataFrame(columns),
        None if events.truth is None else events.truth[index],
        (np.asarray(events.weights) / counts)[index],
        events.cross_section,
        metadata,
    )
