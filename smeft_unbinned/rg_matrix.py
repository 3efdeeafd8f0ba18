"""Files rg_matrix of SMEFiT: settings and matrices of the running, a pickle that is read but not executed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputError
from .inputfile import check_regular
from .pickled import Call, Pairs, describe, interpret
from .pickled_frame import Frames, texts

MAX_BYTES = 256 * 2**20
"""Size of the largest file; one of 1,000 matrices of 60 coefficients has some 60 MiB."""
SETTINGS = "rge_settings"
"""The key of the settings in a file; every other one is a scale."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """The coefficients at a scale as linear combinations of those at the initial one."""

    generated: tuple[str, ...]
    """Coefficients at the scale (m)."""
    names: tuple[str, ...]
    """Coefficients at the initial scale (n)."""
    values: np.ndarray
    """(m, n)."""

    def joined(self, other: Matrix) -> Matrix:
        """Return the columns of both, of which those of the other matrix are new; missing rows are zero."""
        rows = tuple(sorted({*self.generated, *other.generated}))
        names = (*self.names, *other.names)
        return Matrix(rows, names, np.hstack([self._in_rows(rows), other._in_rows(rows)]))

    def select(self, names: Sequence[str]) -> Matrix:
        """Return the columns of these names, zero for one that is absent, without rows that are all zero."""
        values = np.zeros((len(self.generated), len(names)))
        for j, name in enumerate(names):
            if name in self.names:
                values[:, j] = self.values[:, self.names.index(name)]
        rows = [i for i in np.argsort(self.generated) if np.any(values[i])] if self.generated else []
        return Matrix(tuple(self.generated[i] for i in rows), tuple(names), values[rows])

    def _in_rows(self, rows: tuple[str, ...]) -> np.ndarray:
        values = np.zeros((len(rows), len(self.names)))
        values[[rows.index(row) for row in self.generated]] = self.values
        return values


Setting = float | str | None


def read_rg_matrix(path: str | os.PathLike[str]) -> tuple[dict[str, Setting], dict[float, Matrix]]:
    """Return the settings of a file that SMEFiT wrote, as they stand in it, and its matrices by scale in GeV.

    Raises InputError for a file that is missing, too large, damaged, or that holds anything else.
    """
    file = Path(path)
    try:
        if (size := check_regular(file, "rg_matrix").stat().st_size) > MAX_BYTES:
            raise InputError(f"{file} has {size >> 20} MiB; an rg_matrix has {MAX_BYTES >> 20} at most")
        data = file.read_bytes()
    except OSError as error:  # no permission
        raise InputError(f"cannot read the rg_matrix {file}: {error}; check the path") from error
    try:
        return _content(interpret(data), Frames(len(data)))
    except (InputError, UnicodeError) as error:
        raise InputError(
            f"{file} is not an rg_matrix that SMEFiT wrote: {error}. Only such files are read, and nothing "
            "in them is executed; make it anew with `smefit RGE`"
        ) from None


def _content(value: object, frames: Frames) -> tuple[dict[str, Setting], dict[float, Matrix]]:
    if not isinstance(value, Pairs):
        raise InputError(f"found {describe(value)} in place of a dictionary")
    settings: dict[str, Setting] | None = None
    matrices: dict[float, Matrix] = {}
    for key, entry in value.items:
        if isinstance(key, str):
            if key != SETTINGS:
                raise InputError(f"found the entry {describe(key)} in place of a scale")
            settings = {name: _setting(name, x, frames) for name, x in texts(entry).items()}
            continue
        scale = frames.number(key)
        if not 0 < scale < np.inf:
            raise InputError(f"found {scale} in place of a scale")
        matrices[scale] = Matrix(*frames.frame(entry))
    if settings is None:
        raise InputError(f"the entry {SETTINGS!r} is missing")
    return settings, matrices


def _setting(name: str, value: object, frames: Frames) -> Setting:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float | Call):
        return frames.number(value)
    raise InputError(f"found {describe(value)} as the setting {describe(name)}")
