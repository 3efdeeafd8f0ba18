"""Predictions in the format of SMEFiT: `NAME.json` with the SM, its covariance, and the corrections.

There is one block of corrections per order in QCD or EW couplings, with its own SM and with a number per
point for each operator and each product of two operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError, nearest
from ..polynomial import size
from .record import Record, Vector, read_json

_COVARIANCE = "theory_cov"


@dataclass(frozen=True)
class TheoryTable:
    """Predictions for n points: SM (n,), its covariance (n, n), and k corrections.

    scales: (n,), GeV, NaN where the file has none. normalisation: the SM at the order of the corrections,
    (n,). terms: k tuples of one operator or of two, sorted. corrections: (k, n).
    """

    name: str
    order: str
    sm: Vector
    covariance: Vector
    scales: Vector
    normalisation: Vector
    terms: tuple[tuple[str, ...], ...]
    corrections: Vector

    @property
    def operators(self) -> tuple[str, ...]:
        """Every operator of the table, sorted."""
        return tuple(sorted({name for term in self.terms for name in term}))

    def linear(self) -> TheoryTable:
        """Return the table without the products of operators."""
        kept = [i for i, term in enumerate(self.terms) if len(term) == 1]
        return replace(self, terms=tuple(self.terms[i] for i in kept), corrections=self.corrections[kept])

    def select(self, mask: np.ndarray) -> TheoryTable:
        """Return the predictions for some of the points, mask (n,) bool."""
        return replace(
            self,
            sm=self.sm[mask],
            covariance=self.covariance[np.ix_(mask, mask)],
            scales=self.scales[mask],
            normalisation=self.normalisation[mask],
            corrections=self.corrections[:, mask],
        )

    def packed(self, operators: tuple[str, ...], multiplicative: bool = False) -> Vector:
        """Return the coefficients of a `Polynomial` in the given operators, (n, P); others are zero.

        multiplicative: SM times (1 + correction / SM at the order of the correction), in place of SM plus
        correction. Raises InputError where the latter SM is zero then.
        """
        if multiplicative and np.any(self.normalisation == 0):
            raise InputError(
                f"{self.name}: SM of order {self.order} is zero in a bin, so that no ratio exists"
            )
        factor = self.sm / self.normalisation if multiplicative else 1.0
        m = len(operators)
        place = {name: i for i, name in enumerate(operators, start=1)}
        rows, columns = [], []
        for row, term in enumerate(self.terms):
            where = sorted(place.get(name, -1) for name in term)
            if where[0] > 0:
                i, j = (0, *where) if len(where) == 1 else where
                rows.append(row)
                columns.append(i * (2 * m + 1 - i) // 2 + j)  # of (i, j) in the upper triangle
        out = np.zeros((self.sm.size, size(m)))
        out[:, 0] = self.sm
        out[:, columns] = (self.corrections[rows] * factor).T
        return out


def read_theory(path: Path, name: str, n: int, order: str, covariance: str | None) -> TheoryTable:
    """Read the predictions for the n points of `name` at an order such as LO or NLO_QCD.

    covariance: which theory covariance to read (current, conservative, ...), None for none.
    Raises InputError, naming file and field, for what cannot be used.
    """
    record = read_json(path)
    orders = [str(k) for k, v in record.fields.items() if isinstance(v, Mapping)]
    if order not in orders:
        raise InputError(
            f"{path}: dataset {name} has no order {order!r}; the file has {', '.join(orders[:20]) or 'none'}."
            + nearest(order, orders)
        )
    block = Record(path, record.fields[order], f"{order}/")
    terms: dict[tuple[str, ...], list[float]] = {}
    for key, values in block.fields.items():
        term = tuple(sorted(key.split("*")))
        if len(term) > 2 or not all(term):
            raise block.error(key, "must be an operator or a product of two, 'Oa' or 'Oa*Ob'")
        if term in terms:
            raise block.error(key, "is given twice, in both orders of the names; keep one of them")
        if key != "SM":
            terms[term] = block.row(key, values, n)
    return TheoryTable(
        name=name,
        order=order,
        sm=record.vector("best_sm", n),
        covariance=np.zeros((n, n)) if covariance is None else _theory_covariance(record, n, covariance),
        scales=_scales(record, n),
        normalisation=block.vector("SM", n),
        terms=tuple(terms),
        corrections=np.array(list(terms.values()), dtype=float).reshape(-1, n),
    )


def _theory_covariance(record: Record, n: int, which: str) -> Vector:
    """Return the covariance that is asked for, or the only one of a file that has no choice of them."""
    wanted = f"{_COVARIANCE}_{which}"
    name = wanted if wanted in record.fields or _COVARIANCE not in record.fields else _COVARIANCE
    if name not in record.fields:
        known = [k.removeprefix(f"{_COVARIANCE}_") for k in record.fields if k.startswith(_COVARIANCE)]
        raise record.error(
            name,
            f"is missing; theory_cov can be {', '.join(known)}.{nearest(which, known)}"
            if known
            else "is missing; the file has no theory covariance, switch use_theory_covmat off",
        )
    return record.table(name, n, n)


def _scales(record: Record, n: int) -> Vector:
    """Return the scale of each point; NaN for one that has none, null in the file."""
    value = record.fields.get("scales")
    items = value if isinstance(value, list) else [value]
    if all(x is None for x in items):
        return np.full(n, np.nan)
    numbers = np.array(record.row("scales", [1.0 if x is None else x for x in items], n), dtype=float)
    numbers[[x is None for x in items]] = np.nan
    return numbers
