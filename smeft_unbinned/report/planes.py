"""What is known in the plane of two coefficients: contours, and fits whose covariance gives an ellipse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..fit import FitResult
from .found import Found, Pair
from .paired import Contours, drawn, label
from .recomputed import Recomputed
from .words import strongest


@dataclass(frozen=True, eq=False)
class Plane:
    """The fit of all coefficients of a folder, or those of two at a time. label: on the page."""

    label: str
    fits: FitResult | Mapping[Pair, FitResult] | None
    contours: Contours

    def fit(self, a: str, b: str) -> FitResult | None:
        """Return the valid fit that has both coefficients, or None."""
        fit = self.fits
        if isinstance(fit, Mapping):
            fit = fit.get((a, b), fit.get((b, a)))
        return fit if fit is not None and fit.valid and {a, b} <= set(fit.operators) else None

    def curves(self, a: str, b: str) -> list[pd.DataFrame]:
        """Return the closed curves of both coefficients in either order, with the columns a and b."""
        return [
            curve
            for first, second, frame in self.contours
            if {first, second} == {a, b}
            for _, curve in frame.groupby(["level", "curve"])
        ]


def planes(found: Sequence[Found], again: Mapping[str, Recomputed]) -> list[Plane]:
    """Return what is known of all folders."""
    return [
        plane
        for one in found
        for plane in (
            Plane(one.label, one.result, one.contours),
            *([Plane(label(one), one.pairs, again[one.label].contours)] if one.pairs else ()),
        )
    ]


def pairs(found: Sequence[Found]) -> list[Pair]:
    """Return the pairs to be drawn: with contours or a fit of two, else the most correlated one."""
    known = [pair for one in found for pair in (*((a, b) for a, b, _ in one.contours), *drawn(one))]
    distinct = {frozenset(pair): pair for pair in reversed(known)}
    kept = [distinct[key] for key in dict.fromkeys(map(frozenset, known))]
    for one in found if not kept else ():
        if one.result is not None and one.result.valid and len(one.result.operators) > 1:
            first = strongest(one.result).iloc[0]
            return [(str(first["first"]), str(first["second"]))]
    return kept
