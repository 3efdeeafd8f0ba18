"""Named observables of simulated events: `pt[h]`, `mass[j1+j2]`, `delta_phi[j1,j2]`, `ht`, `met`.

Functions of one momentum: pt, eta, phi, mass, rapidity, energy; of two: delta_phi, delta_eta, delta_r (see
`kinematics` for their definitions). Of the whole event: `ht`, the scalar sum of the pT of the jets, and
`met`, the pT of the sum of all neutrinos. An argument is a particle or a sum of particles (`l1+l2`).

Particles: h, z, w, w+, w-, t, tbar, a (photon), l, l+, l-, nu, j (quark other than top, or gluon), b, g.
A number counts from the largest pT (j1, j2, ...); without a number the event must hold exactly one.
The unstable ones (h, z, w, t) count whether they decay in the event record or not, the others when final.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import InputError, nearest
from . import kinematics

_ANTI = {name: tuple(-i for i in ids) for name, ids in {"l": (11, 13, 15), "nu": (12, 14, 16)}.items()}
PARTICLES: dict[str, tuple[int, ...]] = {
    "h": (25,),
    "z": (23,),
    "w": (24, -24),
    "w+": (24,),
    "w-": (-24,),
    "t": (6,),
    "tbar": (-6,),
    "a": (22,),
    "l": (11, 13, 15, *_ANTI["l"]),
    "l+": _ANTI["l"],
    "l-": (11, 13, 15),
    "nu": (12, 14, 16, *_ANTI["nu"]),
    "j": (1, 2, 3, 4, 5, -1, -2, -3, -4, -5, 21),
    "b": (5, -5),
    "g": (21,),
}
"""Particle labels and the PDG numbers that each stands for."""
UNSTABLE = ("h", "z", "w", "w+", "w-", "t", "tbar")
ONE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    name: getattr(kinematics, name) for name in ("pt", "eta", "phi", "mass", "rapidity", "energy")
}
TWO: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    name: getattr(kinematics, name) for name in ("delta_phi", "delta_eta", "delta_r")
}
EVENT = ("ht", "met")


@dataclass(frozen=True)
class Particles:
    """The particles of N events, padded to a common number K.

    pdg: PDG numbers (N, K), zero where padded.
    status: status codes (N, K): 1 final, 2 decayed in the record; incoming ones are ignored.
    momenta: (N, K, 4), (px, py, pz, E) in GeV.
    source, first: what to call the events in an error: a file, and the number of the first event.
    """

    pdg: np.ndarray
    status: np.ndarray
    momenta: np.ndarray
    source: str = "the sample"
    first: int = 0

    def __len__(self) -> int:
        return len(self.pdg)

    def mask(self, kind: str) -> np.ndarray:
        """Return which particles a label without number stands for, (N, K)."""
        found = np.isin(self.pdg, PARTICLES[kind])
        return np.asarray(found & np.isin(self.status, (1, 2) if kind in UNSTABLE else (1,)))

    def has(self, label: str) -> bool:
        """Return whether every event holds the particle that a label names."""
        kind, number = _split_number(label)
        counts = self.mask(kind).sum(axis=1)
        return bool(np.all(counts == 1 if number is None else counts >= number))

    def momentum(self, label: str) -> np.ndarray:
        """Return the momenta (N, 4) of a label; raise InputError naming the first event without it."""
        kind, number = _split_number(label)
        mask = self.mask(kind)
        counts = mask.sum(axis=1)
        bad = np.flatnonzero(counts != 1 if number is None else counts < number)
        if bad.size:
            hint = f"number it ({kind}1, ...)" if number is None else "leave it out of the observables"
            raise InputError(
                f"{self.source}, event {self.first + bad[0]}: particle {label!r} is not defined, the event "
                f"has {counts[bad[0]]} of kind {kind!r} (so have {bad.size} of {len(self)} events); {hint}"
            )
        key = np.where(mask, -kinematics.pt(self.momenta), np.inf)
        order = np.argsort(key, axis=1, kind="stable")[:, (number or 1) - 1]
        return np.asarray(self.momenta[np.arange(len(self)), order])


@dataclass(frozen=True)
class Observable:
    """A parsed observable: its text, its function and, per argument, the labels that are summed."""

    name: str
    function: str
    arguments: tuple[tuple[str, ...], ...] = ()

    def __call__(self, particles: Particles) -> np.ndarray:
        """Return the values (N,); raise InputError naming the first event without a particle it needs."""
        if self.function == "ht":
            jets = np.where(particles.mask("j"), kinematics.pt(particles.momenta), 0.0)
            return np.asarray(jets.sum(axis=1))
        if self.function == "met":
            unseen = np.where(particles.mask("nu")[..., None], particles.momenta, 0.0)
            return kinematics.pt(unseen.sum(axis=1))
        momenta = [sum_momenta(particles.momentum(label) for label in labels) for labels in self.arguments]
        if self.function in ONE:
            return ONE[self.function](momenta[0])
        return TWO[self.function](momenta[0], momenta[1])

    def defined(self, particles: Particles) -> bool:
        """Return whether every event holds all that the observable needs."""
        return all(particles.has(label) for labels in self.arguments for label in labels)


def sum_momenta(momenta: Iterable[np.ndarray]) -> np.ndarray:
    """Return the sum of four-momenta, each (..., 4)."""
    first, *rest = momenta
    for p in rest:
        first = first + p
    return first


def _split_number(label: str) -> tuple[str, int | None]:
    kind = label.rstrip("0123456789")
    return kind, int(label[len(kind) :]) if label != kind else None


def _labels(text: str) -> tuple[str, ...] | None:
    """Return the labels of a sum such as `l++l-`, or None where it is not one."""
    for kind in sorted(PARTICLES, key=len, reverse=True):
        match = re.match(re.escape(kind) + r"([1-9]\d*)?", text)
        if match is None:
            continue
        rest = text[match.end() :]
        if not rest:
            return (match.group(),)
        tail = _labels(rest[1:]) if rest[0] == "+" else None
        if tail:
            return (match.group(), *tail)
    return None


def parse_observable(text: str) -> Observable:
    """Return the observable that a text names; raise InputError naming the nearest for an unknown one."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", str(text))
    known = (*ONE, *TWO, *EVENT)
    if match is None or match.group(1) not in known:
        word = match.group(1) if match else str(text)
        raise InputError(
            f"unknown observable {text!r}; known are {', '.join(known)}, written as pt[h] or "
            f"delta_phi[j1,j2].{nearest(word, known)}"
        )
    function, inside = match.group(1), match.group(2)
    arguments = tuple(part.replace(" ", "") for part in inside.split(",")) if inside is not None else ()
    expected = 1 if function in ONE else 2 if function in TWO else 0
    if len(arguments) != expected:
        raise InputError(f"observable {text!r} has {len(arguments)} arguments, {function} takes {expected}")
    parsed = []
    for argument in arguments:
        labels = _labels(argument)
        if labels is None:
            raise InputError(
                f"observable {text!r}: {argument!r} is not a particle or a sum of particles; known are "
                f"{', '.join(PARTICLES)}, with a number where there are several."
                f"{nearest(argument, PARTICLES)}"
            )
        parsed.append(labels)
    return Observable(text.replace(" ", ""), function, tuple(parsed))


