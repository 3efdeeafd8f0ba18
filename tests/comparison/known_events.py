"""Events of which all of a comparison is known by hand: x uniform in [-1, 1], r linear or a square."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smeft_unbinned import Events
from smeft_unbinned.comparison import Comparison, run
from smeft_unbinned.polynomial import Polynomial

N = 20_000
LUMINOSITY = 2.0
EXPECTED = 2000.0
"""Events at 1 pb and LUMINOSITY fb^-1."""


def uniform(n: int = N, square: float = 0.0, offset: float = 0.0) -> Events:
    """r = 1 + c (offset + x) + square c^2 at the middles of n equal steps in x: sums are integrals."""
    x = (np.arange(n) + 0.5) * 2.0 / n - 1.0
    truth = Polynomial(("c",), np.stack([np.ones(n), offset + x, np.full(n, square)], axis=1))
    y = np.random.default_rng(0).uniform(size=n)
    return Events(pd.DataFrame({"x": x, "y": y}), truth, np.full(n, 1.0 / n), None, {"process": "known"})


def two(n: int = 4000, seed: int = 1) -> Events:
    """Two coefficients, r = (1 + a.c)^2 + (b.c)^2, with weights that differ."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    rows = np.stack(
        [np.stack([np.ones(n), 0.3 * x, 0.2 * y + 0.1], 1), np.stack([0 * x, 0.1 * y, 0.2 * x], 1)], 1
    )
    matrix = np.einsum("nki,nkj->nij", rows, rows)
    frame = pd.DataFrame({"x": x, "y": y})
    weights = rng.uniform(0.5, 1.5, n)
    return Events(frame, Polynomial.from_matrix(("a", "b"), matrix), weights / weights.sum(), None, {})


def compared(folder: Path, events: Events, schemes: list[Any], **keys: Any) -> Comparison:
    """Run a comparison of events saved in a folder, whose results go there too."""
    events.save(folder / "known.events")
    content = {
        "events": "known.events",
        "luminosity": LUMINOSITY,
        "schemes": schemes,
        "contours": "none",
        **keys,
    }
    from smeft_unbinned.comparison import ComparisonCard

    return run(ComparisonCard.from_dict(content, folder), folder=folder / "out")


def one(comparison: Comparison, version: str, column: str, **where: Any) -> Any:
    """Return a number of the gains, of the one row of a version that fits."""
    rows = comparison.gains[comparison.gains["version"] == version]
    for key, value in where.items():
        rows = rows[rows[key] == value]
    assert len(rows) == 1, rows
    return rows.iloc[0][column]
