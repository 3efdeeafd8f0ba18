"""Processes with exact truth: events whose dependence on the Wilson coefficients is known in closed form.

`PROCESSES` has them all by name, also those of other packages; `hadronic` tells which take the options of
proton-proton collisions.
"""

from __future__ import annotations

from ..catalogue import PROCESSES
from ..errors import InputError, nearest
from .collision import CollisionOptions, SampleOptions, SelectionOptions
from .protocol import HadronProcess, Process, hadronic

__all__ = [
    "PROCESSES",
    "CollisionOptions",
    "HadronProcess",
    "Process",
    "SampleOptions",
    "SelectionOptions",
    "find",
    "hadronic",
]


def find(name: str) -> Process:
    """Return a process by name, in any case; raise InputError naming the nearest for an unknown one.

    Raises InputError, too, for a process of another package that cannot be used, see `extensions.Registry`.
    """
    by_lower = {key.lower(): key for key in PROCESSES}
    if name.lower() not in by_lower:
        known = ", ".join(PROCESSES)
        raise InputError(f"unknown process {name!r}; known are {known}.{nearest(name, PROCESSES)}")
    return PROCESSES[by_lower[name.lower()]]
