"""What goes wrong in a process before it runs a command: each function is called by its name."""

from __future__ import annotations

import errno
import importlib.util
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITING = ((tempfile, "mkstemp"), (os, "fsync"), (os, "replace"))
"""Calls of which every file that is written makes one each, in this order."""
STEPS = (*WRITING, (os, "chmod"), (os, "unlink"))
"""These, and others that change files."""


def _counted(steps: tuple[tuple[Any, str], ...], act: Callable[[int], None], after: bool) -> None:
    """Let act(k) happen at the k-th of these calls from now on, before it or after it."""
    made = 0

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal made
            made += 1
            number = made
            if not after:
                act(number)
            result = call(*arguments, **options)
            if after:
                act(number)
            return result

        return step

    for module, name in steps:
        setattr(module, name, wrapped(getattr(module, name)))


def killed_at(step: int, after: bool) -> None:
    """End the process by SIGKILL at a step of writing."""

    def act(number: int) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    _counted(STEPS, act, after)


def full_at(step: int) -> None:
    """Let the disk be full from this step of writing on."""

    def act(number: int) -> None:
        if number >= step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _counted(WRITING, act, after=False)


def limited(size: int) -> None:
    """Let no file become larger than so many bytes, as on a disk that gets full."""
    importlib.util.find_spec("mpi4py") and importlib.import_module("mpi4py.MPI")  # has files of its own
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def jumping(seconds: float) -> None:
    """Let the clock jump back and forth by this at every look at it; the monotonic ones stay as they are."""
    now, looks = time.time, 0

    def jumped() -> float:
        nonlocal looks
        looks += 1
        return now() + seconds * (-1) ** looks * (looks % 7)

    time.time = jumped
    time.time_ns = lambda: int(1e9 * jumped())


def paused(where: str, number: int, kept: str, told: str, until: str) -> None:
    """Let the process wait before some evaluation of events, or epoch: it makes a file, and waits for one.

    kept: a pattern of files; evaluations count from when there is one. Empty: all count.
    """
    from smeft_unbinned.engine import blocks
    from smeft_unbinned.estimators import loop

    module, name = (blocks, "run") if where == "evaluation" else (loop, "_epoch")
    call, made = getattr(module, name), 0

    def waiting(*arguments: Any, **options: Any) -> Any:
        nonlocal made
        made += not kept or any(Path().glob(kept))
        if made == number and not Path(told).exists():
            Path(told).touch()
            end = time.monotonic() + 60.0
            while not Path(until).exists() and time.monotonic() < end:
                time.sleep(0.005)
        return call(*arguments, **options)

    setattr(module, name, waiting)
