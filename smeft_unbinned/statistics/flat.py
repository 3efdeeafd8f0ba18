"""Principal directions of an information matrix, and the directions that it leaves free."""

from __future__ import annotations

import numpy as np

from ..directions import echelon

FLAT = 1e-10
"""Eigenvalue of the information, in units of its diagonal, at which a direction counts as flat."""
ROUNDING = 1e-2
"""Components of a flat direction, in units of the errors, that are left out: what is nearly flat mixes in."""


def spectrum(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, largest first, and unit eigenvectors in columns, largest component positive.

    They are the squared singular values of a root of the matrix (n, n), positive semidefinite, in units of
    its diagonal: eigenvalues that are smaller than the largest by many orders of magnitude stay accurate.
    Those of flat directions are zero.
    """
    d, values, vectors = in_units(matrix)
    root = np.sqrt(np.where(values > FLAT, values, 0.0))[:, None] * vectors.T * d
    _, sizes, axes = np.linalg.svd(root)
    sizes = np.where(np.arange(len(sizes)) < np.sum(values > FLAT), sizes, 0.0)
    largest = axes[np.arange(len(sizes)), np.argmax(np.abs(axes), axis=1)]
    return sizes**2, (axes * np.where(largest < 0, -1.0, 1.0)[:, None]).T


def in_units(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the roots of the diagonal, one for zero, and the spectrum in these units."""
    diagonal = np.diag(matrix)
    d = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(matrix / np.outer(d, d))
    return d, values, vectors


def free_directions(matrix: np.ndarray) -> np.ndarray:
    """Return a basis, (k, n), of the directions without information; a positive semidefinite matrix (n, n).

    It is reduced to echelon form, so that each direction has few components, the largest of them one.
    """
    d, values, vectors = in_units(matrix)
    found = echelon(vectors[:, values <= FLAT].T)
    found[np.abs(found) < ROUNDING] = 0.0
    found /= d
    return np.array([row / row[np.argmax(np.abs(row))] for row in found]).reshape(found.shape)
