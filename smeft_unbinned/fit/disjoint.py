"""Intervals in several pieces: of a profile with several minima, and of samples with several peaks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import InputError, nearest
from ..likelihood import Likelihood
from ..quantiles import chi2_quantile
from .credible import unions
from .frames import Scaled
from .intervals import Branch, pieces
from .result import FitResult, check_level
from .scales import scales


def disjoint_intervals(
    likelihood: Likelihood, result: FitResult, name: str, level: float = 0.95
) -> list[tuple[float, float]]:
    """Return the intervals of a parameter in which the profile -2 log L is within Delta of its minimum.

    Delta is the quantile of chi2 with one degree of freedom at the level. The profile is followed to both
    sides from every minimum in `result.minima` that lies below, and the intervals found are united; they
    come from low to high, in the units of the parameter. An end that does not exist is infinite.
    result: of `minimise` with the same likelihood; starts=... finds more minima.
    Raises InputError for a parameter that is not free, a level outside (0, 1), and a result of another fit.
    """
    check_level(level)
    names = list(likelihood.parameters)
    if name not in names:
        raise InputError(f"{name!r} is not a free parameter of the fit.{nearest(name, names)}")
    missing = [n for n in names if n not in result.best]
    if missing:
        raise InputError(f"the result has no {', '.join(missing)}: it is of another fit; fit this likelihood")
    found = result.minima
    table = pd.DataFrame([dict(result.best)]) if found is None else found
    points = table[names].to_numpy(float)
    errors = result.errors.reindex(names).to_numpy(float)
    if not (np.isfinite(errors).all() and (errors > 0).all()):
        errors = scales(likelihood, points[0])
    function = Scaled(likelihood, errors)
    branches = [Branch.at(function, function.inverse(c)) for c in points]
    target = min(b.value for b in branches) + float(chi2_quantile(level, 1))
    i = names.index(name)
    unit = float(errors[i])
    return [(low * unit, high * unit) for low, high in pieces(function, branches, i, target)]


def hdi(samples: ArrayLike, level: float = 0.95) -> list[tuple[float, float]]:
    """Return the region of highest density of samples (s,), disjoint intervals from low to high.

    Raises InputError for a level outside (0, 1) and for samples that are not a row of finite numbers.
    """
    check_level(level)
    x = np.asarray(samples, dtype=float)
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all():
        raise InputError(f"samples must be a row of at least two finite numbers, got shape {x.shape}")
    return [(float(low), float(high)) for low, high in unions(pd.DataFrame({"x": x}), level).to_numpy()]
