"""Frames of pandas, arrays and numbers of numpy, recognised in a pickle that was read but not executed.

The forms are those in which pandas 1.5 to 3 and numpy 1 and 2 write them, with protocols 2 to 5. Whatever
else stands in their place raises an InputError that says what was found.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np

from .errors import InputError
from .pickled import Call, Name, Pairs, describe

_NUMBERS = frozenset(("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"))
_LARGEST = 2**31
_Frame = tuple[tuple[str, ...], tuple[str, ...], np.ndarray]


def texts(value: object) -> dict[str, object]:
    """Return a dictionary whose keys are texts."""
    if not isinstance(value, Pairs):
        raise InputError(f"found {describe(value)} in place of a dictionary")
    result: dict[str, object] = {}
    for key, entry in value.items:
        if not isinstance(key, str):
            raise InputError(f"found {describe(key)} in place of a text")
        result[key] = entry
    return result


def _short(value: object) -> str:
    """Return the short name of the function that a value calls, "" if it is no call."""
    function = value.function if isinstance(value, Call) else None
    return function.short if isinstance(function, Name) else ""


def _call(value: object, *names: str, count: int | None = None, created: bool = False) -> Call:
    """Return a value that calls one of these functions, with so many arguments."""
    if not isinstance(value, Call) or _short(value) not in names or value.created != created:
        raise InputError(f"found {describe(value)} in place of {' or '.join(names)}")
    if count is not None and len(value.arguments) != count:
        raise InputError(f"{describe(value)} with {len(value.arguments)} arguments")
    return value


def _counts(value: object) -> tuple[int, ...]:
    """Return a tuple of one or more natural numbers."""
    if not isinstance(value, tuple) or not value:
        raise InputError(f"found {describe(value)} in place of numbers")
    result = tuple(n for n in value if isinstance(n, int) and 0 <= n < _LARGEST)
    if len(result) != len(value):
        raise InputError("a negative or impossible size")
    return result


def _dtype(value: object) -> str:
    """Return the type of the numbers of an array, with its byte order, or "O" for objects."""
    call = _call(value, "numpy.dtype")
    kind = call.arguments[0] if call.arguments else None
    if kind == "O8":
        return "O"
    order = call.state[1] if isinstance(call.state, tuple) and len(call.state) > 1 else "="
    if not isinstance(kind, str) or kind not in _NUMBERS or order not in ("<", ">", "=", "|"):
        raise InputError(f"numbers of type {describe(kind)}")
    return f"{order}{kind}"


class Frames:
    """Reads the parts of a file, a part to which it refers several times once.

    size: bytes of the file. Its parts together cannot be larger than a few times that, unless it was made to
    fill the memory: then an InputError says so.
    """

    def __init__(self, size: int) -> None:
        self._budget = 4 * size
        self._frames: dict[int, _Frame] = {}
        self._indices: dict[int, tuple[str, ...]] = {}

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise InputError("its parts are larger than the file")

    def number(self, value: object) -> float:
        """Return a number of Python or of numpy."""
        if isinstance(value, Call):
            kind, raw = _call(value, "numpy.scalar", count=2).arguments
            return float(self._numbers(self._bytes(raw), _dtype(kind), (1,), False)[0])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"found {describe(value)} in place of a number")
        if abs(value) > 2.0**63:
            raise InputError("a number above 2^63")
        return float(value)

    def frame(self, value: object) -> _Frame:
        """Return rows (m), columns (n) and values (m, n), float64 and finite, of a frame with named both."""
        if id(value) not in self._frames:
            state = texts(_call(value, "pandas.DataFrame", created=True).state)
            blocks, axes = _call(state.get("_mgr"), "pandas.BlockManager", count=2).arguments
            if not isinstance(blocks, tuple) or not isinstance(axes, list) or len(axes) != 2:
                raise InputError("a frame in an unknown form")
            columns, rows = map(self._index, axes)
            self._spend(8 * len(columns) * len(rows))
            values = np.full((len(columns), len(rows)), np.nan)
            for block in blocks:
                self._fill(values, block)
            if not np.all(np.isfinite(values)):
                raise InputError("a frame with numbers that are missing or not finite")
            self._frames[id(value)] = rows, columns, values.T
        return self._frames[id(value)]

    def _fill(self, into: np.ndarray, block: object) -> None:
        """Put the columns of a block of a frame into their places, the rows of an array."""
        content, place, dimensions = _call(block, "pandas._unpickle_block", count=3).arguments
        numbers = self._array(content)
        if _short(place) == "builtins.slice":
            start, stop, step = _counts(_call(place, "builtins.slice", count=3).arguments)
            rows = np.arange(len(into))[start : stop : max(step, 1)]
        else:
            rows = np.asarray(self._array(place))
        if dimensions != 2 or not isinstance(numbers, np.ndarray) or numbers.dtype != np.float64:
            raise InputError("a frame that holds something else than numbers in double precision")
        fits = rows.dtype.kind == "i" and rows.ndim == 1 and numbers.shape == (len(rows), into.shape[1])
        if not fits or not np.all((rows >= 0) & (rows < len(into))):
            raise InputError(f"columns of shape {numbers.shape} in a frame of {into.shape}")
        into[rows] = numbers

    def _index(self, value: object) -> tuple[str, ...]:
        """Return the names of the rows or columns of a frame."""
        if id(value) not in self._indices:
            kind, content = _call(value, "pandas._new_Index", count=2).arguments
            if not isinstance(kind, Name) or kind.short != "pandas.Index":
                raise InputError(f"rows or columns that are {describe(kind)}")
            found = self._names(texts(content).get("data"))
            names = tuple(name for name in found if isinstance(name, str))
            if not len(set(names)) == len(names) == len(found):
                raise InputError("rows or columns that are not texts, or not distinct")
            self._indices[id(value)] = names
        return self._indices[id(value)]

    def _names(self, value: object) -> list[str] | list[object]:
        """Return the content of an array of objects, or of one of the arrays that pandas has for texts."""
        if _short(value) == "pandas.ArrowStringArray":
            return self._arrow(texts(_call(value, _short(value), created=True).state).get("_pa_array"))
        if _short(value) == "pandas.__pyx_unpickle_NDArrayBacked":
            state = _call(value, _short(value)).state
            value = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        result = self._array(value)
        if not isinstance(result, list):
            raise InputError("names that are numbers")
        return result

    def _arrow(self, value: object) -> list[str]:
        """Return the texts of an array of pyarrow: a buffer of where each ends, and one of their letters."""
        (content,) = _call(value, "pyarrow._restore_array", count=1).arguments
        if not isinstance(content, tuple) or len(content) != 7:
            raise InputError("texts in an unknown form")
        kind, length, missing, start, buffers = content[:5]
        (alias,) = _call(kind, "pyarrow.type_for_alias", count=1).arguments
        length, start = _counts((length, start))
        if alias not in ("string", "large_string") or missing != 0:
            raise InputError(f"texts of type {describe(alias)}, or missing ones")
        if not isinstance(buffers, list) or len(buffers) != 3:
            raise InputError("texts in an unknown form")
        if length == 0:
            return []
        ends, letters = (
            bytes(self._bytes(_call(b, "pyarrow.py_buffer", count=1).arguments[0])) for b in buffers[1:]
        )
        self._spend(len(ends) + len(letters))
        width = 8 if alias == "large_string" else 4
        ends = ends[start * width : (start + length + 1) * width]
        at = np.frombuffer(ends[: len(ends) // width * width], f"<i{width}").tolist()
        if len(at) != length + 1 or at != sorted(at) or not 0 <= at[0] <= at[-1] <= len(letters):
            raise InputError("texts that the file does not hold")
        return [letters[a:b].decode() for a, b in pairwise(at)]

    def _array(self, value: object) -> np.ndarray | list[object]:
        """Return an array of numbers, in one or two dimensions, or the objects of one of objects in one."""
        call = _call(value, "numpy._reconstruct", "numpy._frombuffer")
        if _short(call) == "numpy._frombuffer":
            if len(call.arguments) not in (4, 5) or call.arguments[3] not in ("C", "F"):
                raise InputError("an array in an unknown form")
            raw, kind, shape, order = call.arguments[:4]
            return self._numbers(self._bytes(raw), _dtype(kind), _counts(shape), order == "F")
        if not isinstance(call.state, tuple) or len(call.state) != 5:
            raise InputError("an array in an unknown form")
        _, shape, kind, fortran, raw = call.state
        if _dtype(kind) != "O":
            return self._numbers(self._bytes(raw), _dtype(kind), _counts(shape), fortran is True)
        if not isinstance(raw, list) or _counts(shape) != (len(raw),):
            raise InputError("objects in an unknown form")
        self._spend(len(raw))
        return raw

    def _numbers(
        self, raw: bytes | bytearray, dtype: str, shape: tuple[int, ...], fortran: bool
    ) -> np.ndarray:
        """Return an array of numbers, after checking that the file holds as many."""
        if dtype == "O" or len(shape) > 2 or prod(shape) * np.dtype(dtype).itemsize != len(raw):
            raise InputError(f"an array of type {dtype} and {len(shape)} dimensions in {len(raw)} bytes")
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")

    def _bytes(self, value: object) -> bytes | bytearray:
        """Return bytes, which protocol 2 writes as text, and bytes that can change by way of others."""
        for _ in range(3):
            if isinstance(value, bytes | bytearray):
                return value
            call = _call(value, "_codecs.encode", "builtins.bytes", "builtins.bytearray")
            text, *codec = call.arguments or (b"",)
            if isinstance(text, str) and codec and codec[0] in ("latin1", "latin-1"):
                self._spend(len(text))
                return text.encode("latin-1")
            value = text
        raise InputError(f"found {describe(value)} in place of bytes")
