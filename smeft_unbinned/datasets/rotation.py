"""Linear maps between the coefficients of theory tables and those of a fit: a rotation file, and running.

With c_table = T c_fit a linear correction becomes a' = T^T a, a quadratic form Q' = T^T Q T. A monomial
c_a c_b of the table with coefficient q contributes q (T_ai T_bj + T_aj T_bi) to c_i c_j, i < j, both orders.
(SMEFiT 4.0.0 keeps the first of the two only, and so loses cross terms; its linear corrections are the same.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..polynomial import pack, unpack
from .record import Record, Vector, read_json
from .theory import TheoryTable


class Running(Protocol):
    """How the coefficients of a card, at one scale, give those at the scale of each point."""

    @property
    def operators(self) -> tuple[str, ...]:
        """The n coefficients of the card."""

    def matrix(self, scale: float | None) -> tuple[tuple[str, ...], np.ndarray]:
        """Return m names and the matrix (m, n) with c(scale) = M c; None for a point without a scale."""

    def point_scales(self, scales: np.ndarray) -> np.ndarray:
        """Return the scales, GeV, up to which coefficients run, from those of n points (NaN: none)."""


@dataclass(frozen=True)
class Rotation:
    """c_table = matrix^T c_fit: `tables` names the k coefficients of tables, `fit` the n of the fit.

    matrix: (n, k).
    """

    tables: tuple[str, ...]
    fit: tuple[str, ...]
    matrix: Vector

    def rows(self, names: Sequence[str]) -> Vector:
        """Return T for some coefficients of tables, (len(names), n); zero for one that the file lacks."""
        place = {name: i for i, name in enumerate(self.tables)}
        out = np.zeros((len(names), len(self.fit)))
        for i, name in enumerate(names):
            if name in place:
                out[i] = self.matrix[:, place[name]]
        return out


def read_rotation(path: str | Path) -> Rotation:
    """Read a JSON file {matrix, xpars, ypars}: matrix[i][j] is how much of fit coefficient ypars[i] is in
    table coefficient xpars[j].

    Raises InputError, naming file and field, for what cannot be used.
    """
    record = read_json(Path(path))
    tables, fit = _names(record, "xpars"), _names(record, "ypars")
    value = record.get("matrix")
    rows = value if isinstance(value, list) else [value]
    if len(rows) != len(fit):
        raise record.error("matrix", f"must have {len(fit)} rows, one per entry of ypars, found {len(rows)}")
    for row in rows:
        if not isinstance(row, list) or len(row) != len(tables):
            found = len(row) if isinstance(row, list) else type(row).__name__
            raise record.error(
                "matrix", f"must have {len(tables)} columns, one per entry of xpars; found {found}"
            )
    return Rotation(tables, fit, np.array([record.row("matrix", row, len(tables)) for row in rows]))


def _names(record: Record, field: str) -> tuple[str, ...]:
    value = record.get(field)
    if not isinstance(value, list) or not value or not all(isinstance(x, str) and x for x in value):
        raise record.error(field, "must be a list of names of coefficients")
    twice = sorted({x for x in value if value.count(x) > 1})
    if twice:
        raise record.error(field, f"holds {twice[0]!r} twice; keep one")
    return tuple(value)


def substituted(packed: Vector, matrix: np.ndarray) -> Vector:
    """Return polynomials in c', (n, P'), from those in c = T c', (n, P); T is (k, k') or (n, k, k')."""
    full = np.zeros((*matrix.shape[:-2], matrix.shape[-2] + 1, matrix.shape[-1] + 1))
    full[..., 0, 0] = 1.0
    full[..., 1:, 1:] = matrix
    form = full.swapaxes(-1, -2) @ unpack(packed) @ full
    return np.asarray(pack(0.5 * (form + form.swapaxes(-1, -2))))


@dataclass(frozen=True)
class Maps:
    """The maps of one loading, rotation first and then running, as in SMEFiT; either can be None."""

    rotation: Rotation | None = None
    running: Running | None = None

    @property
    def operators(self) -> tuple[str, ...]:
        """Every coefficient of the fit that the maps know."""
        if self.running is not None:
            return self.running.operators
        return () if self.rotation is None else self.rotation.fit

    def of(self, table: TheoryTable) -> Vector:
        """Return T from the coefficients of the fit to `table.operators`, (k, n) or per point (N, k, n)."""
        names: tuple[str, ...] = table.operators
        first = np.eye(len(names))
        if self.rotation is not None:
            first, names = self.rotation.rows(names), self.rotation.fit
        if self.running is None:
            return first
        points = self.running.point_scales(table.scales)
        scales = [None if np.isnan(s) else float(s) for s in points]
        known = {scale: self._run(scale, names) for scale in dict.fromkeys(scales)}
        return np.asarray(first @ np.array([known[scale] for scale in scales]))

    def _run(self, scale: float | None, names: Sequence[str]) -> Vector:
        """Return the rows of the matrix of running for some names; zero for one that is not generated."""
        assert self.running is not None
        generated, matrix = self.running.matrix(scale)
        place = {name: i for i, name in enumerate(generated)}
        out = np.zeros((len(names), len(self.running.operators)))
        for i, name in enumerate(names):
            if name in place:
                out[i] = np.asarray(matrix)[place[name]]
        return out
