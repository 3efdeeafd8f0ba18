"""Runs on several processes under mpiexec: all of them evaluate, the first one writes and prints."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def communicator() -> Any | None:
    """Return mpi4py's communicator of all processes, or None where there is one process only.

    Without mpi4py every process under mpiexec is on its own, so that each would do the whole work.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):  # the latter where mpi4py finds no library of MPI
        return None
    return MPI.COMM_WORLD if MPI.COMM_WORLD.Get_size() > 1 else None


def first() -> bool:
    """Return whether this process is the one that writes files and prints."""
    comm = communicator()
    return comm is None or comm.Get_rank() == 0


def together(comm: Any | None, step: Callable[[], T]) -> T:
    """Return what a step gives in the first process, in every process; an exception is raised in all too."""
    if comm is None:
        return step()
    outcome: Any = None
    if comm.Get_rank() == 0:
        try:
            outcome = step(), None
        except Exception as error:
            outcome = None, error
    value, failure = comm.bcast(outcome, root=0)
    if failure is not None:
        raise failure
    return value  # type: ignore[no-any-return]


def agreed(comm: Any | None, step: Callable[[], T]) -> T:
    """Return what a step gives in each process; an exception in one of them is raised in all."""
    if comm is None:
        return step()
    try:
        value, failure = step(), None
    except Exception as error:
        failure = error
    for other in comm.allgather(failure):
        if other is not None:
            raise other
    return value


def or_end(comm: Any | None, step: Callable[[], T]) -> T:
    """Return what a step gives that all processes take part in; where it fails in one, end all of them.

    The others would wait for ever for the one that failed.
    """
    if comm is None:
        return step()
    try:
        return step()
    except Exception:
        print(f"process {comm.Get_rank()} of {comm.Get_size()} failed:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        comm.Abort(1)
        raise
