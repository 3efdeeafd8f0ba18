"""Expectation: the mean of r(x|c) over SM events must be sigma(c)/sigma(0)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .case import Case, non_positive
from .judge import judge, shift, significance
from .points import alone, joint, title
from .result import PASS, Check, not_applicable

NAME = "expectation"
GRID = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
"""Points on each axis, in half-widths of the 95 % interval."""


def expectation(case: Case, points: np.ndarray | None = None) -> Check:
    """Compare the weighted mean of r(x|c) with the rate at points (K, n), default a grid on every axis.

    Where events carry truth, the mean of estimate minus truth is taken over the same events, which removes
    most of the statistical error.
    """
    if case.target is None:
        why = "sigma(c) of these events is not known; read them with truth, or give their cross section"
        return not_applicable(NAME, why)
    if points is None:
        points = alone(case, GRID)
        if len(case.operators) > 1:
            points = np.concatenate([points, joint(case, 6)])
    estimate, target = np.asarray(case.form.evaluate(points)), np.asarray(case.target.evaluate(points))
    paired = case.truth is not None
    reference = np.asarray(case.truth.evaluate(points)) if case.truth is not None else target[:, None]
    difference = estimate - reference
    mean = difference @ case.weights
    error = np.sqrt((difference - mean[:, None]) ** 2 @ case.weights**2)
    deviation, error = mean / target, error / np.abs(target)
    table = pd.DataFrame(
        {
            "point": [title(p, case.operators) for p in points],
            **{name: points[:, i] for i, name in enumerate(case.operators)},
            "rate": target,
            "mean of r": target + mean,
            "deviation_percent": 100 * deviation,
            "error_percent": 100 * error,
            "significance": significance(deviation, error),
            "calibration_shift": shift(deviation, case.expected),
            "non_positive": non_positive(case.form, case.weights, points),
        }
    )
    verdict, k, vague = judge(deviation, error, case.expected)
    row = table.iloc[k]
    found = (
        f"the mean of r is off by {row['deviation_percent']:+.2g} ± {row['error_percent']:.2g} % at "
        f"{row['point']}; dividing it out changes -2 log L there by {row['calibration_shift']:+.2g}"
    )
    advice = " (3.84 ends a 95 % interval): calibrate with a larger sample"
    if vague:
        advice = "; the statistical error is too large to tell: use more events"
    numbers = {
        "largest_deviation_percent": float(row["deviation_percent"]),
        "error_percent": float(row["error_percent"]),
        "significance": float(row["significance"]),
        "calibration_shift": float(row["calibration_shift"]),
        "point": str(row["point"]),
        "paired_with_truth": paired,
    }
    return Check(NAME, verdict, found + ("" if verdict == PASS else advice), numbers, {"points": table})
