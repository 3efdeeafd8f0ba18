"""Tables of the report: what the page shows and what the CSV files hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..fit import FitResult
from ..statistics import Fisher
from .found import ALONE, Found
from .paired import correlation
from .paired import label as paired_label
from .recomputed import Recomputed
from .words import levels

ABSENT, FAILED = "absent", "failed"
SHOWN = ["kind", "value", "per point", "points", "p"]


def results(found: list[Found]) -> dict[str, FitResult | Mapping[str, FitResult]]:
    """Return every set of intervals by its label: fits of all coefficients, and of one at a time."""
    named: dict[str, FitResult | Mapping[str, FitResult]] = {}
    for one in found:
        if one.result is not None:
            named[one.label] = one.result
        if one.alone:
            named[one.label if one.result is None else f"{one.label} ({ALONE})"] = one.alone
    return named


def labels(found: list[Found]) -> list[str]:
    """Return what all that is switched on and off is called, in the order of its colours."""
    curves = [one.label for one in found if one.scans or one.contours]
    return list(dict.fromkeys([*results(found), *curves, *(paired_label(one) for one in found if one.pairs)]))


def values(fits: Mapping[str, FitResult]) -> dict[str, dict[str, Any]]:
    """Return best value, error and intervals by parameter, for those of a valid fit.

    fits: the fit that each parameter is taken from. intervals: by level, lists of [lower, upper]; several
    where unions are stored with a fit of one coefficient.
    """
    found: dict[str, dict[str, Any]] = {}
    tables: dict[int, tuple[pd.Series, dict[float, pd.DataFrame]]] = {}
    for name, result in fits.items():
        if not result.valid:
            continue
        if id(result) not in tables:
            kind = "union" if "unions" in result.provenance else "central"
            tables[id(result)] = result.errors, {x: result.intervals(x, kind) for x in levels(result)}
        errors, frames = tables[id(result)]
        found[name] = {
            "best": result.best[name],
            "error": float(errors[name]),
            "intervals": {
                x: np.asarray(frame.loc[name], dtype=float).reshape(-1, 2).tolist()
                for x, frame in frames.items()
            },
        }
    return found


def members(result: FitResult | Mapping[str, FitResult], nuisances: bool = False) -> dict[str, FitResult]:
    """Return the fit that each coefficient, or nuisance, is taken from."""
    if isinstance(result, FitResult):
        return {n: result for n in result.parameters if (n in result.nuisances) == nuisances}
    return {} if nuisances else dict(result)


def intervals(found: list[Found], nuisances: bool = False) -> pd.DataFrame:
    """Return a row per parameter and fit, also for those that are absent: fit, status, best, error, ends.

    Of an interval in several pieces the outermost ends are given, and how many pieces it has.
    """
    named = {label: members(r, nuisances) for label, r in results(found).items()}
    known = {label: values(fits) for label, fits in named.items()}
    rows = []
    for name in dict.fromkeys(name for fits in named.values() for name in fits):
        for label, fits in named.items():
            status = ABSENT if name not in fits else "valid" if fits[name].valid else FAILED
            row: dict[str, object] = {"parameter": name, "fit": label, "status": status}
            if name in known[label]:
                row |= _numbers(known[label][name])
            rows.append(row)
    frame = pd.DataFrame(rows)
    for column in ("best", "error"):
        if len(frame) and column not in frame:  # every fit failed
            frame[column] = np.nan
    return frame


def _numbers(one: Mapping[str, Any]) -> dict[str, object]:
    """Return best value, error and outermost ends of a parameter, and how many pieces its intervals have."""
    row: dict[str, object] = {"best": one["best"], "error": one["error"]}
    for level, parts in sorted(one["intervals"].items()):
        shown = f"{100 * level:.4g}%"
        row |= {f"{shown} lower": parts[0][0], f"{shown} upper": parts[-1][1]}
        row |= {f"{shown} pieces": len(parts)} if len(parts) > 1 else {}
    return row


def chi2(again: Recomputed) -> pd.DataFrame:
    """Return the agreement with the data by measurement at the best fit, and the value at the SM."""
    found = again.best if again.best is not None else again.sm
    assert found is not None
    frame = found.table[SHOWN].copy()
    if again.best is not None and again.sm is not None:
        frame.insert(2, "SM value", again.sm.table["value"].reindex(frame.index))
    frame.index.name = "measurement"
    return frame


def shares(information: Fisher) -> pd.DataFrame:
    """Return expected errors, and the share of every measurement in percent, by coefficient."""
    frame = information.errors.join(information.table.loc[list(information.operators)])
    frame.index.name = "coefficient"
    return frame


def components(information: Fisher) -> pd.DataFrame:
    """Return the principal components, the best constrained first."""
    frame = information.principal_components()[["error", "direction", "fraction", "measurement", "share"]]
    frame.index.name = "component"
    return frame


def pairwise(found: Found) -> pd.DataFrame:
    """Return two rows per fit of two coefficients: names, status, best, error, correlation, ends."""
    rows = []
    for (a, b), result in found.pairs.items():
        known = values({a: result, b: result})
        for name in (a, b):
            row: dict[str, object] = {"pair": f"{a}, {b}", "coefficient": name}
            row["status"] = "valid" if result.valid else FAILED
            if name in known:
                row |= _numbers(known[name]) | {"correlation": correlation(result, (a, b))}
            rows.append(row)
    return pd.DataFrame(rows)
