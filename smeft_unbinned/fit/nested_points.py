"""The points of a nested sampling run in a file that survives a kill: the store that UltraNest writes to.

Rows of double precision, little endian, are appended as they come, without a buffer. What a kill leaves of
the last row is cut off when the file is opened again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..locks import lock

_TYPE = np.dtype("<f8")


class PointFile:
    """Points of an earlier run, to be taken again, and of this one, which are appended.

    path: of the file, made if there is none. columns: numbers per point: the threshold above which it was
        drawn, its log-likelihood, and others. Attributes and methods are those that UltraNest asks for.
    Raises InputError for a file that cannot be written, or that another run is writing.
    """

    def __init__(self, path: str | os.PathLike[str], columns: int) -> None:
        self._width = columns + 1
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
        self._path = path
        if not lock(self._file.fileno()):
            self._file.close()
            raise InputError(
                f"another run with the same settings is writing to {path}; wait until it is done, or choose "
                "another folder"
            )
        size = os.fstat(self._file.fileno()).st_size
        row = self._width * _TYPE.itemsize
        self._file.truncate(size - size % row)
        self._file.seek(0)
        rows = np.frombuffer(self._file.read(), _TYPE).reshape(-1, self._width)
        self._rows = rows[:, :-1].astype(float)
        self._left = np.ones(len(rows), dtype=bool)
        self.nrows = len(rows)
        self.ncalls = int(rows[-1, -1]) if len(rows) else 0
        self.stack_empty = not self._left.any()

    @property
    def stack(self) -> list[tuple[int, np.ndarray]]:
        """Points of the earlier run that were not yet taken, with their numbers."""
        return [(int(i), self._rows[i]) for i in np.flatnonzero(self._left)]

    def reset(self) -> None:
        """Look again whether points are left."""
        self.stack_empty = not self._left.any()

    def pop(self, threshold: float) -> tuple[int | None, np.ndarray | None]:
        """Return number and row of the first point left that was drawn from below and lies above."""
        lowest, value = self._rows[:, 0], self._rows[:, 1]
        found = np.flatnonzero(self._left & (lowest <= threshold) & (value > threshold))
        if not found.size:
            self.reset()
            return None, None
        self._left[found[0]] = False
        self.reset()
        return int(found[0]), self._rows[found[0]]

    def add(self, row: Sequence[float], calls: int) -> int:
        """Append a row, with the likelihood calls made so far; return its number.

        Raises InputError where the disk is full; a part of the row is cut off when the file is opened again.
        """
        data = memoryview(np.array([*row, calls], dtype=_TYPE).tobytes())
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise InputError(
                f"cannot write {self._path}: {error.strerror}; make room, and the same run goes on"
            ) from error
        self.ncalls = calls
        self.nrows += 1
        return self.nrows - 1

    def flush(self) -> None:
        """Do nothing: every row is written at once."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
