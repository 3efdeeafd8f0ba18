"""Files that others made: regular ones of limited size, and one error for whatever they hold instead."""

from __future__ import annotations

import json
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError, nearest

MAX_BYTES = 256 * 2**20
"""Size of the largest text file of results."""
_UNFIT = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError, RuntimeError,
    TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip


def check_regular(path: str | os.PathLike[str], what: str, most: int | None = None, form: str = "") -> Path:
    """Return the path of a file that can be read to its end; `form` is the name of its format for messages.

    Raises InputError, calling it `what`, where it is missing, a folder, a device or a pipe, or has more than
    `most` bytes.
    """
    file = Path(path)
    try:
        about = file.stat()
    except FileNotFoundError:
        raise InputError(f"no such {what}: {file}.{nearest(file.name, _beside(file))}") from None
    except (OSError, ValueError) as error:  # no permission, too long a name, a null byte
        raise InputError(f"cannot read the {what} {str(file)!r}: {error}; check the path") from error
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or a pipe"
        raise InputError(f"cannot read {file}: {kind} is not a readable {form}{what}; give a regular file")
    if most is not None and about.st_size > most:
        raise InputError(
            f"{file} is not a readable {form}{what}: it is larger than {most >> 20} MiB; check the path"
        )
    return file


def _beside(file: Path) -> list[str]:
    try:
        return [p.name for p in file.parent.iterdir()]
    except OSError:
        return []


def read_text(path: str | os.PathLike[str], what: str, most: int = MAX_BYTES, form: str = "") -> str:
    """Return the text of a file in UTF-8; raise InputError, calling it `what`, where it is none."""
    file = check_regular(path, what, most, form)
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise InputError(f"{file} is not a readable {form}{what}: {error}; check the path") from error


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """Return the content of a JSON file; raise InputError, calling it `what`, where it is none."""
    text = read_text(path, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a readable {what}: {error}; make it anew") from error


@contextmanager
def fitting(path: object, what: str) -> Iterator[None]:
    """Turn whatever goes wrong with the content of a file into InputError: it is not what `what` holds."""
    try:
        yield
    except InputError:
        raise
    except _UNFIT as error:
        reason = " ".join(repr(error).split())[:200]
        raise InputError(
            f"{path} is damaged: {reason}: its content does not fit the kind {what!r}; make it anew"
        ) from error
