"""Measurements in the format of SMEFiT (https://lhcfitnikhef.github.io/smefit_release), and their covariance.

A dataset `NAME` is two files: `NAME.yaml` holds data and uncertainties, read here, `NAME.json` the
predictions (`theory`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .record import Record, Vector, read_yaml

DIAGONAL = ("UNCORR", "THEORYUNCORR")
"""Names of systematics without correlation between points."""
WITHIN = ("CORR", "THEORYCORR")
"""Names of systematics that are correlated within their dataset only."""
TYPES = ("ADD", "MULT")


@dataclass(frozen=True)
class CommonData:
    """A measurement of n points with m sources of systematic uncertainty, in the units of its file.

    name: of the dataset. data: (n,). statistical: (n,), standard deviations. systematics: (m, n), absolute
    shifts of one standard deviation. names: (m,), who is correlated with whom. multiplicative: (m,) bool.
    luminosity: (n,), fb^-1, NaN where the file has none.
    """

    name: str
    data: Vector
    statistical: Vector
    systematics: Vector
    names: tuple[str, ...]
    multiplicative: np.ndarray
    luminosity: Vector

    def shifts(self, t0: Vector | None = None) -> Vector:
        """Return the systematics (m, n); those that are multiplicative scale with t0 (n,) where given.

        Raises InputError where a multiplicative uncertainty of a point with data 0 cannot be scaled.
        """
        if t0 is None:
            return self.systematics
        scaled = self.multiplicative[:, None] & (self.systematics != 0)
        if np.any(scaled & (self.data == 0)):
            raise InputError(
                f"{self.name}: a MULT uncertainty of a point with data_central 0 has no t0 scaling; "
                "use ADD there, or switch use_t0 off"
            )
        ratio = np.divide(t0, self.data, out=np.ones_like(self.data), where=self.data != 0)
        return np.where(scaled, self.systematics * ratio, self.systematics)

    def select(self, mask: np.ndarray) -> CommonData:
        """Return the measurement of some of its points, mask (n,) bool."""
        return replace(
            self,
            data=self.data[mask],
            statistical=self.statistical[mask],
            systematics=self.systematics[:, mask],
            luminosity=self.luminosity[mask],
        )


def read_commondata(path: Path, name: str) -> CommonData:
    """Read the measurement of `name`; raises InputError, naming file and field, for what cannot be used."""
    return parse_commondata(read_yaml(path), name)


def parse_commondata(record: Record, name: str) -> CommonData:
    """Return the measurement of `name` that a file holds; raises InputError, naming file and field."""
    n, m = record.count("num_data", 1), record.count("num_sys", 0)
    names = record.words("sys_names", m) if m else ()
    shared = [x for x in names if x not in (*DIAGONAL, *WITHIN)]
    twice = sorted({x for x in shared if shared.count(x) > 1})
    if twice:
        raise record.error("sys_names", f"holds {twice[0]!r} twice; a shared source enters a dataset once")
    types = record.words("sys_type", m, TYPES) if m else ()
    return CommonData(
        name=name,
        data=record.vector("data_central", n),
        statistical=record.vector("statistical_error", n),
        systematics=record.table("systematics", m, n) if m else np.zeros((0, n)),
        names=names,
        multiplicative=np.array([t == "MULT" for t in types], dtype=bool),
        luminosity=_luminosity(record, n),
    )


def _luminosity(record: Record, n: int) -> Vector:
    """Return one number per point from a number, n of them, or nothing."""
    value = record.fields.get("luminosity")
    if value is None:
        return np.full(n, np.nan)
    return np.array(record.row("luminosity", value if isinstance(value, list) else [value] * n, n), float)


def _rows(sets: Sequence[CommonData], t0: Sequence[Vector] | None) -> Iterator[tuple[str, slice, Vector]]:
    """Yield name, place among all points, and shifts of every systematic of every dataset."""
    ends = np.cumsum([d.data.size for d in sets])
    for i, (dataset, end) in enumerate(zip(sets, ends, strict=True)):
        here = slice(int(end) - dataset.data.size, int(end))
        for name, row in zip(dataset.names, dataset.shifts(None if t0 is None else t0[i]), strict=True):
            yield name, here, row


def shared_sources(sets: Sequence[CommonData], t0: Sequence[Vector] | None = None) -> dict[str, Vector]:
    """Return the systematics that are correlated across datasets, {name: shifts (n,) of all their points}.

    t0 as in `experimental_covariance`.
    """
    n = sum(d.data.size for d in sets)
    shared: dict[str, Vector] = {}
    for name, here, row in _rows(sets, t0):
        if name not in (*DIAGONAL, *WITHIN):
            shared.setdefault(name, np.zeros(n))[here] = row
    return shared


def experimental_covariance(
    sets: Sequence[CommonData], t0: Sequence[Vector] | None = None, leave_out: Sequence[str] = ()
) -> Vector:
    """Return the covariance (n, n) of all points of all datasets, in their order.

    UNCORR and THEORYUNCORR add to the diagonal, CORR and THEORYCORR are correlated within a dataset, and a
    source of any other name is one and the same in every dataset that carries it, unless it is to be left
    out. With t0, one (n_i,) per dataset, multiplicative uncertainties scale with it in place of the data
    (arXiv:0912.2276).
    """
    variance = np.concatenate([d.statistical**2 for d in sets])
    sources = [row for name, row in shared_sources(sets, t0).items() if name not in leave_out]
    for name, here, row in _rows(sets, t0):
        if name in DIAGONAL:
            variance[here] += row**2
        elif name in WITHIN:
            sources.append(np.zeros(variance.size))
            sources[-1][here] = row
    stacked = np.array(sources).reshape(-1, variance.size)
    return np.asarray(np.diag(variance) + stacked.T @ stacked)
