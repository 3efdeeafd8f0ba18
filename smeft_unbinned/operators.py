"""Names of Wilson coefficients, and the linear maps between the bases in which fitters use them.

Inside this package a coefficient is c/Lambda^2 in TeV^-2. Two name sets are known:

- `warsaw`: flavour-universal Warsaw coefficients with the names that MadGraph models (SMEFTsim,
  arXiv:2012.11343) and most papers use: cHW, cHq1, ...
- `smefit`: the degrees of freedom of SMEFiT (arXiv:2105.00006, table 2.5): OpW, OpqMi, ...

A map gives the coefficients of the source as combinations of those of the target, c = T c'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import InputError, nearest
from .polynomial import QuadraticForm

UNITS = "TeV^-2"
"""Unit of every coefficient inside the package: c/Lambda^2 with Lambda = 1 TeV."""

WARSAW_IN_SMEFIT: dict[str, dict[str, float]] = {
    "cHW": {"OpW": 1.0},
    "cHB": {"OpB": 1.0},
    "cHWB": {"OpWB": 1.0},
    "cHbox": {"OpBox": 1.0},
    "cHD": {"OpD": 1.0},
    "cHq1": {"OpqMi": 1.0, "O3pq": 1.0},
    "cHq3": {"O3pq": 1.0},
    "cHu": {"Opui": 1.0},
    "cHd": {"Opdi": 1.0},
}
"""Warsaw coefficients as combinations of SMEFiT's; an operator absent here has no counterpart there."""


def _invert(table: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    rows = list(table)
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    inverse = np.linalg.inv([[table[r].get(c, 0.0) for c in columns] for r in rows])
    return {
        c: {r: float(x) for r, x in zip(rows, line, strict=True) if x}
        for c, line in zip(columns, inverse, strict=True)
    }


_MAPS = {("warsaw", "smefit"): WARSAW_IN_SMEFIT, ("smefit", "warsaw"): _invert(WARSAW_IN_SMEFIT)}
BASES = ("smefit", "warsaw")


def translatable(source: str, target: str) -> tuple[str, ...]:
    """Return every operator of the source basis that the target can express."""
    return tuple(_MAPS[source, target])


def expressible(operators: Sequence[str], source: str, target: str) -> tuple[str, ...]:
    """Return those of the operators that the target basis can express."""
    return tuple(n for n in operators if source == target or n in _MAPS.get((source, target), {}))


def translation(operators: Sequence[str], source: str, target: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names c' of the target basis and T, (n, n'), with c = T c' for the given source names.

    Raises InputError for an unknown basis and for operators that the target cannot express.
    """
    for basis in (source, target):
        if basis not in BASES:
            raise InputError(f"unknown basis {basis!r}; known are {', '.join(BASES)}.{nearest(basis, BASES)}")
    if source == target:
        return tuple(operators), np.eye(len(operators))
    table = _MAPS[source, target]
    missing = [name for name in operators if name not in table]
    if missing:
        raise InputError(
            f"{', '.join(missing)} of basis {source!r} cannot be written in basis {target!r}; "
            f"drop them first with restrict(), or fit in basis {source!r}"
        )
    names = tuple(dict.fromkeys(new for name in operators for new in table[name]))
    return names, np.array([[table[name].get(new, 0.0) for new in names] for name in operators])


def translate(form: QuadraticForm, source: str, target: str) -> QuadraticForm:
    """Return a quadratic form in the coefficients of another basis."""
    names, matrix = translation(form.operators, source, target)
    return form if source == target else form.change_basis(names, matrix)
