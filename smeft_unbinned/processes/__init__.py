"""Processes with exact truth: events whose dependence on the Wilson coefficients is known in closed form.

`PROCESSES` names them all, `HADRONIC` those in proton-proton collisions, which share more options.
"""

from __future__ import annotations

from ..errors import InputError, nearest
from . import toy, ttbar
from .collision import CollisionOptions, SampleOptions, SelectionOptions
from .protocol import HadronProcess, Process
from .vh_process import WH_DEFAULT, VHProcess

__all__ = [
    "HADRONIC",
    "PROCESSES",
    "CollisionOptions",
    "HadronProcess",
    "Process",
    "SampleOptions",
    "SelectionOptions",
    "find",
]

HADRONIC: dict[str, HadronProcess] = {
    "ZH": VHProcess("ZH"),
    "WH": VHProcess("WH", DEFAULT=WH_DEFAULT),
    "ttbar": ttbar,
}
PROCESSES: dict[str, Process] = {**HADRONIC, "toy": toy}


def find(name: str) -> Process:
    """Return a process by name, in any case; raise InputError naming the nearest for an unknown one."""
    by_lower = {key.lower(): process for key, process in PROCESSES.items()}
    if name.lower() not in by_lower:
        known = ", ".join(PROCESSES)
        raise InputError(f"unknown process {name!r}; known are {known}.{nearest(name, PROCESSES)}")
    return by_lower[name.lower()]
