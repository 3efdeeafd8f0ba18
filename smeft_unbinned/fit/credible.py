"""Intervals of a posterior from its samples: equal-tailed, of highest density, and unions of these."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

_GRID = 4096
_FINE = 0.9


def central(samples: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the equal-tailed intervals of every column of samples (s, k): columns lower and upper."""
    tail = (1 - level) / 2
    frame = samples.quantile([tail, 1 - tail]).T
    frame.columns = ["lower", "upper"]
    frame.attrs["method"] = "equal-tailed credible"
    return frame


def highest(samples: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the shortest intervals of every column of samples (s, k): columns lower and upper."""
    rows = {str(name): _shortest(samples[name].to_numpy(float), level) for name in samples}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["lower", "upper"])
    frame.attrs["method"] = "highest density"
    return frame


def unions(samples: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return the regions of highest density of every column, unions of intervals.

    The frame has a row per interval, with the index (name, number), and columns lower and upper.
    """
    rows = {
        (str(name), k): list(pair)
        for name in samples
        for k, pair in enumerate(_regions(samples[name].to_numpy(float), level))
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["lower", "upper"])
    frame.index = pd.MultiIndex.from_tuples(list(rows), names=["name", "interval"])
    frame.attrs["method"] = "highest density, unions of intervals"
    return frame


def _shortest(x: np.ndarray, level: float) -> list[float]:
    """Return the ends of the shortest interval that holds a fraction of the samples x (s,)."""
    x = np.sort(x)
    inside = min(int(np.ceil(level * len(x))), len(x) - 1)
    first = int(np.argmin(x[inside:] - x[: len(x) - inside]))
    return [float(x[first]), float(x[first + inside])]


def _regions(x: np.ndarray, level: float) -> list[tuple[float, float]]:
    """Return where the density of samples x (s,) is above the value that encloses a fraction of them.

    The density is a Gaussian kernel estimate. The first one has a width for a single peak; the second one the
    width that fits what lies inside the regions of the first, so that distant peaks do not blur each other.
    """
    spread = float(np.std(x))
    if spread <= 1e-12 * max(float(np.abs(x).max()), 1e-300):
        return [(float(x.min()), float(x.max()))]
    first = _above(x, level, _FINE * spread * len(x) ** -0.2)
    if len(first) == 1:
        return first
    parts = [x[(x >= lower) & (x <= upper)] for lower, upper in first]
    within = np.sqrt(np.average([np.var(p) for p in parts], weights=[len(p) for p in parts]))
    return _above(x, level, _FINE * max(float(within), 1e-3 * spread) * len(x) ** -0.2)


def _above(x: np.ndarray, level: float, width: float) -> list[tuple[float, float]]:
    """Return the intervals of `_regions` for a kernel of the given width."""
    edges = np.linspace(x.min() - 4 * width, x.max() + 4 * width, _GRID + 1)
    centres, step = 0.5 * (edges[1:] + edges[:-1]), edges[1] - edges[0]
    reach = np.arange(-int(5 * width / step) - 1, int(5 * width / step) + 2) * step
    density = scipy.signal.fftconvolve(
        np.histogram(x, edges)[0], np.exp(-0.5 * (reach / width) ** 2), mode="same"
    )
    threshold = np.quantile(np.interp(x, centres, density), 1 - level)
    inside = np.concatenate([[False], density > threshold, [False]])
    change = np.flatnonzero(inside[1:] != inside[:-1])
    ends = [_crossing(centres, density, int(k), threshold) for k in change]
    return list(zip(ends[::2], ends[1::2], strict=True))


def _crossing(x: np.ndarray, y: np.ndarray, k: int, level: float) -> float:
    """Return where y passes the level between points k - 1 and k, linearly interpolated."""
    if k in (0, len(x)):
        return float(x[min(k, len(x) - 1)])
    share = (level - y[k - 1]) / (y[k] - y[k - 1])
    return float(x[k - 1] + share * (x[k] - x[k - 1]))
