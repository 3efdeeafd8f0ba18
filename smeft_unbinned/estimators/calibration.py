"""Calibration: make the mean of r over SM events equal sigma(c)/sigma(0), keeping r positive.

A congruence G -> S^T G S of every event's quadratic form keeps it positive, and S = [[1, b], [0, A]] keeps
r = 1 at the SM. Writing the mean of the estimate as (1, m; m, C + m m^T) and the target as
(1, l; l, D + l l^T), the choice b = l - A^T m and A^T C A = D meets the target; the symmetric
A = C^-1/2 (C^1/2 D C^1/2)^1/2 C^-1/2 is the one nearest to the identity (the optimal transport map between
Gaussians), taken in coordinates in which the quadratic term of every coefficient is one.

Directions in which C vanishes stay as they are: there r = (1 + m . c)^2 in every event, and b does it all.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

_ZERO = 1e-5
"""Eigenvalues of C below this count as zero: event weights are often written with few digits."""
_NEGATIVE = -1e-3


def transformation(mean: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return S, (n + 1, n + 1), with S^T mean S = target; both matrices have 1 in their first entry.

    Raises InputError when one of them is not positive semidefinite: then it is no mean of squares.
    """
    size = np.sqrt(np.maximum(np.diag(target)[1:], 1e-300))
    m, goal = mean[0, 1:] / size, target[0, 1:] / size
    c = mean[1:, 1:] / np.outer(size, size) - np.outer(m, m)
    d = target[1:, 1:] / np.outer(size, size) - np.outer(goal, goal)
    lowest = min(np.linalg.eigvalsh(c)[0], np.linalg.eigvalsh(d)[0])
    if lowest < _NEGATIVE:
        raise InputError(
            f"cannot calibrate: a mean quadratic form has a negative eigenvalue ({lowest:.2g} of unit size); "
            "check that the cross section belongs to these events and cuts"
        )
    root, inverse, kept = _powers(c)
    middle, _, _ = _powers(root @ d @ root)
    a = inverse @ middle @ inverse + np.eye(len(c)) - kept
    s = np.eye(len(m) + 1)
    s[0, 1:] = (goal - a.T @ m) * size
    s[1:, 1:] = a * size[None, :] / size[:, None]
    return s


def _powers(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the square root of a positive semidefinite matrix, its pseudo-inverse, and their projector."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    kept = values > _ZERO
    root = np.sqrt(np.where(kept, values, 0.0))
    inverse = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T, (vectors * kept) @ vectors.T
