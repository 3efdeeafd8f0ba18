"""Tables of events: parquet, CSV and pandas frames, read in blocks.

Columns are features, weights at points, or the coefficients of each event's polynomial

    w_e(c) = w_e [ q_1 + sum_i c_i q_i + sum_{i<=j} c_i c_j q_ij ].

`read_table` returns one sample; `iterate_table` passes over any number of events in little memory.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError, require
from ..keywords import take
from ..progress import progress_bar
from .assembly import Paths, Weighting, WeightOptions, as_paths, provenance
from .events import Events
from .layout import Columns, Layout, LayoutOptions, make_layout
from .morphing import NonPositive

if TYPE_CHECKING:
    from typing_extensions import Unpack

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_UNREADABLE = (OSError, ValueError, EOFError, zlib.error, MemoryError, OverflowError, KeyError)
_MOST, _RATIO, _LINE = 2**27, 100, 2**24
"""Bytes of numbers that any file may hold, how many more for each byte of it, and bytes of a line."""
Block = dict[str, np.ndarray]


class TableOptions(LayoutOptions, WeightOptions, total=False):
    """`LayoutOptions` and `WeightOptions`; without weights all events together have 1 pb by default."""


def read_table(
    source: Paths | pd.DataFrame,
    *,
    chunk: int = 200_000,
    progress: bool = False,
    **options: Unpack[TableOptions],
) -> Events:
    """Read .parquet, .csv or .tsv (also .gz) files, or a pandas frame.

    chunk: rows converted at a time. options: see `LayoutOptions` and `WeightOptions`; events without weights
    sum to 1 pb unless cross_section_pb is given.

    Raises InputError, naming file, event and column, for what cannot be used.
    """
    given: dict[str, Any] = {**options}
    columns = take(Columns, given)
    weighting = Weighting(**given)
    files = _sources(source)
    layout: Layout | None = None
    blocks: list[tuple[np.ndarray, np.ndarray]] = []
    counts: list[tuple[Path, int]] = []
    with progress_bar(progress) as bar:
        for table in files:
            layout = layout or make_layout(*_columns(table), _name(table), columns)
            task = bar.add_task(_name(table), total=_rows(table), note="")
            first = 0
            for block in _blocks(table, layout, chunk):
                blocks.append(layout.split(block, _name(table), first))
                first += len(blocks[-1][0])
                bar.update(task, completed=first)
            if isinstance(table, Path):
                counts.append((table, first))
    if layout is None or not blocks:
        raise InputError(f"{_name(files[0])} holds no events")
    sigma = weighting.cross_section_pb
    if layout.unweighted and sigma is None:
        sigma = 1.0
    about = {**(weighting.metadata or {}), "files": provenance(counts)}
    name = _name(files[0]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    values, weights = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return layout.events(values, weights, name, replace(weighting, cross_section_pb=sigma, metadata=about))


def iterate_table(
    source: Paths | pd.DataFrame,
    *,
    factor: float = 1.0,
    non_positive: NonPositive = "error",
    metadata: Mapping[str, Any] | None = None,
    chunk: int = 100_000,
    **options: Unpack[LayoutOptions],
) -> Iterator[Events]:
    """Yield the events of a table in blocks of at most `chunk`, never more of them in memory.

    factor: multiplies every weight, so that they are in pb (an event without weights has weight `factor`);
    the cross sections of all blocks add up to that of the sample. non_positive, metadata: see
    `WeightOptions`. options: see `LayoutOptions`. The number of an event in an error counts from the start of
    the file.
    """
    columns, weighting = Columns(**options), Weighting(non_positive, metadata=metadata)
    for table in _sources(source):
        name = _name(table)
        layout = make_layout(*_columns(table), name, columns)
        first = 0
        for block in _blocks(table, layout, chunk):
            values, weights = layout.split(block, name, first)
            n = len(values)
            which = f"{name}, events {first} to {first + n - 1}"
            yield layout.events(values, weights * factor, which, weighting)
            first += n


def _sources(source: Paths | pd.DataFrame) -> list[Path | pd.DataFrame]:
    if isinstance(source, pd.DataFrame):
        return [source]
    files = as_paths(source, "table")
    for path in files:
        if not _is(path, PARQUET) and not _is(path, CSV):
            raise InputError(f"{path}: cannot tell the format; expected {', '.join(PARQUET + CSV)}")
    return list(files)


def _is(path: Path, suffixes: Sequence[str]) -> bool:
    return path.name.lower().endswith(tuple(suffixes))


def _name(table: Path | pd.DataFrame) -> str:
    return table.name if isinstance(table, Path) else "the frame"


def _parquet(path: Path) -> Any:
    parquet = require("pyarrow.parquet", "parquet")
    try:
        return parquet.ParquetFile(path)
    except _UNREADABLE as error:
        raise _unreadable(path, "parquet", error) from error


def _unreadable(path: Path, kind: str, error: BaseException, event: int | None = None) -> InputError:
    where = "" if event is None else f", event {event} or after"
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(
        f"{path.name}{where}: not a readable {kind} file (truncated, or something else): {reason}"
    )


def _rows(table: Path | pd.DataFrame) -> int | None:
    if isinstance(table, pd.DataFrame):
        return len(table)
    return int(_parquet(table).metadata.num_rows) if _is(table, PARQUET) else None


def _columns(table: Path | pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return all columns, and those that are numeric as far as is known before reading."""
    if isinstance(table, pd.DataFrame):
        names = [str(c) for c in table.columns]
        numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
    elif _is(table, PARQUET):
        types = require("pyarrow", "parquet").types
        schema = _parquet(table).schema_arrow
        names = [str(name) for name in schema.names]
        numeric = [types.is_integer(t) or types.is_floating(t) or types.is_boolean(t) for t in schema.types]
    else:
        try:
            head = pd.read_csv(_open(table), sep=_separator(table), nrows=0, index_col=False)
        except _UNREADABLE as error:
            raise _unreadable(table, "CSV", error) from error
        names = [str(c) for c in head.columns]
        numeric = [True] * len(names)
    twice = [n for i, n in enumerate(names) if n in names[:i]]
    if twice:
        raise InputError(f"{_name(table)}: column {twice[0]!r} occurs twice")
    return names, [n for n, good in zip(names, numeric, strict=True) if good]


