"""The posterior of two coefficients from a grid of -2 log L, for fitters without a sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from smeft_unbinned import FitResult

WIDTHS = 5.5
"""Standard deviations that a grid spans on each side of the mean."""
CLEAR = 16.0
"""How far above its minimum -2 log L is at the edge of the grid, at least."""


def span(reference: FitResult, name: str) -> tuple[float, float]:
    """Return the range of a grid in one coefficient, TeV^-2."""
    assert reference.samples is not None
    column = reference.samples[name]
    return float(column.mean() - WIDTHS * column.std()), float(column.mean() + WIDTHS * column.std())


def samples_of(
    data: Mapping[str, np.ndarray], names: Sequence[str], count: int = 40_000, seed: int = 4
) -> pd.DataFrame:
    """Return samples, spread over the cells of x, y (rows, columns) with -2 log L z, under a flat prior."""
    x, y, z = data["x"][0], data["y"][:, 0], data["z"] - data["z"].min()
    assert min(z[[0, -1]].min(), z[:, [0, -1]].min()) > CLEAR, "the grid does not hold the posterior"
    weights, rng = np.exp(-0.5 * z).ravel(), np.random.default_rng(seed)
    rows, columns = np.unravel_index(rng.choice(weights.size, count, p=weights / weights.sum()), z.shape)
    shift = rng.uniform(-0.5, 0.5, (2, count)) * [[x[1] - x[0]], [y[1] - y[0]]]
    return pd.DataFrame({names[0]: x[columns] + shift[0], names[1]: y[rows] + shift[1]})
