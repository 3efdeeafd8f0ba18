"""Intervals of any likelihoods, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..fit import minimise
from ..likelihood import Likelihood
from ..progress import progress_bar

LEVELS = (0.68, 0.95)
ALONE, TOGETHER = "one at a time", "all together"


def compare(
    versions: Mapping[str, Likelihood],
    operators: Sequence[str],
    *,
    levels: Sequence[float] = LEVELS,
    together: bool = True,
    progress: bool = False,
) -> pd.DataFrame:
    """Return profile intervals of every version, coefficient by coefficient and with all profiled.

    versions: likelihoods by label; a coefficient that one of them does not depend on is left out there.
    Returns a long frame with columns fit ("one at a time" or "all together"), operator, version, level,
    lower, upper (TeV^-2), and note: what a fit had to say, empty when all is well.
    """
    fits = []
    for label, likelihood in versions.items():
        known = [name for name in operators if name in likelihood.operators]
        fits += [(ALONE, label, likelihood.only([name])) for name in known]
        fits += [(TOGETHER, label, likelihood.only(known))] if together and len(known) > 1 else []
    rows: list[dict[str, object]] = []
    with progress_bar(progress) as bar:
        task = bar.add_task("fitting", total=len(fits), note="")
        for fit, label, likelihood in fits:
            bar.update(task, note=f"{label}: {', '.join(likelihood.operators)}")
            rows += _rows(fit, label, likelihood, levels)
            bar.advance(task)
    return pd.DataFrame(rows)


def _rows(fit: str, label: str, likelihood: Likelihood, levels: Sequence[float]) -> list[dict[str, object]]:
    result = minimise(likelihood, levels=levels)
    rows: list[dict[str, object]] = []
    for level in levels:
        limits = result.stored_intervals.get(float(level))
        for name in likelihood.operators:
            lower, upper = (np.nan, np.nan) if limits is None else (limits.lower[name], limits.upper[name])
            row = {
                "fit": fit,
                "operator": name,
                "version": label,
                "level": level,
                "lower": lower,
                "upper": upper,
            }
            rows.append({**row, "note": "; ".join(result.messages)})
    return rows


def wide(table: pd.DataFrame, fit: str, level: float) -> pd.DataFrame:
    """Return one row per version and one column per coefficient, "lower upper" in TeV^-2.

    table: of `compare`, or a part of `Comparison.table`; the pieces of an interval are joined by "or".
    """
    part = table[(table["fit"] == fit) & (table["level"] == level)].copy()
    ends = zip(part["lower"], part["upper"], strict=True)
    part["interval"] = [
        "none found" if np.isnan(a + b) and a != -b else f"{a:+.4g} {b:+.4g}" for a, b in ends
    ]
    keys = [part["version"], part["operator"]]
    frame = part.groupby(keys)["interval"].agg(" or ".join).unstack("operator")
    return frame.loc[list(dict.fromkeys(part["version"])), list(dict.fromkeys(part["operator"]))].fillna("-")


def width_ratios(table: pd.DataFrame, reference: str, level: float) -> pd.DataFrame:
    """Return the widths over those of the reference version: index fit and operator, a column per version.

    The width of an interval in several pieces is the sum of theirs.
    """
    part = table[table["level"] == level].assign(width=lambda t: t["upper"] - t["lower"])
    keys = [part[name] for name in ("fit", "operator", "version")]
    frame = part.groupby(keys)["width"].sum(min_count=1).unstack("version")
    return frame.div(frame[reference], axis=0)
