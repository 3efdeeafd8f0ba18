"""Files of binned measurements in the format of SMEFiT (https://lhcfitnikhef.github.io/smefit_release).

A dataset `NAME` is two files: `NAME.yaml` holds data and uncertainties, `NAME.json` the Standard Model
prediction, its covariance and the corrections of the operators at each order in QCD or EW couplings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from ..errors import InputError, nearest

Vector: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

MAX_BYTES = 64 * 2**20
"""Files larger than this are refused."""
DIAGONAL = ("UNCORR", "THEORYUNCORR")
"""Names of systematics without correlation between points."""
WITHIN = ("CORR", "THEORYCORR")
"""Names of systematics that are correlated within their dataset only."""
TYPES = ("ADD", "MULT")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE_KEY = re.compile(r"<<\s*:")


@dataclass(frozen=True)
class CommonData:
    """A measurement of n points with m sources of systematic uncertainty, in the units of its file.

    name: of the dataset. data: (n,). statistical: (n,), standard deviations. systematics: (m, n), absolute
    shifts of one standard deviation. names: (m,), who is correlated with whom. multiplicative: (m,) bool.
    """

    name: str
    data: Vector
    statistical: Vector
    systematics: Vector
    names: tuple[str, ...]
    multiplicative: np.ndarray

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


@dataclass(frozen=True)
class TheoryTable:
    """Predictions for n points: SM (n,), its covariance (n, n), scales in GeV, and corrections (n,) each.

    normalisation: the SM at the order of the corrections, (n,). linear: by name. quadratic: by pair of names.
    scales: (n,), NaN where the file has none.
    """

    name: str
    order: str
    sm: Vector
    covariance: Vector
    scales: Vector
    normalisation: Vector
    linear: Mapping[str, Vector]
    quadratic: Mapping[tuple[str, str], Vector]

    @property
    def operators(self) -> tuple[str, ...]:
        """Every operator of the table, sorted."""
        return tuple(sorted({*self.linear, *(name for pair in self.quadratic for name in pair)}))


class _Record:
    """The mapping that a file holds, read field by field with errors that name file and field."""

    def __init__(self, path: Path, fields: Any, inside: str = "") -> None:
        self.path, self.inside = path, inside
        if not isinstance(fields, Mapping):
            raise InputError(f"{path}: expected a mapping of fields{inside}, found {type(fields).__name__}")
        self.fields = fields

    def error(self, name: str, problem: str) -> InputError:
        return InputError(f"{self.path}: field {self.inside + name!r} {problem}")

    def get(self, name: str) -> Any:
        if name not in self.fields:
            raise self.error(name, f"is missing.{nearest(name, map(str, self.fields))}")
        return self.fields[name]

    def count(self, name: str, least: int) -> int:
        value = self.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            found = value if isinstance(value, int) else type(value).__name__
            raise self.error(name, f"must be a whole number of at least {least}, found {found}")
        return value

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = "; YAML reads 1e-3 as text, write 1.0e-3" if isinstance(value, str) else ""
            found = repr(value[:40]) if isinstance(value, str) else type(value).__name__
            raise self.error(name, f"must hold numbers, found {found}{hint}")
        if not math.isfinite(value):
            raise self.error(name, f"must be finite, found {value}")
        return float(value)

    def _list(self, name: str, value: Any, length: int, what: str) -> list[Any]:
        items = value if isinstance(value, list) else [value]
        if len(items) != length:
            raise self.error(name, f"must have {length} {what}, found {len(items)}")
        return items

    def _row(self, name: str, value: Any, n: int) -> list[float]:
        return [self._number(name, x) for x in self._list(name, value, n, "numbers (one per data point)")]

    def vector(self, name: str, n: int) -> Vector:
        """Return n numbers; a bare number where n is 1."""
        return np.array(self._row(name, self.get(name), n), dtype=float)

    def table(self, name: str, rows: int, n: int) -> Vector:
        """Return rows x n numbers; one bare row where rows is 1, bare numbers where n is 1."""
        value = self.get(name)
        if rows == 1 and isinstance(value, list) and not (value and isinstance(value[0], list)):
            value = [value]
        lines = self._list(name, value, rows, "rows")
        return np.array([self._row(name, line, n) for line in lines], dtype=float).reshape(rows, n)

    def words(self, name: str, n: int, known: Sequence[str] = ()) -> tuple[str, ...]:
        """Return n strings, each one of `known` if that is given."""
        items = self._list(name, self.get(name), n, "entries (one per systematic)")
        for item in items:
            if not isinstance(item, str) or (known and item not in known):
                wanted = f"one of {', '.join(known)}" if known else "text"
                found = repr(item[:40]) if isinstance(item, str) else type(item).__name__
                raise self.error(name, f"holds {found}, expected {wanted}.{nearest(found, known)}")
        return tuple(items)


def _open(path: Path, parse: Callable[[str], Any]) -> _Record:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size} bytes, more than the {MAX_BYTES} that are read; split it")
        return _Record(path, parse(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid {path.suffix[1:].upper()}: {error}") from error


def _parse_yaml(text: str) -> Any:
    if _MERGE_KEY.search(text):  # merge keys copy, so that nested ones grow without bound
        raise yaml.YAMLError("merge keys (<<:) are not supported")
    return yaml.load(text, Loader=_LOADER)


def _parse_json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"field {next(n for n in names if names.count(n) > 1)!r} is given twice")
        return fields

    return json.loads(text, object_pairs_hook=once)


def read_commondata(path: Path, name: str) -> CommonData:
    """Read the measurement of `name`; raises InputError, naming file and field, for what cannot be used."""
    record = _open(path, _parse_yaml)
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
    )


def read_theory(path: Path, name: str, n: int, order: str, covariance: str | None) -> TheoryTable:
    """Read the predictions for the n points of `name` at an order such as LO or NLO_QCD.

    covariance: which theory covariance to read (current, conservative, ...), None for none.
    Raises InputError, naming file and field, for what cannot be used.
    """
    record = _open(path, _parse_json)
    orders = [str(k) for k, v in record.fields.items() if isinstance(v, Mapping)]
    if order not in orders:
        raise InputError(f"{path}: no order {order!r}; the file has {', '.join(orders)}")
    corrections = _Record(path, record.fields[order], f"{order}/")
    linear: dict[str, Vector] = {}
    quadratic: dict[tuple[str, str], Vector] = {}
    for key in corrections.fields:
        pair = tuple(sorted(key.split("*")))
        if len(pair) > 2 or not all(pair):
            raise corrections.error(key, "must be an operator or a product of two, 'Oa' or 'Oa*Ob'")
        if len(pair) == 1 and key != "SM":
            linear[key] = corrections.vector(key, n)
        elif len(pair) == 2:
            if pair in quadratic:
                raise corrections.error(key, "is given twice, in both orders of the names; keep one of them")
            quadratic[pair[0], pair[1]] = corrections.vector(key, n)
    return TheoryTable(
        name=name,
        order=order,
        sm=record.vector("best_sm", n),
        covariance=np.zeros((n, n)) if covariance is None else _theory_covariance(record, n, covariance),
        scales=_scales(record, n),
        normalisation=corrections.vector("SM", n),
        linear=linear,
        quadratic=quadratic,
    )


def _theory_covariance(record: _Record, n: int, which: str) -> Vector:
    wanted = f"theory_cov_{which}"
    return record.table(
        wanted if wanted in record.fields or "theory_cov" not in record.fields else "theory_cov", n, n
    )


def _scales(record: _Record, n: int) -> Vector:
    if all(x is None for x in record.fields.get("scales") or [None]):
        return np.full(n, np.nan)
    return record.vector("scales", n)


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
