"""Positivity: r(x|c) is a ratio of rates and must be positive wherever a fit may look."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .case import Case, non_positive
from .points import alone, grid, title
from .result import FAIL, PASS, WARN, Check

NAME = "positivity"
FAR = 5.0
"""How far from the SM to look on every axis, in half-widths of the 95 % interval."""
_ROUNDING = 1e-9


def positivity(case: Case, points: np.ndarray | None = None) -> Check:
    """Count events whose ratio is not positive at points (K, n), and far out on every axis."""
    points = grid(case) if points is None else points
    far = alone(case, (FAR, -FAR))
    shares = non_positive(case.form, case.weights, np.concatenate([points, far]))
    near, away = shares[: len(points)], shares[len(points) :]
    n = len(case.operators)
    linear_only = bool(np.all(case.form.coefficients[:, n + 1 :] == 0))
    matrices = np.asarray(case.form.matrix())
    lowest, highest = np.linalg.eigvalsh(matrices)[:, [0, -1]].T
    everywhere = bool(np.all(lowest > -_ROUNDING * highest))
    rows = [title(p, case.operators) for p in (*points, *far)]
    kinds = ["near"] * len(points) + ["far"] * len(far)
    table = pd.DataFrame({"point": rows, "where": kinds, "non_positive": shares})
    numbers = {
        "share_near": float(near.max()),
        "share_far": float(away.max()),
        "positive_everywhere": everywhere,
        "linear_only": linear_only,
        "indefinite_events": int(np.sum(lowest <= -_ROUNDING * highest)),
    }
    kind = "it predicts the linear term only; " if linear_only else ""
    if near.max() > 0:
        k = int(np.argmax(near))
        return Check(
            NAME, FAIL,
            f"{kind}r <= 0 for {near[k]:.2%} of the SM rate at {rows[k]}, where fits look: -2 log L is "
            "continued there by a steep penalty and means nothing; use a sum of squares",
            numbers, {"points": table},
        )  # fmt: skip
    if away.max() > 0 or not everywhere:
        return Check(
            NAME, WARN,
            f"{kind}r is positive at the points checked, but r <= 0 for {away.max():.2%} of the SM rate at "
            f"{FAR:g} half-widths: do not scan wider, or use a sum of squares",
            numbers, {"points": table},
        )  # fmt: skip
    return Check(NAME, PASS, "r is positive for every event at every c", numbers, {"points": table})