def compute(observables: Sequence[Observable], particles: Particles) -> np.ndarray:
    """Return the values (N, F) of observables."""
    return np.stack([observable(particles) for observable in observables], axis=1)


def default_observables(particles: Particles) -> list[Observable]:
    """Return observables that describe the particles every event has, whatever the process.

    pT and (pseudo)rapidity of each of the first six objects, and mass, delta_eta and delta_phi of each pair
    of the first four final ones; `met` where there are neutrinos, `ht` where nothing else is defined.
    """
    unstable = _objects(particles, ("h", "z", "w", "t", "tbar"))
    stable = _objects(particles, ("l", "a", "j"))
    decayed = {label for label in unstable if not _is_final(particles, label)}
    names = []
    for label in (*unstable, *stable)[:6]:
        names += [f"pt[{label}]", f"{'rapidity' if label in unstable else 'eta'}[{label}]"]
    final = [label for label in (*unstable, *stable) if label not in decayed][:4]
    neutrinos = bool(particles.mask("nu").any())
    for a, b in combinations(final, 2):
        names += [f"mass[{a}+{b}]", f"delta_eta[{a},{b}]"]
        if len(final) > 2 or neutrinos:  # two bodies alone are back to back, +pi or -pi by rounding
            names.append(f"delta_phi[{a},{b}]")
    if neutrinos:
        names.append("met")
    return [parse_observable(name) for name in names or ["ht"]]


def _objects(particles: Particles, kinds: Sequence[str]) -> list[str]:
    """Return the labels of these kinds that every event has: bare where there is exactly one."""
    found = []
    for kind in kinds:
        counts = particles.mask(kind).sum(axis=1)
        if np.all(counts == 1):
            found.append(kind)
        else:
            found += [f"{kind}{i + 1}" for i in range(int(counts.min(initial=99)))]
    return found


def _is_final(particles: Particles, label: str) -> bool:
    kind, _ = _split_number(label)
    return bool(np.all(particles.status[particles.mask(kind)] == 1))
