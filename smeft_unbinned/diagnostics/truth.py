"""Comparison with the exact ratio, where it is known: per event, per coefficient, and in the intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..comparison.intervals import compare
from ..datasets.extended import log_ratio
from ..errors import InputError
from ..events import Events
from ..polynomial import Polynomial, QuadraticForm, as_point
from .case import Case, dataset
from .points import joint, title
from .result import FAIL, PASS, WARN, Check, not_applicable, worst

NAME = "truth"
COUNT = 8
WIDTH = (0.05, 0.15)
"""Deviations of the ratio of interval widths from one, above which the check warns and fails."""
SHIFT = (0.1, 0.3)
"""Shifts in exact half-widths, above which the check warns and fails."""
ERROR = 0.1
"""Mean squared error of log r over its variance, above which the check warns."""


def accuracy(
    estimate: QuadraticForm | np.ndarray, truth: Polynomial, weights: np.ndarray, points: np.ndarray
) -> pd.DataFrame:
    """Return how well log r is known at points (K, n), one row each.

    estimate: ratios, batch (N,), or an array (K, N) of log r at the points. truth: exact ratios, batch (N,).
    weights: (N,), of any sum, signs are ignored.
    Columns: bias and spread (weighted mean and standard deviation of log r-hat - log r), mse = bias^2 +
    spread^2, variance (of the exact log r over events), relative_mse = mse/variance, and non_positive, the
    share of weight at which the estimate is not positive (there log r is continued by a straight line).
    Raises InputError for shapes that do not fit.
    """
    points = np.atleast_2d(np.asarray(as_point(points, truth.operators), dtype=float))
    w = np.abs(np.asarray(weights, dtype=float))
    if w.shape != truth.batch_shape or not w.sum() > 0:
        raise InputError(f"weights of shape {w.shape} do not fit the truth of batch {truth.batch_shape}")
    w = w / w.sum()
    exact = log_ratio(np.asarray(truth.evaluate(points)))
    lost = np.zeros(len(points))
    if isinstance(estimate, QuadraticForm):
        values = np.asarray(estimate.align(truth.operators).evaluate(points))
        logs, lost = log_ratio(values), (values <= 0) @ w
    else:
        logs = np.asarray(estimate, dtype=float)
    if logs.shape != exact.shape:
        raise InputError(f"log ratios of shape {logs.shape} do not fit {exact.shape}: points x events")
    difference = logs - exact
    bias = difference @ w
    spread = np.sqrt((difference - bias[:, None]) ** 2 @ w)
    variance = (exact - (exact @ w)[:, None]) ** 2 @ w
    mse = bias**2 + spread**2
    relative = mse / np.where(variance > 0, variance, 1.0)
    return pd.DataFrame(
        {
            "point": [title(p, truth.operators) for p in points],
            "bias": bias,
            "spread": spread,
            "mse": mse,
            "variance": variance,
            "relative_mse": np.where(variance > 0, relative, np.where(mse > 0, np.inf, 0.0)),
            "non_positive": lost,
        }
    )


def coefficient_accuracy(form: QuadraticForm, truth: Polynomial, weights: np.ndarray) -> pd.DataFrame:
    """Return R^2 of every linear and quadratic coefficient over events, one row each.

    R^2 = 1 - (mean squared error)/(variance of the exact coefficient), weighted; NaN where the exact one is
    the same in every event, for instance zero. Columns: coefficient, kind ("linear", "quadratic"), r2, rmse,
    spread (standard deviation of the exact coefficient).
    """
    w = np.abs(weights) / np.abs(weights).sum()
    exact, estimate = truth.coefficients, form.align(truth.operators).dense().coefficients
    mse = w @ (estimate - exact) ** 2
    variance = w @ (exact - w @ exact) ** 2
    varies = variance > 1e-24 * np.maximum(w @ exact**2, 1e-300)
    r2 = np.where(varies, 1.0 - mse / np.where(varies, variance, 1.0), np.nan)
    names = truth.operators
    rows, columns = np.triu_indices(len(names) + 1)
    labels = ["*".join(names[k - 1] for k in pair if k) for pair in zip(rows, columns, strict=True)]
    table = pd.DataFrame(
        {
            "coefficient": labels,
            "kind": np.where(rows == 0, "linear", "quadratic"),
            "r2": r2,
            "rmse": np.sqrt(mse),
            "spread": np.sqrt(np.where(varies, variance, 0.0)),
        }
    )
    return table.iloc[1:].reset_index(drop=True)


def interval_accuracy(form: QuadraticForm, events: Events, expected_events: float) -> pd.DataFrame:
    """Return how the intervals of the estimate compare with exact ones, for Asimov data at the SM.

    form: ratios of the events, batch (N,). events: with exact truth. expected_events: at the SM.
    One row per fit ("one at a time", "all together") and coefficient: exact and estimated ends of the 95 %
    interval, width_ratio, shift (of its middle, in exact half-widths), shift_sigma (in half-widths of the
    exact 68 % interval). NaN where a fit finds no interval; note says why.
    Raises InputError for events without truth or with negative weights.
    """
    if events.truth is None:
        raise InputError("the comparison of intervals needs events with exact truth")
    names = form.operators
    truth = events.truth.restrict(names).dense()
    weights = np.asarray(events.weights) / np.sum(np.asarray(events.weights))
    rate = truth.sum(weights)
    versions = {
        "exact": dataset(truth, rate, weights, expected_events),
        "estimate": dataset(form, rate, weights, expected_events),
    }
    long = compare(versions, names)
    keys = ["fit", "operator"]
    wide = {
        (version, level): part.set_index(keys)[["lower", "upper", "note"]]
        for (version, level), part in long.groupby(["version", "level"])
    }
    exact, estimate = wide["exact", 0.95], wide["estimate", 0.95]
    sigma = wide["exact", 0.68]
    half = 0.5 * (exact["upper"] - exact["lower"])
    middle = 0.5 * (estimate["upper"] + estimate["lower"] - exact["upper"] - exact["lower"])
    table = pd.DataFrame(
        {
            "exact_lower": exact["lower"],
            "exact_upper": exact["upper"],
            "lower": estimate["lower"],
            "upper": estimate["upper"],
            "width_ratio": 0.5 * (estimate["upper"] - estimate["lower"]) / half,
            "shift": middle / half,
            "shift_sigma": middle / (0.5 * (sigma["upper"] - sigma["lower"])),
            "note": estimate["note"],
        }
    )
    order = long[keys].drop_duplicates()
    return table.loc[list(order.itertuples(index=False, name=None))].reset_index()


def truth_check(case: Case, points: np.ndarray | None = None) -> Check:
    """Compare with the exact ratio at points (K, n), default random ones, and in the intervals."""
    if case.truth is None:
        return not_applicable(NAME, "the events carry no truth")
    if not case.exact:
        return not_applicable(
            NAME, "the truth of these events is a label of the event before the detector, not r(x|c)"
        )
    points = joint(case, COUNT) * np.sqrt(len(case.operators)) if points is None else points
    logs = accuracy(case.form, case.truth, case.weights, points)
    coefficients = coefficient_accuracy(case.form, case.truth, case.weights)
    tables = {"points": logs, "coefficients": coefficients}
    row = logs.iloc[int(logs["relative_mse"].argmax())]
    numbers: dict[str, Any] = {
        "largest_relative_mse": float(row["relative_mse"]),
        "median_relative_mse": float(logs["relative_mse"].median()),
        "lowest_r2_linear": float(coefficients.query("kind == 'linear'")["r2"].min()),
        "lowest_r2_quadratic": float(coefficients.query("kind == 'quadratic'")["r2"].min()),
    }
    verdict = WARN if row["relative_mse"] > ERROR else PASS
    sentence = f"log r is off by {np.sqrt(row['relative_mse']):.2g} of its spread at {row['point']}"
    if np.any(case.weights < 0):
        return Check(NAME, verdict, sentence + "; no intervals: weights are negative", numbers, tables)
    intervals = interval_accuracy(case.form, case.events, case.expected)
    tables["intervals"] = intervals
    width = np.abs(intervals["width_ratio"].to_numpy(float) - 1.0)
    shift = np.abs(intervals["shift"].to_numpy(float))
    lost = int(np.sum(np.isnan(width)))
    score = np.nan_to_num(np.maximum(width / WIDTH[1], shift / SHIFT[1]), nan=-1.0)
    worst_row = intervals.iloc[int(np.argmax(score))]
    numbers |= {
        "largest_width_deviation": float(np.nanmax(width)) if lost < len(width) else None,
        "largest_shift": float(np.nanmax(shift)) if lost < len(width) else None,
        "missing_intervals": lost,
    }
    if np.any(width > WIDTH[1]) or np.any(shift > SHIFT[1]) or lost:
        verdict = FAIL
    elif np.any(width > WIDTH[0]) or np.any(shift > SHIFT[0]):
        verdict = worst([verdict, WARN])
    sentence += (
        f"; the 95 % interval of {worst_row['operator']} ({worst_row['fit']}) is "
        f"{worst_row['width_ratio']:.3f} of the exact width, shifted by {worst_row['shift']:+.2f} of its half"
    )
    if lost:
        sentence += f"; {lost} of {len(width)} intervals were not found"
    if verdict != PASS:
        sentence += ": train longer or on more events, or calibrate"
    if case.blind:
        sentence += f" (the estimator does not see {', '.join(case.blind)}, the exact ratio does)"
    return Check(NAME, verdict, sentence, numbers, tables)
