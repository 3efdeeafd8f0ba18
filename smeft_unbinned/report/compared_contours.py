"""The section of the contours of a comparison: two coefficients, a curve per version, the others at zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..comparison.figures import contour_figure
from ..comparison.result import Comparison
from ..comparison.versions import EXACT, NETWORK, SHAPE
from ..plots import COLOURS, REACH, _save
from .compared import named
from .figures import literal
from .found import Found, Pair
from .markup import slug
from .section import Draw, Section

UNBINNED = (EXACT, SHAPE, NETWORK)
FEW = 8
"""Versions that are all drawn at first; of more, of each family with several numbers of bins the finest."""
POINTS = 400
"""Most points of a curve on the page."""
DASHES = ("", "7 4", "2 4", "9 3 2 3")
LEAD = (
    "Regions of two coefficients, all others zero, by how the events are read. The cross is where the data "
    "are; the boxes switch versions. A region that does not close has no curve."
)


def sections(found: Sequence[Found]) -> Iterator[Section]:
    """Yield the section of all contours of comparisons, if there are any."""
    drawings: dict[str, tuple[str, Draw]] = {}
    whole: dict[str, pd.DataFrame] = {}
    for label, comparison in named(found):
        for (a, b), frame in comparison.contours.items():
            mark = f"{slug(a)}_{slug(b)}_{slug(label)}"
            whole[f"compared_{mark}"] = frame
            for terms, together, part in _kinds(frame):
                stem = f"compared_{mark}_{terms}{'_global' if together else ''}"
                title = _title(label, (a, b), terms, together)
                drawings[stem] = (title, partial(_draw, comparison, part, (a, b), title))
    if drawings:
        yield Section(
            "compared", "Contours, binned and unbinned", LEAD, drawings=drawings, whole=whole,
        )  # fmt: skip


def contours(found: Sequence[Found]) -> dict[str, Any]:
    """Return what the page draws.

    compared: an entry per comparison, pair and kind of fit. shown: the versions that are drawn at first.
    groups: the versions that buttons show.
    """
    known = [
        (comparison, pair, part, _title(label, pair, terms, together))
        for label, comparison in named(found)
        for pair, frame in comparison.contours.items()
        for terms, together, part in _kinds(frame)
    ]
    every = list(dict.fromkeys(str(v) for _, _, part, _ in known for v in part["version"]))
    entries = [_entry(*one, every) for one in known]
    shown = [v for _, comparison in named(found) for v in _first(comparison)]
    groups = {
        "All": every,
        "Unbinned": [v for v in every if v in UNBINNED],
        "Binned": [v for v in every if v not in UNBINNED],
        "None": [],
    }
    return {"compared": entries, "shown": shown, "groups": groups}


def _kinds(frame: pd.DataFrame) -> Iterator[tuple[str, bool, pd.DataFrame]]:
    for (terms, together), part in frame.groupby(["terms", "global"], sort=False):
        yield str(terms), bool(together), part


def _title(label: str, pair: Pair, terms: str, together: bool) -> str:
    return f"{label}: {pair[0]} and {pair[1]}, {terms}{', with the global fit' if together else ''}"


def _first(comparison: Comparison) -> list[str]:
    """Return the versions that are drawn at first."""
    versions = comparison.versions
    if len(versions) <= FEW:
        return versions
    finest = {family: version for version, family in comparison.families.items() if family}
    return [v for v in versions if not comparison.families.get(v) or v in finest.values()]


def _entry(
    comparison: Comparison, pair: Pair, part: pd.DataFrame, label: str, every: list[str]
) -> dict[str, Any]:
    """Return a pair of a comparison. every: the versions of all of them, in the order of their looks."""
    at = comparison.about.get("at", {})
    series = []
    for (version, _), curve in part.groupby(["version", "curve"], sort=False):
        number = every.index(str(version))
        kept = np.unique(np.linspace(0, len(curve) - 1, min(POINTS, len(curve))).astype(int))
        x, y = curve[list(pair)].to_numpy(float)[kept].T
        series.append(
            {
                "label": version, "x": x, "y": y, "kind": number % len(COLOURS),
                "dash": DASHES[number // len(COLOURS) % len(DASHES)],
                "thick": 2.8 if version == comparison.reference else 1.8,
            }
        )  # fmt: skip
    centre = [float(at.get(name, 0.0)) for name in pair]
    open_ones = [v for v in comparison.versions if v not in set(part["version"])]
    told = f" No closed region: {', '.join(open_ones)}." if open_ones else ""
    domain, span = (_range(comparison, part, n, x) for n, x in zip(pair, centre, strict=True))
    return {
        "label": label, "a": pair[0], "b": pair[1], "series": series, "domain": domain, "range": span,
        "marks": [{"x": centre[0], "y": centre[1], "stroke": "var(--dim)", "tip": "data"}],
        "note": f"At {100 * part['level'].max():.4g} %.{told}",
    }  # fmt: skip


def _range(comparison: Comparison, part: pd.DataFrame, name: str, centre: float) -> list[float]:
    """Return the range of an axis: that of the curves and the data, at most REACH widths of the reference."""
    low, high = min(part[name].min(), centre), max(part[name].max(), centre)
    own = part.loc[part["version"] == comparison.reference, name]
    if len(own):
        room = (REACH - 1.0) / 2.0 * (own.max() - own.min())
        low, high = max(low, own.min() - room), min(high, own.max() + room)
    margin = 0.04 * (high - low)
    return [low - margin, high + margin]


def _draw(comparison: Comparison, part: pd.DataFrame, pair: Pair, title: str, path: Path) -> Path:
    """Draw the curves of all versions."""
    a, b = map(literal, pair)
    shown = part.rename(columns={pair[0]: a, pair[1]: b}).assign(version=part["version"].map(literal))
    at = {literal(name): value for name, value in comparison.about.get("at", {}).items()}
    return _save(contour_figure(shown, (a, b), literal(title), literal(comparison.reference), at), path)