def _separator(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower() else ","


def _blocks(table: Path | pd.DataFrame, layout: Layout, chunk: int) -> Iterator[Block]:
    """Yield blocks of columns as floats; missing values are NaN."""
    if chunk < 1:
        raise InputError(f"chunk must be positive, got {chunk}")
    missing = [c for c in layout.columns if isinstance(table, Path) and c not in _columns(table)[0]]
    if missing:
        raise InputError(f"{_name(table)}: column {missing[0]!r} is missing, other files have it")
    first = 0
    for frame in _frames(table, layout.columns, chunk):
        if len(frame):
            yield {c: _floats(frame[c], c, _name(table), first) for c in layout.columns}
        first += len(frame)


def _frames(table: Path | pd.DataFrame, columns: Sequence[str], chunk: int) -> Iterator[pd.DataFrame]:
    if isinstance(table, pd.DataFrame):
        frame = table.set_axis([str(c) for c in table.columns], axis=1)[list(columns)]
        for start in range(0, len(frame), chunk):
            yield frame.iloc[start : start + chunk]
        return
    kind, done = "parquet" if _is(table, PARQUET) else "CSV", 0
    try:
        if kind == "parquet":
            for batch in _parquet(table).iter_batches(
                batch_size=chunk, columns=list(columns), use_threads=False
            ):
                arrays = {c: batch.column(c).to_numpy(zero_copy_only=False) for c in columns}
                done += _checked(table, batch.num_rows, done, columns)
                yield pd.DataFrame(arrays)
            return
        with pd.read_csv(
            _open(table), sep=_separator(table), usecols=list(columns), chunksize=chunk, index_col=False
        ) as reader:
            for frame in reader:
                done += _checked(table, len(frame), done, columns)
                yield frame
    except InputError:
        raise
    except _UNREADABLE as error:
        raise _unreadable(table, kind, error, done) from error


def _checked(table: Path, rows: int, done: int, columns: Sequence[str]) -> int:
    """Return the number of rows of a block; refuse files that were packed to fill the memory."""
    size = table.stat().st_size
    if 8 * len(columns) * (done + rows) > _MOST + _RATIO * size:
        raise ValueError(f"{size} bytes hold more than {done} rows: hardly events")
    return rows


class _Lines(io.RawIOBase):
    """The bytes of a text, packed or not, in which no line is too long for a table."""

    def __init__(self, path: Path) -> None:
        packed = path.name.lower().endswith(".gz")
        self._file: Any = gzip.open(path) if packed else path.open("rb")  # noqa: SIM115 (see close)
        self._length = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        self._length = self._length + len(data) if end < 0 else len(data) - end
        if self._length > _LINE:
            raise ValueError(f"a line of more than {_LINE >> 20} MiB")
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _open(path: Path) -> io.BufferedReader:
    return io.BufferedReader(_Lines(path), 2**18)


def _floats(column: pd.Series, name: str, source: str, first: int) -> np.ndarray:
    """Return a column as floats; raise InputError naming the first event that holds something else."""
    try:
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
    except (ValueError, TypeError):
        numbers = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)
        bad = int(np.flatnonzero(np.isnan(numbers))[0]) if np.isnan(numbers).any() else 0
        raise InputError(
            f"{source}, event {first + bad}: column {name!r} holds {str(column.iloc[bad])[:40]!r}, expected "
            "a number; choose the features with features="
        ) from None


__all__ = ["iterate_table", "read_table"]
