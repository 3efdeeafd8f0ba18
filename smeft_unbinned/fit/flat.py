"""Directions in which -2 log L does not change, in words: "OpQM + 0.3 O3pQ3"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..directions import echelon, in_words
from ..errors import InputError
from ..likelihood import Likelihood
from .trust import quiet

NO_CURVATURE = 1e-10
"""Curvature, where that of every single coefficient is one, from which a direction may be flat."""
_SMALL = 0.02
"""Part of a direction, in standard deviations of the leading one, that is not named."""
DISTANCES = 2.0 ** np.arange(-10, 11)
"""Distances at which -2 log L is looked at along such a direction."""


def words(direction: np.ndarray, names: Sequence[str], unit: np.ndarray) -> str:
    """Return a direction (n,) in words, the leading coefficient first and with the factor one.

    unit: steps (n,) of single parameters that count alike.
    """
    lead = direction[np.argmax(np.round(np.abs(direction / unit) / np.abs(direction / unit).max(), 6))]
    return in_words(direction * np.sign(lead), names, _SMALL, None, unit)


def simple(vectors: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return a basis (n, k) of the same space with as many zeros as elimination gives; vectors: (n, k)."""
    return np.asarray(echelon((vectors / unit[:, None]).T).T * unit[:, None])


def without_curvature(hessian: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the directions (n, k) in which a Hessian (n, n) is not positive, to rounding.

    unit: (n,), steps of single parameters in standard deviations.
    """
    least = np.sqrt(2.0) / unit
    d = np.sqrt(np.abs(np.diag(hessian)))
    d = np.where(d > 1e-4 * least, d, least)
    values, vectors = np.linalg.eigh(hessian / np.outer(d, d))
    return np.asarray(simple(vectors[:, values <= NO_CURVATURE] / d[:, None], 1.0 / d))


def is_flat(likelihood: Likelihood, best: np.ndarray, direction: np.ndarray, unit: np.ndarray) -> bool:
    """Whether -2 log L changes by less than one along a direction (n,) from a point (n,)."""
    step = direction / np.abs(direction / unit).max()
    points = best + np.concatenate([DISTANCES, -DISTANCES])[:, None] * step
    with quiet():
        change = np.abs(likelihood.m2logl(points) - likelihood.m2logl(best))
    return bool(np.nanmax(change) < 1.0)


def reached(directions: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return which parameters (n,) take part in any of the directions (n, k)."""
    size = np.abs(directions / unit[:, None])
    return np.asarray((size > 1e-6 * size.max(axis=0, initial=1e-300)).any(axis=1))


def covariance_at(
    likelihood: Likelihood, best: np.ndarray, unit: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray, bool, list[str]]:
    """Return the covariance at the minimum, flat directions, whether there are any, and what is to be said.

    free: which parameters (n,) vary, m of them; the covariance (m, m) is theirs, directions are (n, k).
    Without positive curvature the covariance is NaN. That alone is no flat direction: with -2 log L of fourth
    order (an operator that enters only squared, in Asimov data) profile intervals are as good as ever.
    """
    m, names = int(free.sum()), likelihood.parameters
    nothing = np.full((m, m), np.nan)
    hessian = np.asarray(likelihood.hessian(best))[np.ix_(free, free)]
    if not np.isfinite(hessian).all():
        message = "-2 log L falls without end: its second derivatives where the search ended are not finite"
        return nothing, np.zeros((len(best), 0)), True, [message]
    directions = np.zeros((len(best), 0))
    bare = without_curvature(hessian, unit[free])
    if not bare.shape[1]:
        return 2.0 * np.linalg.inv(hessian), directions, False, []
    directions = np.zeros((len(best), bare.shape[1]))
    directions[free] = bare
    flat = [is_flat(likelihood, best, d, unit) for d in directions.T]
    messages = []
    for d, nothing_changes in sorted(zip(directions.T, flat, strict=True), key=lambda pair: not pair[1]):
        text = words(d, names, unit)
        if nothing_changes:
            messages.append(f"no dataset constrains {text}: a flat direction; fix one of these")
        else:
            messages.append(
                f"the curvature vanishes along {text}: no covariance there, use the profile intervals"
            )
    return nothing, directions[:, flat], any(flat), messages


def only_quadratic(likelihood: Likelihood, unit: np.ndarray) -> list[str]:
    """Return in words the directions that the data constrain by their quadratic terms alone.

    The curvature of Asimov data at the SM is the Fisher matrix of the linear terms. Empty where a dataset has
    no Asimov data.
    """
    from ..statistics.toys import asimov

    try:
        matrix = asimov(likelihood).hessian(np.zeros(len(likelihood.parameters)))
    except InputError:
        return []
    return [words(v, likelihood.parameters, unit) for v in without_curvature(matrix, unit).T]
