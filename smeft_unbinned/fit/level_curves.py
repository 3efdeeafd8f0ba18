"""Closed curves on which a function on a grid has a given value: marching squares."""

from __future__ import annotations

import numpy as np

Edge = tuple[int, int, int]
"""Node (i, j), and 0 for the edge to (i + 1, j), 1 for that to (i, j + 1)."""


def level_curves(x: np.ndarray, y: np.ndarray, z: np.ndarray, level: float) -> list[np.ndarray]:
    """Return the closed curves (k, 2), first point repeated at the end, that bound where z is above a level.

    x: (m,), y: (n,), ascending. z: (m, n); outside the grid it counts as lower.
    """
    x, y = _wider(x), _wider(y)
    inside = np.pad(z > level, 1)
    z = np.pad(z, 1, mode="edge")
    z = np.where(inside, z, np.minimum(z, np.nextafter(level, -np.inf)))
    links: dict[Edge, list[Edge]] = {}
    count = inside[:-1, :-1].astype(int) + inside[1:, :-1] + inside[:-1, 1:] + inside[1:, 1:]
    for i, j in np.argwhere((count > 0) & (count < 4)):
        for one, two in _segments(int(i), int(j), inside, z, level):
            links.setdefault(one, []).append(two)
            links.setdefault(two, []).append(one)
    curves = []
    while links:
        start = next(iter(links))
        path = [start]
        while links.get(path[-1]):
            step = links[path[-1]].pop()
            links[step].remove(path[-1])
            path.append(step)
        for edge in path:
            if not links.get(edge, True):
                del links[edge]
        curves.append(np.array([_crossing(edge, x, y, z, level) for edge in path]))
    return curves


def _wider(x: np.ndarray) -> np.ndarray:
    return np.concatenate([[2 * x[0] - x[1]], x, [2 * x[-1] - x[-2]]])


def _segments(i: int, j: int, inside: np.ndarray, z: np.ndarray, level: float) -> list[tuple[Edge, Edge]]:
    """Return the pairs of edges of the cell at (i, j) that a curve connects."""
    corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
    edges: list[Edge] = [(i, j, 0), (i + 1, j, 1), (i, j + 1, 0), (i, j, 1)]
    flags = [bool(inside[c]) for c in corners]
    cut = [edges[k] for k in range(4) if flags[k] != flags[(k + 1) % 4]]
    if len(cut) == 2:
        return [(cut[0], cut[1])]
    joined = sum(float(z[c]) for c in corners) / 4 > level  # a saddle: which corners are connected
    if joined == flags[0]:
        return [(edges[0], edges[1]), (edges[2], edges[3])]
    return [(edges[3], edges[0]), (edges[1], edges[2])]


def _crossing(edge: Edge, x: np.ndarray, y: np.ndarray, z: np.ndarray, level: float) -> tuple[float, float]:
    i, j, along = edge
    k, m = (i, j + 1) if along else (i + 1, j)
    share = np.clip((level - z[i, j]) / (z[k, m] - z[i, j]), 0.0, 1.0)
    return float(x[i] + share * (x[k] - x[i])), float(y[j] + share * (y[m] - y[j]))
