"""FeatureMap: from named observables to standardised network inputs; part of every saved estimator.

- A positive feature with a long tail (skewness above 1) enters as its logarithm.
- An azimuthal angle, a feature whose name starts with phi or delta_phi and whose values lie in
  [-pi, pi], enters as the sines and cosines of itself and of its double, so that -pi and pi are one place.
- Every input is then shifted and scaled to zero mean and unit variance over the training events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from ..events.events import check_finite


class Inputs(Protocol):
    """What a backbone makes of named features."""

    @property
    def names(self) -> tuple[str, ...]:
        """The features needed, in order."""

    def __call__(self, features: pd.DataFrame) -> np.ndarray:
        """Return the inputs (N, ...) of the network."""

    def summary(self, features: pd.DataFrame) -> np.ndarray:
        """Return standardised numbers (N, D) of which the growth is a function."""

    def manifest(self) -> dict[str, Any]:
        """Return JSON types from which the backbone rebuilds it."""


@dataclass(frozen=True)
class FeatureMap:
    """names: the features, in order; kinds: "plain", "log" or "angle"; mean, std: of the inputs, (D,)."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> FeatureMap:
        """Choose the kinds and measure mean and spread on a sample; features that do not vary are refused.

        Weights play no part: in a sample enriched in the tails the inputs should be of order one there too.
        """
        names = tuple(str(c) for c in frame.columns)
        kinds = tuple(_kind(name, frame[name].to_numpy(float)) for name in names)
        raw = _expand(frame.to_numpy(float), kinds)
        mean, std = raw.mean(axis=0), raw.std(axis=0)
        constant = [name for name in names if np.ptp(frame[name].to_numpy(float)) == 0]
        if constant:
            raise InputError(f"feature {', '.join(constant)} is the same in all events; remove it")
        return cls(names, kinds, mean, np.where(std > 0, std, 1.0))

    def __call__(self, features: pd.DataFrame) -> np.ndarray:
        """Return the inputs (N, D); raise InputError for a missing or non-finite feature."""
        values = np.stack([column_of(features, name) for name in self.names], axis=1)
        for name, kind, column in zip(self.names, self.kinds, values.T, strict=True):
            if kind == "log" and np.any(column <= 0):
                raise InputError(
                    f"feature {name!r} enters as its logarithm (it was positive in training), but is "
                    f"{column.min():g} in event {int(column.argmin())}; check its definition and unit"
                )
        return np.asarray((_expand(values, self.kinds) - self.mean) / self.std)

    def summary(self, features: pd.DataFrame) -> np.ndarray:
        """Return the inputs themselves, (N, D)."""
        return self(features)

    def manifest(self) -> dict[str, Any]:
        """Return JSON types from which `from_manifest` rebuilds the map."""
        return {
            "names": list(self.names),
            "kinds": list(self.kinds),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
        }

    @classmethod
    def from_manifest(cls, content: dict[str, Any]) -> FeatureMap:
        """Rebuild a map from `manifest()`."""
        mean, std = np.array(content["mean"], dtype=float), np.array(content["std"], dtype=float)
        if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(std)) and np.all(std > 0)):
            raise InputError("the means and spreads of the features must be finite; make the model anew")
        return cls(tuple(content["names"]), tuple(content["kinds"]), mean, std)


def trial_events(names: Sequence[str]) -> pd.DataFrame:
    """Return events whose features, energies, angles and all, are one: a value that each of them can have.

    There are 7 of them, a number that no axis of a network is likely to have.
    """
    return pd.DataFrame(np.ones((7, len(names))), columns=list(names))


def column_of(features: pd.DataFrame, name: str) -> np.ndarray:
    """Return a feature (N,); raise InputError, naming the nearest, where it is missing or not finite."""
    if not isinstance(features, pd.DataFrame) or features.empty:
        raise InputError(f"features must be a pandas frame with rows, got {type(features).__name__}")
    if name not in features:
        raise InputError(
            f"the estimator needs feature {name!r}; given: {', '.join(map(str, features.columns))}."
            + nearest(name, map(str, features.columns))
        )
    values = features[name].to_numpy(float)
    check_finite(f"feature {name!r}", values)
    return np.asarray(values)


def _kind(name: str, values: np.ndarray) -> str:
    if name.lower().startswith(("phi", "delta_phi", "dphi")) and np.all(np.abs(values) <= np.pi + 1e-9):
        return "angle"
    if name.lower().startswith("cos") and np.all(np.abs(values) <= 1 + 1e-9):
        return "cosine"
    centred = values - values.mean()
    spread = values.std()
    if spread > 0 and values.min() > 0 and np.mean(centred**3) > spread**3:
        return "log"
    return "plain"


def _expand(values: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    columns: list[np.ndarray] = []
    for column, kind in zip(values.T, kinds, strict=True):
        if kind == "angle":
            columns += [np.cos(column), np.sin(column), np.cos(2 * column), np.sin(2 * column)]
        elif kind == "cosine":
            columns += [column, np.sqrt(np.clip(1.0 - column**2, 0.0, None))]
        else:
            columns.append(np.log(column) if kind == "log" else column)
    return np.stack(columns, axis=-1)
