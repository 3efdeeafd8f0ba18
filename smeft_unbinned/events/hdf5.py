"""Reading of HDF5 files through h5py, with errors that name the file and the field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import InputError, nearest, require

_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, UnicodeDecodeError)
_RATIO = 1100  # more than the best factor by which deflate packs
_LARGE, _LARGE_RATIO = 2**28, 20  # bytes from which on only arrays of so small a factor are unpacked


class Hdf5:
    """An open HDF5 file; a context manager. Raises InputError for a file that is none."""

    def __init__(self, path: Path, kind: str) -> None:
        self.name, self.kind = path.name, kind
        h5py = require("h5py", "madminer")
        try:
            self.file: Any = h5py.File(path, "r")
        except _UNREADABLE as error:
            raise InputError(
                f"{path} is not a readable HDF5 file (truncated, or something else): {error}; fetch it again"
            ) from error
        self._dataset, self._hard = h5py.Dataset, h5py.HardLink

    def __enter__(self) -> Hdf5:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def has(self, field: str) -> bool:
        """Return whether the file holds this field."""
        try:
            self._check_links(field)
            return isinstance(self.file.get(field), self._dataset)
        except InputError:
            raise
        except _UNREADABLE:
            return False

    def _groups(self) -> list[str]:
        try:
            return [str(name) for name in self.file]
        except _UNREADABLE:
            return []

    def _read(self, field: str) -> np.ndarray:
        if not self.has(field):
            raise InputError(
                f"{self.name} lacks {field!r}: not a {self.kind} file with events."
                f"{nearest(field.split('/')[0], self._groups())}"
            )
        dataset = self.file[field]
        try:
            if dataset.external or dataset.is_virtual:
                raise self._elsewhere(field)
            size = math.prod(dataset.shape or ()) * max(dataset.dtype.itemsize, 8)  # numbers become doubles
            stored = dataset.id.get_storage_size()
            if size > min(8 * _RATIO * stored + 4096, _LARGE_RATIO * stored + _LARGE):
                raise InputError(
                    f"{self.name}: {field!r} claims shape {dataset.shape}, {size:.2g} bytes, and the file "
                    f"holds {stored} bytes of it; it was not written to the end"
                )
            return np.asarray(dataset[()])
        except InputError:
            raise
        except (*_UNREADABLE, MemoryError) as error:
            raise InputError(f"{self.name}: cannot read {field!r}: {error}; fetch the file again") from error

    def _check_links(self, field: str) -> None:
        """Raise InputError for a field to which a link leads, perhaps from another file."""
        parts = field.split("/")
        for k in range(len(parts)):
            link = self.file.get("/".join(parts[: k + 1]), getlink=True)
            if link is not None and not isinstance(link, self._hard):
                raise self._elsewhere(field)

    def _elsewhere(self, field: str) -> InputError:
        return InputError(f"{self.name}: {field!r} is a link or lies in another file; copy it into this one")

    def texts(self, field: str, default: int | None = None) -> list[str]:
        """Return a list of texts; `default` empty ones where the field is missing, or an error for None."""
        if default is not None and not self.has(field):
            return [""] * default
        values = self._read(field)
        if values.ndim != 1 or not all(isinstance(x, (bytes, str)) for x in values.tolist()):
            raise InputError(
                f"{self.name}: {field!r} must be a list of texts, got {values.dtype} {values.shape}"
            )
        out = [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in values.tolist()]
        if (not out and default is None) or (default and len(out) != default):
            raise InputError(f"{self.name}: {field!r} has {len(out)} entries, expected {default or 'some'}")
        return out

    def numbers(
        self, field: str, shape: Sequence[int | None] | None, why: str = "", default: float | None = None
    ) -> np.ndarray:
        """Return an array of floats of a shape (None: any length; None for all: any shape).

        default: value everywhere where the field is missing; None raises InputError.
        """
        if default is not None and not self.has(field):
            return np.full([s or 0 for s in shape or (1,)], default)
        values = self._read(field)
        expected = values.shape if shape is None else tuple(shape)
        fits = len(expected) == values.ndim and all(
            want in (None, got) for want, got in zip(expected, values.shape, strict=True)
        )
        if not fits or values.dtype.kind not in "fiub":
            wanted = ", ".join("N" if want is None else str(want) for want in expected)
            raise InputError(
                f"{self.name}: {field!r} has shape {values.shape} of {values.dtype}, expected ({wanted}) of "
                f"numbers{': ' + why if why else ''}; the file is incomplete or of another layout"
            )
        return values.astype(float)
