"""Locks of files, which the system takes back when a process ends, however it ends: none is ever left behind.

Where the system, or the file system, knows no locks, every one is granted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

if sys.platform != "win32":
    import fcntl


def lock(file: int, *, wait: bool = False) -> bool:
    """Lock an open file, by its number; return False if another process holds it, unless we wait for that."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            return True
    return True


@contextmanager
def claim(target: Path, *, wait: bool = False) -> Iterator[None]:
    """Keep other runs out of a file or an existing folder of results, as long as they claim it too.

    wait: for another run to end. Raises InputError where one is at work, and for a folder that cannot be
    written.
    """
    path = target / ".lock" if target.is_dir() else target.with_name(f".{target.name}.lock")
    try:
        file = _opened(path, wait)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    if file is None:
        raise InputError(
            f"another run is writing to {target}; wait until it is done, or choose another place with -o"
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before the lock is gone: after it the file may be that of another run
        os.close(file)


def _opened(path: Path, wait: bool) -> int | None:
    """Return the open and locked file of this name, None where another run holds it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not lock(file, wait=wait):
            os.close(file)
            return None
        if _is(path, file):
            return file
        os.close(file)  # removed by the run that held it before


def _is(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def remove_abandoned(target: Path) -> None:
    """Remove temporary files of a target (names `.NAME.` and eight characters) that no process writes."""
    for path in target.parent.glob(f".{_literal(target.name)}.????????"):
        try:
            file = os.open(path, os.O_RDWR)
        except OSError:
            continue
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except OSError:  # in use, or there are no locks to tell
            continue
        finally:
            os.close(file)


def _literal(name: str) -> str:
    """Return a pattern that matches a name alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
