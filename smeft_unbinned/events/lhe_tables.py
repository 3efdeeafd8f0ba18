"""Arrays from batches of LHE events: weights, particles, and the features computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from .observables import Observable, Particles, compute, default_observables, parse_observable


def weight_table(events: Sequence[Any], ids: Sequence[str], source: str, first: int) -> np.ndarray:
    """Return the weights (N, B) with these ids; raise InputError for one missing or not finite.

    events: of pylhe, the first of which has number `first` in the file `source`.
    """
    rows = []
    for number, event in enumerate(events, start=first):
        try:
            rows.append([event.weights[i] for i in ids])
        except KeyError as error:
            carries = "no weights" if not event.weights else f"{len(event.weights)} weights but not this one"
            raise InputError(
                f"{source}, event {number}: weight {error.args[0]!r} is missing, the event carries "
                f"{carries}; was the file reweighted?"
            ) from None
    table = np.array(rows, dtype=float)
    bad = np.argwhere(~np.isfinite(table))
    if bad.size:
        event, b = bad[0]
        raise InputError(f"{source}, event {first + event}: weight {ids[b]!r} is {table[event, b]}")
    return table


def nominal_weights(events: Sequence[Any], source: str, first: int) -> np.ndarray:
    """Return XWGTUP, (N,); raise InputError where it is not finite."""
    nominal = np.array([event.eventinfo.weight for event in events], dtype=float)
    bad = np.flatnonzero(~np.isfinite(nominal))
    if bad.size:
        raise InputError(f"{source}, event {first + bad[0]}: the weight XWGTUP is {nominal[bad[0]]}")
    return nominal


def particle_table(events: Sequence[Any], source: str, first: int) -> Particles:
    """Return the particles of events of pylhe, padded; raise InputError for a value that is not finite."""
    counts = np.array([len(e.particles) for e in events])
    rows = [(p.id, p.status, p.px, p.py, p.pz, p.e) for e in events for p in e.particles]
    table = np.zeros((len(events), int(counts.max(initial=1)), 6))
    table[np.arange(table.shape[1]) < counts[:, None]] = np.array(rows, dtype=float).reshape(-1, 6)
    bad = np.argwhere(~np.isfinite(table))
    if bad.size:
        name = ("IDUP", "ISTUP", "px", "py", "pz", "E")[bad[0, 2]]
        raise InputError(
            f"{source}, event {first + bad[0, 0]}: {name} of particle {bad[0, 1] + 1} is "
            f"{table[tuple(bad[0])]}"
        )
    return Particles(table[..., 0].astype(int), table[..., 1].astype(int), table[..., 2:], source, first)


class Features:
    """Collects the features batch by batch; default ones that later events do not define are dropped.

    names: observables, or None for the default ones.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        if isinstance(names, str):
            raise InputError(f"observables must be a sequence of names, got the single string {names!r}")
        self.default = names is None
        self.observables: list[Observable] = [parse_observable(name) for name in names or ()]
        if not self.default and not self.observables:
            raise InputError("observables is empty; name at least one, or pass None for the default")
        self.batches: list[dict[str, np.ndarray]] = []

    def add(self, particles: Particles) -> None:
        """Append one batch; raise InputError for a missing particle and a value that is not finite."""
        if self.default and not self.batches:
            self.observables = default_observables(particles)
        elif self.default:
            self.observables = [o for o in self.observables if o.defined(particles)]
        values = compute(self.observables, particles) if self.observables else np.empty((len(particles), 0))
        bad = np.argwhere(~np.isfinite(values))
        if bad.size:
            raise InputError(
                f"{particles.source}, event {particles.first + bad[0, 0]}: observable "
                f"{self.observables[bad[0, 1]].name!r} is {values[tuple(bad[0])]}; leave it out "
                "of observables="
            )
        self.batches.append({o.name: values[:, i] for i, o in enumerate(self.observables)})

    def frame(self) -> pd.DataFrame:
        """Return the features of all events; default ones that never vary are left out."""
        columns = {o.name: np.concatenate([b[o.name] for b in self.batches]) for o in self.observables}
        if self.default:
            varying = {k: x for k, x in columns.items() if np.ptp(x) > 1e-9 * np.max(np.abs(x), initial=1.0)}
            columns = varying or columns
        if not columns:
            raise InputError(
                "the events share no particle to build default observables of; pass observables="
            )
        return pd.DataFrame(columns)
