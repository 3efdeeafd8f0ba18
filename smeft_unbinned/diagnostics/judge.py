"""Verdicts on a wrong normalisation: what it does to -2 log L, and whether it can be told from zero.

A ratio that is too large by the factor 1 + d moves -2 log L of N expected events by -2 N log(1 + d), to be
seen against the 3.84 that end a 95 % interval.
"""

from __future__ import annotations

import numpy as np

from .result import FAIL, PASS, WARN

SEEN, SURE = 3.0, 4.0
"""Deviations in units of their error from which they count as seen, and as certain."""
SMALL, LARGE = 0.3, 1.0
"""Changes of -2 log L below which a deviation does not matter, and above which it does."""
_SAME = 1e-12


def significance(deviation: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return deviation over error; zero where the deviation is rounding only."""
    deviation = np.where(np.abs(deviation) < _SAME, 0.0, deviation)
    return np.asarray(deviation / np.maximum(error, _SAME))


def shift(deviation: np.ndarray, expected: float) -> np.ndarray:
    """Return by how much dividing r by 1 + deviation raises -2 log L of the expected events."""
    return np.asarray(2.0 * expected * np.log(np.maximum(1.0 + deviation, 1e-10)))


def judge(deviation: np.ndarray, error: np.ndarray, expected: float) -> tuple[str, int, bool]:
    """Return the verdict on relative deviations (K,) with errors (K,), the worst point, and whether the
    errors are too large to tell.
    """
    size, z = np.abs(shift(deviation, expected)), np.abs(significance(deviation, error))
    fails, warns = (z > SURE) & (size > LARGE), (z > SEEN) & (size > SMALL)
    vague = bool(np.any(2.0 * expected * error > LARGE))
    order = size + 1e6 * warns + 1e9 * fails
    verdict = FAIL if fails.any() else WARN if warns.any() or vague else PASS
    return verdict, int(np.argmax(order)), vague and not warns.any()
