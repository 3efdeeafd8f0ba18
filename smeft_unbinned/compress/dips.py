"""Where the ratio of a single event comes close to zero: its weight makes a narrow peak of -2 log L there.

An event of weight w adds -2 w log r, which is much only close to the minimum of r. No sample of the region
comes near such a peak, but the place is known in closed form: close to any c, it is where a quadratic form
plus a small multiple of the squared distance from c is least. Events whose peak is too high to be tolerated
stay as they are; for events that stand for others the peaks are points at which to look.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..datasets import UnbinnedDataset
from ..likelihood import Likelihood
from ..polynomial import unpack
from .groups import blocks
from .region import principal_axes, values

Real = NDArray[np.float64]
_RIDGE = 1e-3
"""What one standard deviation of the region adds to r: picks the closest point of a valley."""
_CENTERS = 16
_LOW = 0.1
"""Ratio down to which log r is smooth enough to be shared by many events."""


def dips(
    dataset: UnbinnedDataset, function: Likelihood, points: Real, limit: float, height: float
) -> tuple[NDArray[np.int64], Real]:
    """Return events with peaks of -2 log L in the region above `height`, (K,), and where they are, (K, n).

    A peak is 2 w log(0.1/r) at the minimum of r close to one of several points of the region. function,
    limit: the region is where the one is below the other. points: a sample of it, (S, n).
    """
    center = points.mean(axis=0)
    n = len(center)
    axes = principal_axes(points)
    inside = np.linalg.solve(axes, (points - center).T).T
    far = 1.1 * np.abs(inside).max(axis=0)
    starts = np.concatenate([np.zeros((1, n)), inside[:: max(1, len(inside) // _CENTERS)]])
    shift = np.block([[np.ones((1, 1)), np.zeros((1, n))], [center[:, None], axes]])
    events, places, peaks = [np.zeros(0, dtype=np.int64)], [np.zeros((0, n))], [np.zeros(0)]
    for part, coefficients in blocks(dataset):
        form = shift.T @ unpack(coefficients) @ shift  # over (1, y) with c = center + axes y
        size, own = np.linalg.eigh(form[:, 1:, 1:])
        inverse = own / np.maximum(size + _RIDGE, _RIDGE)[:, None, :] @ own.swapaxes(1, 2)
        for start in starts:
            y = start - (inverse @ (form[:, 1:, 1:] @ start + form[:, 1:, 0])[..., None])[..., 0]
            x = np.concatenate([np.ones((len(y), 1)), y], axis=1)
            r = np.einsum("ej,ej->e", x, (form @ x[..., None])[..., 0]).clip(1e-12)
            peak = 2.0 * dataset.weights[part] * np.log(_LOW / r)
            chosen = np.flatnonzero((peak > height) & np.all(np.abs(y) < far, axis=1))
            events.append(part.start + chosen)
            places.append(center + y[chosen] @ axes.T)
            peaks.append(peak[chosen])
    event = np.concatenate(events)
    order = np.lexsort((-np.concatenate(peaks), event))  # the highest peak of an event first
    event, place = event[order], np.asarray(np.concatenate(places)[order])
    below = values(function, place) < limit if len(place) else np.zeros(0, dtype=np.bool_)
    chosen, first = np.unique(event[below], return_index=True)
    return chosen, place[below][first]
