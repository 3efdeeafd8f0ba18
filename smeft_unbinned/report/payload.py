"""The numbers behind the figures of the page, as JSON that may stand in a script element."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..fit import FitResult
from .compared import numbers
from .compared_contours import contours
from .found import Found, Pair
from .frames import chi2, labels, members, results, values
from .paired import label as paired_label
from .planes import pairs, planes
from .recomputed import Recomputed
from .words import counted

ROWS, CELLS = 1500, 250_000
"""Most samples of a fit that the page holds, and most numbers of all fits, or all fits of pairs, together."""
BINS = 60
STEPS = 64
"""Samples are stored as whole numbers of this many to the standard deviation."""
EPOCHS, MEMBERS = 300, 12
"""Most points of a training curve, and most networks."""
LINES = {
    "profile": lambda label: {"label": f"{label}, profile"},
    "individual": lambda label: {"label": f"{label}, others zero", "dash": "6 4"},
}
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def as_json(content: Any) -> str:
    """Return JSON without any character that HTML takes for markup; what is not finite becomes null."""
    text = json.dumps(_plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in _ESCAPES.items():
        text = text.replace(character, escaped)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (np.ndarray, pd.Series)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def payload(found: list[Found], again: Mapping[str, Recomputed]) -> dict[str, Any]:
    """Return all numbers that the figures are drawn from, by figure."""
    named = results(found)
    paired = [(paired_label(one), pair, r) for one in found for pair, r in one.pairs.items()]
    rows = _rows([r for r in named.values() if isinstance(r, FitResult)])
    paired_rows = _rows([r for _, _, r in paired])
    order = [*(n for r in named.values() for n in members(r)), *(n for _, pair, _ in paired for n in pair)]
    return {
        "labels": labels(found),
        "order": list(dict.fromkeys(order)),
        "pairs": pairs(found),
        "fits": [_fit(label, r, rows) for label, r in named.items()],
        "paired": [_pair(label, pair, r, paired_rows) for label, pair, r in paired],
        "scans": [
            {
                "fit": one.label,
                "name": name,
                "x": frame["value"],
                "y": frame["delta"],
                **LINES[kind](one.label),
            }
            for one in found
            for name, kind, frame in _finite(one)
        ],
        "contours": [
            {"fit": plane.label, "a": a, "b": b, "level": level, "x": curve[a], "y": curve[b]}
            for plane in planes(found, again)
            for a, b, frame in plane.contours
            for (level, _), curve in frame.groupby(["level", "curve"])
        ],
        "fisher": [_fisher(one.label, again[one.label]) for one in found if again[one.label].information],
        "chi2": [
            {"fit": one.label, **_chi2(again[one.label])}
            for one in found
            if again[one.label].best or again[one.label].sm
        ],
        "training": [
            {"label": f"{one.label}: {name}", **_training(history)}
            for one in found
            for name, history in one.trainings.items()
        ],
        "comparison": numbers(found),
        **contours(found),
    }


def _rows(fits: Sequence[FitResult]) -> int:
    """Return how many samples of each of some fits the page holds."""
    columns = sum(len(r.operators) for r in fits if r.valid and r.samples is not None)
    return min(ROWS, CELLS // max(columns, 1))


def _finite(found: Found) -> list[tuple[str, str, pd.DataFrame]]:
    return [(name, kind, frame.dropna(subset=["value", "delta"])) for name, kind, frame in found.scans]


def _fit(label: str, result: FitResult | Mapping[str, FitResult], rows: int) -> dict[str, Any]:
    """Return a set of intervals; of one fit also correlations and samples."""
    own = members(result)
    content: dict[str, Any] = {
        "label": label,
        "rows": values(own),
        "failed": [name for name, r in own.items() if not r.valid],
        "messages": list(result.messages) if isinstance(result, FitResult) and not result.valid else [],
    }
    if not isinstance(result, FitResult) or not result.valid:
        return content
    content["nuisances"] = values(members(result, nuisances=True))
    if result.samples is not None:
        content["histograms"] = _histograms(result.samples[list(result.operators)])
    return content | _together(result, rows)


def _pair(label: str, pair: Pair, result: FitResult, rows: int) -> dict[str, Any]:
    """Return a fit of two coefficients at a time."""
    content = {
        "label": label,
        "rows": values(dict.fromkeys(pair, result)),
        "failed": [] if result.valid else pair,
    }
    return content | (_together(result, rows) if result.valid else {})


def _together(result: FitResult, rows: int) -> dict[str, Any]:
    """Return what coefficients have in common: correlations, the lower triangle, and samples."""
    names = list(result.operators)
    matrix = np.round(result.correlation.loc[names, names].to_numpy(), 3)
    content = {"names": names, "correlation": [row[: k + 1] for k, row in enumerate(matrix)]}
    return content | ({} if result.samples is None else _samples(result.samples[names], rows))


def _samples(samples: pd.DataFrame, rows: int) -> dict[str, Any]:
    """Return a few samples in steps of the spread, for points in a plane."""
    points = samples.to_numpy(float)
    centre, step = points.mean(axis=0), points.std(axis=0) / STEPS
    step[step == 0] = 1.0
    kept = points[np.linspace(0, len(points) - 1, min(rows, len(points))).astype(int)]
    return {"centre": centre, "step": step, "samples": np.round((kept - centre) / step).astype(int)}


def _histograms(samples: pd.DataFrame) -> dict[str, Any]:
    """Return by coefficient the lower end, the width of a bin and the densities, of all samples."""
    histograms = {}
    for name, column in zip(samples, samples.to_numpy(float).T, strict=True):
        counts, ends = np.histogram(column, BINS, np.quantile(column, [0.0005, 0.9995]))
        width = max(ends[1] - ends[0], 1e-300)
        histograms[str(name)] = [ends[0], width, counts / (len(column) * width)]
    return histograms


def _fisher(label: str, again: Recomputed) -> dict[str, Any]:
    information = again.information
    assert information is not None
    table = information.table.loc[list(information.operators)]
    parts = information.principal_components()
    return {
        "fit": label,
        "where": again.where,
        "names": list(information.operators),
        "measurements": list(table.columns),
        "shares": np.round(table.to_numpy() / 100, 4),
        "individual": information.errors["individual"].to_numpy(),
        "marginal": information.errors["marginal"].to_numpy(),
        "components": [
            {
                "label": f"{name}  {row['direction']}",
                "error": row["error"],
                "tip": f"{name}: {row['direction']}\nerror {row['error']:.3g} TeV⁻²\n"
                f"most from {row['measurement']}, {row['share']:.3g} %",
            }
            for name, row in parts.iterrows()
        ],
    }


def _chi2(again: Recomputed) -> dict[str, Any]:
    frame = chi2(again)
    frame = frame[(frame["kind"] != "events") & (frame["points"] > 0)]
    at = "best fit" if again.best is not None else "SM"
    tips = []
    for row in frame.to_dict("records"):
        text = f"{row['value']:.4g} for {counted(int(row['points']), 'point')} at the {at}"
        text += f", p = {row['p']:.2g}" if np.isfinite(row["p"]) else ""
        tips.append(text + (f"; SM {row['SM value']:.4g}" if "SM value" in row else ""))
    return {
        "names": list(frame.index),
        "value": frame["value"].to_numpy(float),
        "points": frame["points"].to_numpy(int),
        "sm": frame["SM value"].to_numpy(float) if "SM value" in frame else None,
        "at": at,
        "tips": tips,
    }


def _training(history: Any) -> dict[str, Any]:
    """Return losses by network at some epochs; their excess where `plots.training_curves` shows that."""
    epochs = np.unique(np.linspace(0, len(history) - 1, min(EPOCHS, len(history))).astype(int))
    curves = {
        label: np.array([history[k][kind] for k in epochs], dtype=float).reshape(len(epochs), -1).T
        for kind, label in (("training", "training"), ("validation", "held out"))
    }
    values = np.concatenate(list(curves.values()))
    excess = len(epochs) > 1 and np.ptp(values) < 0.9 * np.abs(values).max()
    series: list[dict[str, Any]] = []
    for number, (label, y) in enumerate(curves.items()):  # networks, epochs
        shown = y - y.min(axis=1, keepdims=True) if excess else y
        mean = shown.mean(axis=0)
        if excess:
            shown, mean = (np.where(x > 0, x, np.nan) for x in (shown, mean))
        kind = {"kind": 2 * number}
        series += [
            {"label": f"{label}, network {m + 1}", "y": one, "faint": True, "thick": 1, **kind}
            for m, one in enumerate(shown[:MEMBERS])
        ]
        series.append({"label": f"{label}, mean", "y": mean, "thick": 2.4, **kind})
    drawn = np.concatenate([one["y"] for one in series])
    low, high = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    logarithm = low > 0
    return {
        "epochs": epochs + 1,
        "said": "loss, excess over its minimum" if excess else "loss",
        "series": series,
        "scale": "log" if logarithm else "linear",
        "range": [low / 1.3, high * 1.3] if logarithm else None,
    }
