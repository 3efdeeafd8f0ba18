"""Calibration: make the mean of r over SM events equal sigma(c)/sigma(0), keeping r positive.

A congruence G -> S^T G S of every event's quadratic form keeps it positive, and S = [[1, b], [0, A]] keeps
r = 1 at the SM. Writing the mean of the estimate as (1, m; m, C + m m^T) and the target as
(1, l; l, D + l l^T), the choice b = l - A^T m and A^T C A = D meets the target exactly; the symmetric
A = C^-1/2 (C^1/2 D C^1/2)^1/2 C^-1/2 is the one nearest to the identity (the optimal transport map between
Gaussians), taken in coordinates in which every coefficient has unit size.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def transformation(mean: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return S, (n + 1, n + 1), with S^T mean S = target; both matrices have 1 in their first entry.

    Raises InputError when one of them is not positive semidefinite: then it is no mean of squares.
    """
    m, l = mean[0, 1:], target[0, 1:]  # noqa: E741 (the names of the derivation above)
    c, d = mean[1:, 1:] - np.outer(m, m), target[1:, 1:] - np.outer(l, l)
    size = np.sqrt(np.maximum(np.diag(c), 1e-300))
    c, d = c / np.outer(size, size), d / np.outer(size, size)
    lowest = min(np.linalg.eigvalsh(c)[0], np.linalg.eigvalsh(d)[0])
    if lowest < -1e-6 * max(1.0, np.abs(d).max()):
        raise InputError(
            f"cannot calibrate: a mean quadratic form has a negative eigenvalue ({lowest:.2g} of unit size); "
            "check that the cross section belongs to these events and cuts"
        )
    root, inverse = _powers(c)
    middle, _ = _powers(root @ d @ root)
    a = inverse @ middle @ inverse
    missing = np.eye(len(c)) - inverse @ root  # directions without effect stay as they are
    a = (a + missing) * (1 / size)[:, None] * size[None, :]
    s = np.eye(len(m) + 1)
    s[0, 1:] = l - a.T @ m
    s[1:, 1:] = a
    return s


def _powers(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the square root of a positive semidefinite matrix and the pseudo-inverse of that root."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    root = np.sqrt(np.maximum(values, 0.0))
    inverse = np.where(root > 1e-5 * root.max(), 1 / np.maximum(root, 1e-300), 0.0)
    return (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T
