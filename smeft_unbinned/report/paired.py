"""Fits of two coefficients at a time, the others at zero: which of them have contours, and these."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from ..errors import InputError
from ..fit import FitResult, contour
from ..likelihood import Likelihood
from .found import PAIRED, Found, Pair

Contours = Sequence[tuple[str, str, pd.DataFrame]]
"""Both coefficients, and a frame with the columns level, curve, and one for each of them."""
LEVELS = (0.68, 0.95)
MOST = 45
"""Pairs of a folder that have contours and figures as files: as many as ten coefficients have."""


def label(found: Found) -> str:
    """Return what the fits of two coefficients of a folder are called on the page."""
    return f"{found.label} ({PAIRED})"


def correlation(result: FitResult, pair: Pair) -> float:
    """Return the correlation of two coefficients."""
    return float(result.correlation.loc[list(pair), list(pair)].to_numpy()[0, 1])


def drawn(found: Found) -> dict[Pair, FitResult]:
    """Return the valid fits of two coefficients that have contours: of many the most correlated."""
    valid = {pair: result for pair, result in found.pairs.items() if result.valid}
    kept = sorted(valid, key=lambda pair: -abs(correlation(valid[pair], pair)))[:MOST]
    return {pair: result for pair, result in valid.items() if pair in kept}


def contours(
    found: Found, likelihood: Likelihood, say: Callable[[str], None]
) -> tuple[Contours, tuple[str, ...]]:
    """Return the contours of the fits of two coefficients, and what is to be told about them.

    likelihood: of the runcard of these fits. Profiles of fits without samples, else the regions of highest
    density, as `smeft-unbinned scan` has them.
    """
    kept, valid = drawn(found), sum(result.valid for result in found.pairs.values())
    done: list[tuple[str, str, pd.DataFrame]] = []
    notes = []
    if len(kept) < valid:
        notes.append(f"Of {valid} pairs the {MOST} most correlated ones have contours, the others ellipses.")
    for (a, b), result in kept.items():
        say(f"contour of {a}, {b}")
        kind = "profile" if result.samples is None else "posterior"
        try:
            by_level = contour(likelihood.only([a, b]), a, b, LEVELS, result=result, kind=kind)
        except InputError as error:  # a region without end
            notes.append(f"{a} and {b} have no contour: {error}")
            continue
        frames = [
            frame.assign(level=level, curve=k)[["level", "curve", a, b]]
            for level, curves in by_level.items()
            for k, frame in enumerate(curves)
        ]
        done.append((a, b, pd.concat(frames, ignore_index=True)))
    return done, tuple(notes)
