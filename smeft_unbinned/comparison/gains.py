"""What one version knows more than another: widths, Fisher information, and equivalent luminosity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .influence import width_influence
from .intervals import ALONE
from .sample import Sample
from .versions import Version

Real = NDArray[np.float64]
COLUMNS = (
    "fit", "terms", "global", "version", "bins", "operator", "width", "width_ratio", "width_error",
    "fisher_ratio", "determinant_ratio", "equivalent_luminosity",
)  # fmt: skip
Key = tuple[str, str, bool, str]
"""Fit, terms, whether with the global fit, operator."""
Found: TypeAlias = "tuple[float, Real | None, float, float | None]"
"""Width, its derivative by the weights, information, logarithm of the determinant (None for zero)."""


def gains_of(
    versions: Sequence[Version], records: Mapping[tuple[str, str, bool], Mapping[str, Any]], sample: Sample,
    level: float, reference: str,
) -> pd.DataFrame:  # fmt: skip
    """Return how every version compares with the reference: one row per fit and coefficient.

    records: by version, terms, and whether with the global fit. Columns:

    - width: of the interval at the level, the sum over its pieces, TeV^-2; width_ratio: over that of the
      reference; width_error: of the ratio, from the statistics of the simulation, which both share.
    - fisher_ratio: information on the coefficient over that of the reference, the others fixed or fitted;
      determinant_ratio: the same of the determinants over all coefficients, the same in all rows of a fit.
    - equivalent_luminosity: fb^-1 at which the reference would have the information of this version.
    """
    rows = []
    known: dict[Key, Found] = {}
    ordered = sorted(versions, key=lambda v: v.name != reference)
    for version in ordered:
        for (name, terms, together), record in records.items():
            if (name, terms) != (version.name, version.terms):
                continue
            for fit in record["fits"]:
                best = np.array(fit["best"])
                for operator in fit["operators"]:
                    key = (fit["fit"], terms, together, operator)
                    width, slope = _width(version, sample, fit["intervals"], operator, level, best)
                    kind = "individual" if fit["fit"] == ALONE else "marginal"
                    fisher = float(record["fisher"][kind][operator])
                    logdet = record["fisher"]["logdet"]
                    if version.name == reference:
                        known[key] = (width, slope, fisher, logdet)
                    ratios = _ratios(known[key], (width, slope, fisher, logdet), sample)
                    rows.append((
                        fit["fit"], terms, together, name, version.bins, operator, width, *ratios,
                        ratios[2] * sample.luminosity,
                    ))  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    order = {v.name: k for k, v in enumerate(versions)}
    frame["bins"] = frame["bins"].astype("Int64")
    return frame.sort_values("version", key=lambda s: s.map(order), kind="stable", ignore_index=True)


def _width(
    version: Version, sample: Sample, intervals: Sequence[Mapping[str, Any]], operator: str, level: float,
    best: Real,
) -> tuple[float, Real | None]:  # fmt: skip
    """Return the width of all pieces, and its derivative by the weights, None for an infinite one."""
    own = [row for row in intervals if row["operator"] == operator and row["level"] == level]
    if any(row["lower"] is None or row["upper"] is None for row in own):
        return float("inf"), None
    width = float(sum(row["upper"] - row["lower"] for row in own))
    points = np.array([p for row in own for p in row["points"]], dtype=float)
    slopes = np.array([s for row in own for s in row["slopes"]], dtype=float)
    return width, width_influence(version, sample, points, slopes, best)


def _ratios(one: Found, other: Found, sample: Sample) -> tuple[float, float, float, float]:
    """Return the ratio of widths, its error, the ratio of informations, and of determinants."""
    ratio, error = other[0] / one[0], np.nan
    if one[1] is not None and other[1] is not None:
        relative = other[1] / other[0] - one[1] / one[0]
        error = ratio * float(np.sqrt(np.sum((sample.weights * relative) ** 2)))
    fisher = other[2] / one[2] if one[2] > 0 else np.nan
    if one[3] is None:
        return ratio, error, fisher, np.nan
    return ratio, error, fisher, 0.0 if other[3] is None else float(np.exp(other[3] - one[3]))


def table_of(records: Mapping[tuple[str, str, bool], Mapping[str, Any]]) -> pd.DataFrame:
    """Return the intervals of all versions, a row per piece.

    Columns fit, terms, global, version, operator, level, piece (from 0), lower, upper (TeV^-2, infinite where
    there is no end), and note.
    """
    rows = []
    for (name, terms, together), record in records.items():
        for fit in record["fits"]:
            count: dict[tuple[str, float], int] = {}
            for row in fit["intervals"]:
                key = (row["operator"], row["level"])
                count[key] = count.get(key, -1) + 1
                low = -np.inf if row["lower"] is None else row["lower"]
                high = np.inf if row["upper"] is None else row["upper"]
                rows.append((fit["fit"], terms, together, name, *key, count[key], low, high, fit["note"]))
    columns = ["fit", "terms", "global", "version", "operator", "level", "piece", "lower", "upper", "note"]
    return pd.DataFrame(rows, columns=columns)


def members_of(records: Mapping[tuple[str, str, bool], Mapping[str, Any]]) -> pd.DataFrame:
    """Return the intervals of every network; columns as of the table, with the number of the network."""
    columns = ["fit", "terms", "version", "network", "operator", "level", "lower", "upper"]
    rows = [
        {"terms": terms, "version": name, **row}
        for (name, terms, _), record in records.items()
        for row in record["members"]
    ]
    return pd.DataFrame(rows, columns=columns).astype({"lower": float, "upper": float})


def contours_of(
    records: Mapping[tuple[str, str, bool], Mapping[str, Any]],
) -> dict[tuple[str, str], pd.DataFrame]:
    """Return by pair the closed curves: columns version, terms, global, level, curve (from 0), the pair."""
    parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for (name, terms, together), record in records.items():
        for entry in record["contours"]:
            a, b = entry["pair"]
            frames = parts.setdefault((a, b), [pd.DataFrame(columns=[*CONTOUR, a, b])])
            for k, curve in enumerate(entry["curves"]):
                points = pd.DataFrame(curve, columns=[a, b])
                head = dict(zip(CONTOUR, (name, terms, together, entry["level"], k), strict=True))
                frames.append(points.assign(**head)[[*CONTOUR, a, b]])
    return {
        pair: pd.concat(frames[1:], ignore_index=True) if len(frames) > 1 else frames[0]
        for pair, frames in parts.items()
    }


CONTOUR = ("version", "terms", "global", "level", "curve")
"""Columns of the frames of contours besides the two coefficients."""
