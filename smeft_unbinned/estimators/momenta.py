"""Momenta: from named features to four-momenta of particles, for backbones that work on these.

Features of one particle are grouped, named as the readers name observables, `pt[h]`, or with the particle in
front, `h_pt` and `Jet_pt[0]`. A particle needs E, px, py and pz; or pt, phi, and eta or rapidity, with its
mass or energy, without either of which it is massless. All other features enter as numbers, as in
`features`. Momenta are divided by the mass of their sum in every event, so that they are of order one at all
energies; the logarithm of that mass is one more number. The beam is along z.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from .features import FeatureMap, column_of

_SPELLINGS = {
    "E": "E", "energy": "E", "px": "px", "py": "py", "pz": "pz", "pt": "pt", "pT": "pt", "eta": "eta",
    "rapidity": "rapidity", "phi": "phi", "mass": "mass", "m": "mass",
}  # fmt: skip
_CARTESIAN = ("E", "px", "py", "pz")
_CONSTANT = 1e-6
"""A logarithm that varies less is taken to be the same in all events."""


@dataclass(frozen=True)
class Momenta:
    """P particles and the other features of an event, as an array (N, P, 4 + S).

    names: the features, in order; particles: {label: {quantity: feature}}; others: the map of the
        rest, or None.
    floor: GeV, added in quadrature to the mass that divides the momenta.
    log_mass: mean and spread of its logarithm; mean, std: of the summary, (D,).
    """

    names: tuple[str, ...]
    particles: Mapping[str, Mapping[str, str]]
    others: FeatureMap | None
    floor: float
    log_mass: tuple[float, float]
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> Momenta:
        """Group the features of a sample; raise InputError where they make up no particle."""
        names = tuple(map(str, frame.columns))
        particles = grouped(names)
        used = {feature for group in particles.values() for feature in group.values()}
        rest = [name for name in names if name not in used]
        others = FeatureMap.fit(frame[rest]) if rest else None
        p = four_momenta(frame, particles)
        total = p.sum(axis=1)
        mass, energy = float(np.median(_mass(total))), float(np.median(total[:, 0]))
        floor = 0.1 * mass if mass > 1e-3 * energy else energy
        logs = np.log(np.hypot(_mass(total), floor))
        numbers = _numbers(p, floor)
        spread = numbers.std(axis=0)
        mean, std = numbers.mean(axis=0), np.where(spread > _CONSTANT, spread, np.inf)
        log_mass = float(logs.mean()), float(logs.std() if logs.std() > _CONSTANT else 1.0)
        return cls(names, particles, others, floor, log_mass, mean, std)

    def __call__(self, features: pd.DataFrame) -> np.ndarray:
        """Return (N, P, 4 + S): momenta (E, px, py, pz) over the mass, then the numbers, alike in all P."""
        p = four_momenta(features, self.particles)
        scale = np.hypot(_mass(p.sum(axis=1)), self.floor)
        numbers = [(np.log(scale)[:, None] - self.log_mass[0]) / self.log_mass[1]]
        if self.others is not None:
            numbers.append(self.others(features))
        row = np.concatenate(numbers, axis=1)
        rows = np.broadcast_to(row[:, None], (*p.shape[:2], row.shape[1]))
        return np.concatenate([p / scale[:, None, None], rows], axis=2)

    def summary(self, features: pd.DataFrame) -> np.ndarray:
        """Return (N, D): standardised logarithms of the mass of the sum and of pTs, and the others."""
        numbers = (_numbers(four_momenta(features, self.particles), self.floor) - self.mean) / self.std
        numbers = numbers[:, np.isfinite(self.std)]
        return numbers if self.others is None else np.concatenate([numbers, self.others(features)], axis=1)

    def manifest(self) -> dict[str, Any]:
        """Return JSON types from which `from_manifest` rebuilds the map."""
        return {
            "names": list(self.names),
            "particles": [[label, dict(group)] for label, group in self.particles.items()],  # in this order
            "others": None if self.others is None else self.others.manifest(),
            "floor": self.floor,
            "log_mass": list(self.log_mass),
            "mean": self.mean.tolist(),
            "std": [s if np.isfinite(s) else None for s in self.std.tolist()],
        }

    @classmethod
    def from_manifest(cls, content: dict[str, Any]) -> Momenta:
        """Rebuild a map from `manifest()`."""
        others = content["others"]
        return cls(
            tuple(content["names"]),
            dict(content["particles"]),
            None if others is None else FeatureMap.from_manifest(others),
            content["floor"],
            (content["log_mass"][0], content["log_mass"][1]),
            np.array(content["mean"]),
            np.array([np.inf if s is None else s for s in content["std"]]),
        )


def grouped(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return {particle: {quantity: feature}} of the particles that features make up.

    Raises InputError where there is none, naming what the particles lack that are there in part.
    """
    found: dict[str, dict[str, str]] = {}
    for name in names:
        parsed = _parse(name)
        if parsed is not None:
            found.setdefault(parsed[0], {}).setdefault(parsed[1], name)
    chosen = {label: quantities for label, group in found.items() if (quantities := _complete(group))}
    if chosen:
        return chosen
    partial = [f"{label} has only {', '.join(group.values())}" for label, group in found.items()]
    raise InputError(
        "this backbone needs four-momenta, and the features make up none. A particle x is given by x_E, "
        "x_px, x_py, x_pz, or by pt[x], eta[x] or rapidity[x], phi[x] and, unless it is massless, mass[x] or "
        f"energy[x]; {'; '.join(partial) or 'no feature is named so'}. Given: {', '.join(names) or 'none'}"
    )


