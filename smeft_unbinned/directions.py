"""Directions in the space of coefficients: few components where they can be chosen, and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def echelon(rows: np.ndarray) -> np.ndarray:
    """Return the reduced echelon form of a basis (k, n), pivots, which become one, where entries are largest.

    Eigenvectors of a space of several dimensions mix all of it; here each direction has few components.
    """
    rows = rows.copy()
    for i in range(len(rows)):
        rows[i:] /= np.abs(rows[i:]).max(axis=1, keepdims=True)
        k, j = divmod(int(np.argmax(np.abs(rows[i:]))), rows.shape[1])
        rows[[i, i + k]] = rows[[i + k, i]]
        rows[i] /= rows[i, j]
        others = np.arange(len(rows)) != i
        rows[others] -= np.outer(rows[others, j], rows[i])
    return rows


def in_words(
    direction: np.ndarray,
    names: Sequence[str],
    least: float = 0.02,
    most: int | None = 8,
    unit: np.ndarray | float = 1.0,
) -> str:
    """Return a direction (n,) as text, "OpQM + 0.3 O3pQ3", the largest component first and with factor one.

    least: what is smaller, as a fraction of the largest, is left out; most: components named, None for all.
    unit: steps (n,) that count alike when components are compared.
    """
    size = np.abs(direction / unit)
    size = np.round(size / size.max(), 6)  # those of equal size stay in order
    order = [i for i in np.argsort(-size, kind="stable") if size[i] > least]
    terms = []
    for i in order[:most]:
        factor = direction[i] / np.abs(direction[order[0]])
        sign = "-" if factor < 0 else "+"
        number = "" if abs(abs(factor) - 1) < 5e-3 else f"{abs(factor):.2g} "
        terms.append(f"{sign} {number}{names[i]}")
    text = " ".join(terms).removeprefix("+ ")
    text = "-" + text[2:] if text.startswith("- ") else text
    return text + (" + ..." if most is not None and len(order) > most else "")
