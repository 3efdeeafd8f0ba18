"""Work on blocks of events: how large they are, on how many threads, and mapped files of any size.

Partial results are added in the order of the blocks, whichever thread made them.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from ..errors import InputError

CACHE = 2**20
"""Bytes that are computed of one block: about the second-level cache of one core."""
STREAM = 2**23
"""Bytes that are read for one block: the part of one core in the last cache."""
RESIDENT = 2**29
"""Bytes of a mapped file that may stay in memory; beyond, each block is given back after its use."""
WORTHWHILE = 3e6
"""Multiplications below which a second thread costs more than it brings."""
SHARES = 4
"""Parts at least for each of several threads."""

Part = TypeVar("Part")


def available() -> int:
    """Return how many threads an evaluation may use: OMP_NUM_THREADS, else the cores of the process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(wanted), cores) if wanted.isdigit() and int(wanted) > 0 else cores


def length(read: int, computed: int, multiple: int) -> int:
    """Return the number of events in a block, a multiple of `multiple`, from the bytes per event."""
    return max(min(CACHE // computed, STREAM // read) // multiple * multiple, multiple)


def run(worker: Callable[[], Callable[[slice], Part]], total: int, step: int, threads: int = 1) -> list[Part]:
    """Return what workers make of consecutive parts of range(total), in the order of the parts.

    worker: called once per thread, returns the function of a part; it may hold arrays that are used again for
        every part. Threads take the next part when they are free, so that one which gets no processor delays
        nothing. The linear algebra library keeps to one thread meanwhile.
    """
    if threads > 1:
        step = min(step, -(-total // (SHARES * threads)))
    parts = [slice(start, min(start + step, total)) for start in range(0, total, step)]
    results: list[Any] = [None] * len(parts)
    following = count()

    def take() -> None:
        work = worker()
        with np.errstate(over="ignore", invalid="ignore"):
            while (i := next(following)) < len(parts):
                results[i] = work(parts[i])

    with _controller(os.getpid()).limit(limits=1):
        helpers = [_pool(os.getpid(), threads).submit(take) for _ in range(min(threads, len(parts)) - 1)]
        take()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
    return results


@lru_cache(maxsize=1)
def _controller(process: int) -> ThreadpoolController:
    return ThreadpoolController()


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1)


class MappedFile(mmap.mmap):
    """A file mapped for reading, which can tell whether it was changed since.

    path: absolute. intact: whether the numbers are still those that were read, in spite of a new time.
    """

    path: Path
    intact: Callable[[], bool] | None = None
    _before: os.stat_result

    @classmethod
    def of(cls, file: int, path: Path) -> MappedFile:
        """Map an open file, given by its number."""
        source = cls(file, 0, access=mmap.ACCESS_READ)
        source.path, source._before = path, os.fstat(file)
        return source

    def check(self) -> None:
        """Raise InputError where the file was written to; another one of its name does no harm."""
        before = self._before
        same = self.size() == before.st_size
        if same and (now := self._now()) is not None and now.st_mtime_ns != before.st_mtime_ns:
            same = self.intact is not None and self.intact()
            self._before = now if same else before
        if not same:
            raise InputError(
                f"{self.path} was changed while it was in use; start anew, and replace a file by renaming "
                "another one, instead of writing into it"
            )

    def _now(self) -> os.stat_result | None:
        """Return what the system says of the file, None where its name is gone or that of another file."""
        try:
            now = os.stat(self.path)
        except OSError:
            return None
        return now if os.path.samestat(now, self._before) else None


def unchanged(*arrays: np.ndarray) -> None:
    """Raise InputError where a file that arrays lie in was written to since it was mapped."""
    for array in arrays:
        source = mapping(array)
        if isinstance(source, MappedFile):
            source.check()


def mapping(array: np.ndarray) -> mmap.mmap | None:
    """Return the mapped file that an array lies in, if any."""
    base: object = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) else None


def release(array: np.ndarray, part: slice, source: mmap.mmap) -> None:
    """Give the memory of some rows back to the system; they are read again from the file when needed."""
    rows = array[part]
    if rows.size and hasattr(mmap, "MADV_DONTNEED"):
        start = rows.ctypes.data - np.frombuffer(source, np.uint8, 1).ctypes.data
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        source.madvise(mmap.MADV_DONTNEED, first, start - first + rows.nbytes)