def _parse(name: str) -> tuple[str, str] | None:
    """Return the particle and the quantity that a feature names, or None."""
    match = re.fullmatch(r"(\w+)\[([^,\]]+)\]", name)
    if match and match.group(1) in _SPELLINGS:
        return match.group(2), _SPELLINGS[match.group(1)]
    match = re.fullmatch(r"(.+)_([A-Za-z]+)(\[\d+\])?", name)
    if match and match.group(2) in _SPELLINGS:
        return match.group(1) + (match.group(3) or ""), _SPELLINGS[match.group(2)]
    return None


def _complete(group: Mapping[str, str]) -> dict[str, str]:
    """Return the quantities that fix a momentum, or none."""
    if all(q in group for q in _CARTESIAN):
        return {q: group[q] for q in _CARTESIAN}
    angle = next((q for q in ("eta", "rapidity") if q in group), None)
    if angle is None or "pt" not in group or "phi" not in group:
        return {}
    last = [q for q in ("mass", "E") if q in group][:1]
    return {q: group[q] for q in ("pt", angle, "phi", *last)}


def four_momenta(frame: pd.DataFrame, particles: Mapping[str, Mapping[str, str]]) -> np.ndarray:
    """Return the momenta (N, P, 4), (E, px, py, pz) in the unit of the features, of grouped particles.

    Raises InputError for a feature that is missing or not finite, and for an energy that is not positive.
    """
    return np.stack([_momentum(frame, label, group) for label, group in particles.items()], axis=1)


def _momentum(frame: pd.DataFrame, label: str, group: Mapping[str, str]) -> np.ndarray:
    q = {quantity: column_of(frame, name) for quantity, name in group.items()}
    if "px" in q:
        energy, space = q["E"], [q["px"], q["py"], q["pz"]]
    else:
        mass = q.get("mass", np.zeros(len(frame)))
        if "rapidity" in q:
            size = q["E"] / np.cosh(q["rapidity"]) if "E" in q else np.hypot(q["pt"], mass)
            along = size * np.sinh(q["rapidity"])
        else:
            along = q["pt"] * np.sinh(q["eta"])
        space = [q["pt"] * np.cos(q["phi"]), q["pt"] * np.sin(q["phi"]), along]
        energy = q["E"] if "E" in q else np.sqrt(q["pt"] ** 2 + along**2 + mass**2)
    if not np.all(energy > 0):
        bad = int(np.argmin(energy))
        raise InputError(
            f"particle {label!r} has the energy {energy[bad]:g} in event {bad}; it must be positive, so "
            "leave out particles that some events do not have"
        )
    return np.stack([energy, *space], axis=1)


def _mass(p: np.ndarray) -> np.ndarray:
    square = p[..., 0] ** 2 - np.sum(p[..., 1:] ** 2, axis=-1)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def _numbers(p: np.ndarray, floor: float) -> np.ndarray:
    """Return logarithms (N, 1 + P) of the mass of the sum and of the pTs, blind to boosts along the beam.

    Masses of pairs would add little and are bound to these, so that the growth, a polynomial, would run away.
    """
    parts = [_mass(p.sum(axis=1))[:, None], np.hypot(p[..., 1], p[..., 2])]
    return np.asarray(np.log(np.hypot(np.concatenate(parts, axis=1), floor)))
