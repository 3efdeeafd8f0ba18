"""Names of Wilson coefficients, and the linear maps between the bases in which fitters use them.

Inside this package a coefficient is c/Lambda^2 in TeV^-2. Fits are made in one of two bases:

- `warsaw`: flavour-universal Warsaw coefficients with the names that MadGraph models (SMEFTsim,
  arXiv:2012.11343) and most papers use: cHW, cHq1, ...
- `smefit`: the degrees of freedom of SMEFiT (arXiv:2105.00006, table 2.5): OpW, OpqMi, ...

Names can also be read in `wcxf` (Warsaw with flavour indices: phiq1_11), `smeftatnlo`, `dim6top` and
`smeftsim_top`; the module `operators_table` holds their definitions. A map gives the coefficients of the
source as combinations of those of the target, c = T c'. Where a coefficient stands for several Warsaw entries
that are equal by flavour symmetry, it is read off that of the first generation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from . import operators_table
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
"""Bases of fits: what a runcard may name."""
NAME_SETS = (*BASES, "wcxf", "smeftatnlo", "dim6top", "smeftsim_top")
"""Every set of names that can be translated."""
UNKNOWN = "unknown"
"""Basis of coefficients with names of their own, which nothing is known to translate."""
DATASET_BASES = (*NAME_SETS, UNKNOWN)
"""What a dataset or a runcard may name as its basis."""
GEV2_PER_TEV2 = 1e-6
"""Factor from a coefficient in TeV^-2 to one in GeV^-2, the unit of WCxf files."""


@lru_cache(maxsize=64)
def _map(source: str, target: str) -> dict[str, dict[str, float]]:
    """Return the coefficients of the source that the target can express, as combinations of its own."""
    if (source, target) in _MAPS:
        return _MAPS[source, target]
    entries = _entries(target)
    if source == "wcxf":
        return {e: {e: 1.0} for e in entries} if target == "wcxf" else operators_table.forward(target)
    table: dict[str, dict[str, float]] = {}
    for name, row in operators_table.DEFINITIONS[source].items():
        if all(target == "wcxf" or entry in entries for entry in row):
            total: dict[str, float] = {}
            for entry, factor in row.items():
                for new, x in ({entry: 1.0} if target == "wcxf" else entries[entry]).items():
                    total[new] = total.get(new, 0.0) + factor * x
            table[name] = {new: x for new, x in total.items() if abs(x) > 1e-12}
    return table


def _entries(basis: str) -> dict[str, dict[str, float]]:
    if basis != "wcxf":
        return operators_table.forward(basis)
    return {e: {} for b in operators_table.DEFINITIONS for e in operators_table.forward(b)}


def _check(*bases: str) -> None:
    for basis in bases:
        if basis == UNKNOWN:
            raise InputError(
                f"coefficients of basis {UNKNOWN!r} cannot be translated; fit in it, or name the basis "
                "when the dataset is exported"
            )
        if basis not in NAME_SETS:
            more = ", ".join(name for name in NAME_SETS if name not in BASES)
            raise InputError(
                f"unknown basis {basis!r}; known are {', '.join(BASES)}.{nearest(basis, NAME_SETS)} "
                f"Names can also be translated from and to {more}"
            )


def translatable(source: str, target: str) -> tuple[str, ...]:
    """Return every operator of the source basis that the target can express."""
    return tuple(_map(source, target))


def expressible(operators: Sequence[str], source: str, target: str) -> tuple[str, ...]:
    """Return those of the operators that the target basis can express."""
    known = _map(source, target) if source != target and {source, target} <= {*NAME_SETS} else {}
    return tuple(n for n in operators if source == target or n in known)


def translation(operators: Sequence[str], source: str, target: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names c' of the target basis and T, (n, n'), with c = T c' for the given source names.

    Raises InputError for an unknown basis and for operators that the target cannot express.
    """
    _check(source, target)
    if source == target:
        return tuple(operators), np.eye(len(operators))
    table = _map(source, target)
    missing = [name for name in operators if name not in table]
    if missing:
        raise InputError(
            f"{', '.join(missing)} of basis {source!r} cannot be written in basis {target!r}; "
            f"drop them first with restrict(), or fit in basis {source!r}"
        )
    names = tuple(dict.fromkeys(new for name in operators for new in table[name]))
    matrix = [table[name].get(new, 0.0) for name in operators for new in names]
    return names, np.reshape(np.array(matrix, dtype=float), (len(operators), len(names)))


def incomplete(operators: Sequence[str], source: str, target: str) -> dict[str, list[str]]:
    """Return the target coefficients that move further operators of the source, and which.

    SMEFiT's O3pq is cHq3 and cHq1 at once: data described by cHq3 alone say something about O3pq only if they
    do not depend on cHq1. Fits tell the user so.
    """
    if source == target:
        return {}
    names, table = translation(operators, source, target)[0], _map(source, target)
    moved = {new: [n for n, row in table.items() if new in row and n not in operators] for new in names}
    return {new: missing for new, missing in moved.items() if missing}


def translate(form: QuadraticForm, source: str, target: str) -> QuadraticForm:
    """Return a quadratic form in the coefficients of another basis."""
    names, matrix = translation(form.operators, source, target)
    return form if source == target else form.change_basis(names, matrix)


def to_wcxf(coefficients: Mapping[str, float], basis: str) -> dict[str, float]:
    """Return a point as the values of a WCxf file, GeV^-2, from coefficients in TeV^-2.

    Every entry that the flavour symmetry of `basis` makes equal is there. Raises InputError for an unknown
    basis and for a coefficient that the basis does not have.
    """
    _check(basis)
    if basis == "wcxf":
        return {name: float(x) * GEV2_PER_TEV2 for name, x in coefficients.items()}
    known = operators_table.DEFINITIONS[basis]
    for name in coefficients:
        if name not in known:
            raise InputError(f"basis {basis!r} has no coefficient {name!r}.{nearest(name, known)}")
    values = {
        entry: sum(float(coefficients.get(name, 0.0)) * x for name, x in row.items())
        for entry, row in operators_table.forward(basis).items()
        if any(name in coefficients for name in row)
    }
    return {entry: x * GEV2_PER_TEV2 for entry, x in values.items()}


def from_wcxf(values: Mapping[str, float], basis: str, *, tolerance: float = 1e-6) -> dict[str, float]:
    """Return a point in the coefficients of a basis, TeV^-2, from the values of a WCxf file, GeV^-2.

    tolerance: how far, relative to the largest value, an entry may be from what the flavour symmetry of the
    basis makes of it. Raises InputError, naming the entry, for a point outside what the basis can express.
    """
    _check(basis)
    given = {name: float(x) / GEV2_PER_TEV2 for name, x in values.items()}
    if basis == "wcxf":
        return given
    point = {
        name: sum(given.get(entry, 0.0) * x for entry, x in row.items())
        for name, row in operators_table.DEFINITIONS[basis].items()
        if any(entry in given for entry in row)
    }
    back = to_wcxf(point, basis)
    largest = max(map(abs, given.values()), default=0.0)
    for entry in {**given, **back}:
        made, wanted = back.get(entry, 0.0) / GEV2_PER_TEV2, given.get(entry, 0.0)
        if not abs(made - wanted) <= tolerance * largest:
            raise InputError(
                f"basis {basis!r} ({operators_table.FLAVOUR[basis]}) cannot express {entry} = {wanted:g} "
                f"TeV^-2: its symmetry makes it {made:g}; project the point first, or use basis 'wcxf'"
            )
    return point
