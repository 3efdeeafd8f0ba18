"""Per-event response to nuisance parameters, from weights with each of them shifted up and down.

The ratio of an event's rate at theta to the nominal one is modelled as

    r(x|theta) = exp( sum_k theta_k D_k(x) + theta_k^2 D_kk(x) )

with theta_k in units of its standard deviation (arXiv:1808.00973, arXiv:1907.10621). Weights w+, w- and w0
at theta_k = +1, -1 and 0 fix D_k = log(w+/w-)/2 and D_kk = log(w+ w-/w0^2)/2; where only w+ is known, D_kk
is zero and D_k = log(w+/w0). Products of different nuisances are not modelled.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import storage
from ..errors import InputError, nearest
from ..inputfile import fitting
from ..polynomial import check_operators
from .events import check_finite


@dataclass(frozen=True)
class Nuisances:
    """Responses of N events to K nuisance parameters.

    names: K distinct names. linear: D_k(x), (N, K). quadratic: D_kk(x), (N, K).
    Raises InputError for shapes that differ and for values that are not finite.
    """

    names: tuple[str, ...]
    linear: np.ndarray
    quadratic: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", check_operators(self.names))
        for what in ("linear", "quadratic"):
            values = np.array(getattr(self, what), dtype=float)
            object.__setattr__(self, what, values)
            if values.ndim != 2 or values.shape != (len(self.linear), len(self.names)):
                raise InputError(
                    f"{what} responses have shape {values.shape}, expected (N, {len(self.names)}): one per "
                    "event and nuisance parameter"
                )
            check_finite(f"{what} response", values)

    def __len__(self) -> int:
        return len(self.linear)

    def __getitem__(self, index: Any) -> Nuisances:
        """Return the responses of a part of the events."""
        return Nuisances(self.names, self.linear[index], self.quadratic[index])

    def join(self, other: Nuisances) -> Nuisances:
        """Return the responses of the same events to the nuisances of both; names must differ."""
        return Nuisances(
            (*self.names, *other.names),
            np.concatenate([self.linear, other.linear], axis=1),
            np.concatenate([self.quadratic, other.quadratic], axis=1),
        )

    def log_ratio(self, theta: Mapping[str, float]) -> np.ndarray:
        """Return log r(x|theta), (N,), for nuisance values by name in standard deviations, absent ones 0.

        Raises InputError for an unknown name.
        """
        for name in theta:
            if name not in self.names:
                raise InputError(
                    f"unknown nuisance parameter {name!r}; known are {', '.join(self.names)}."
                    f"{nearest(name, self.names)}"
                )
        values = np.array([float(theta.get(name, 0.0)) for name in self.names])
        return np.asarray(self.linear @ values + self.quadratic @ values**2)

    def ratio(self, theta: Mapping[str, float]) -> np.ndarray:
        """Return r(x|theta), (N,); arguments as for `log_ratio`."""
        return np.asarray(np.exp(self.log_ratio(theta)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        arrays = {"linear": self.linear, "quadratic": self.quadratic}
        storage.write(path, "nuisances", arrays, {"names": list(self.names)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Nuisances:
        """Read a file written by `save`."""
        arrays, manifest = storage.read(path, "nuisances")
        with fitting(path, "nuisances"):
            return cls(tuple(manifest["names"]), arrays["linear"], arrays["quadratic"])


def from_weights(
    names: Sequence[str], nominal: np.ndarray, up: np.ndarray, down: np.ndarray, source: str = "the sample"
) -> Nuisances:
    """Return responses from weights: nominal (N,), up and down (N, K), of which NaN columns are unknown.

    Raises InputError, naming event and nuisance, for a weight that is not positive and finite: its logarithm
    does not exist.
    """
    nominal, up, down = (np.asarray(a, dtype=float) for a in (nominal, up, down))
    if up.shape != (len(nominal), len(names)) or down.shape != up.shape:
        raise InputError(
            f"{source}: nuisance weights of shapes {up.shape}, {down.shape} do not fit {len(names)} names"
        )
    one_sided = np.isnan(down).all(axis=0) if len(down) else np.zeros(len(names), dtype=bool)
    for what, values in (("nominal", nominal[:, None]), ("up", up), ("down", down[:, ~one_sided])):
        bad = np.argwhere(~((values > 0) & np.isfinite(values)))
        if bad.size:
            event, k = bad[0]
            labels = [n for n, one in zip(names, one_sided, strict=True) if what != "down" or not one]
            of = "" if what == "nominal" else f" of nuisance {labels[k]!r}"
            raise InputError(
                f"{source}, event {event}: the {what} weight{of} is {values[event, k]:g}, and its logarithm "
                "is needed; remove this event, or leave out this nuisance"
            )
    rise = np.log(up / nominal[:, None])
    fall = np.log(np.where(one_sided, nominal[:, None] ** 2 / up, down) / nominal[:, None])
    return Nuisances(tuple(names), 0.5 * (rise - fall), 0.5 * (rise + fall) * ~one_sided)
