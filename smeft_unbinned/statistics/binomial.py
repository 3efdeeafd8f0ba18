"""How many of a number of toys: fractions with their binomial intervals and probabilities."""

from __future__ import annotations

import numpy as np
from scipy import stats


def coverage_of(inside: int, count: int, level: float) -> dict[str, float]:
    """Return coverage, its 68 % Wilson interval, and the chances of so few and of so many if it is nominal.

    inside: how many of `count` intervals contain the truth. level: nominal coverage.
    Keys: toys, coverage, lower, upper, p_low (of so few or fewer), p_high (of so many or more).
    """
    if count == 0:
        return {"toys": 0, "coverage": np.nan, "lower": np.nan, "upper": np.nan, "p_low": 1.0, "p_high": 1.0}
    interval = stats.binomtest(inside, count).proportion_ci(0.6827, "wilson")
    return {
        "toys": count,
        "coverage": inside / count,
        "lower": float(interval.low),
        "upper": float(interval.high),
        "p_low": float(stats.binom.cdf(inside, count, level)),
        "p_high": float(stats.binom.sf(inside - 1, count, level)),
    }


def two_sided(p_low: float, p_high: float) -> float:
    """Return the probability of a result as far from the expectation, on either side."""
    return float(min(1.0, 2.0 * min(p_low, p_high)))


def exceedance(value: float, toys: np.ndarray) -> float:
    """Return the probability by toys (T,) of a value at least as large, (1 + k)/(1 + T)."""
    if not np.isfinite(value):
        return float("nan")
    return float((1 + np.sum(toys >= value)) / (1 + len(toys)))
