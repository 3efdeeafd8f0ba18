"""ResponseEstimator: trained networks that give an event's response to nuisance parameters; one file on disk.

For nuisance k the networks give the ratios of rates r_k+-(x) = d sigma(x|theta_k = +-1)/d sigma(x|0), and

    D_k = log(r_k+/r_k-)/2,  D_kk = log(r_k+ r_k-)/2,

or D_k = log r_k+, D_kk = 0 for a nuisance that has one side only. Output o of a network stands for the ratio
m exp(s o), m the mean of the ratio over the training events and s the spread of its logarithm there. A mean
of ratios lies between the smallest and the largest of them, and predictions are kept in that range.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import storage
from ..errors import InputError
from ..events import Events, Nuisances
from ..inputfile import fitting
from . import registry
from .backbones import BACKBONES, Backbone
from .described import Described
from .features import Inputs, trial_events
from .prepare import normalised

__all__ = ["ResponseEstimator", "log_ratios", "responses"]

KIND = "response estimator"
_CHUNK = 8192


@dataclass(frozen=True)
class ResponseEstimator(Described):
    """r_k+-(x) of an ensemble of M networks, for K nuisances.

    names: K nuisances; one_sided: those of which only theta = +1 is known. Labels, L of them, are the upward
        ratios of all, then the downward ones of the others.
    inputs: what turns features into network inputs. backbone, parameters: the networks, M on the first axis.
    location, scale: (L,), log m and s. lower, upper: (L,), range of log r among the training events.
    calibration: (M, L), log of the factor on each ratio.
    metadata: settings, training curves, errors on held-out events, provenance, notes on what went wrong.
    """

    names: tuple[str, ...]
    one_sided: tuple[str, ...]
    inputs: Inputs
    backbone: Backbone
    parameters: tuple[np.ndarray, ...]
    location: np.ndarray
    scale: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    calibration: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)

    def __call__(self, features: pd.DataFrame) -> Nuisances:
        """Return the responses; see `predict`."""
        return self.predict(features)

    def predict(self, features: pd.DataFrame) -> Nuisances:
        """Return the responses of the mean ratios over the ensemble: frame (N, F) gives N rows."""
        means = [np.exp(logs).mean(axis=0) for logs in self._chunks(features)]
        return responses(self.names, self.one_sided, np.log(np.concatenate(means)))

    def replicas(self, features: pd.DataFrame) -> tuple[Nuisances, ...]:
        """Return the responses of every member, M times N rows: their spread is the networks' error."""
        logs = np.concatenate(list(self._chunks(features)), axis=1)
        return tuple(responses(self.names, self.one_sided, member) for member in logs)

    def calibrated(self, events: Events, nuisances: Nuisances) -> ResponseEstimator:
        """Return the estimator with the mean of every member's ratios over these events set to the true mean.

        events: simulated SM events, N of them, weights used; nuisances: their true responses, N rows.
        """
        w = normalised(events)
        true = np.log(w @ np.exp(log_ratios(nuisances, self.names, self.one_sided)))
        plain = replace(self, calibration=np.zeros_like(self.calibration))
        found, start = np.zeros(self.calibration.shape), 0
        for logs in plain._chunks(events.features):
            stop = start + logs.shape[1]
            found += np.einsum("mel,e->ml", np.exp(logs), w[start:stop])
            start = stop
        if not (found > 0).all():
            raise InputError(
                "the weighted mean of a ratio is not positive: too many events of negative weight"
            )
        return replace(self, calibration=true - np.log(found))

    def held_out(self) -> pd.DataFrame:
        """Return the error on the held-out events over that of a constant: below 1 something was learned.

        A row per nuisance, columns "up" and "down" (NaN for one side only, and for ratios that do not vary):
        the deviance of the ensemble's mean ratio, divided by that of the ratio's mean over all events. The
        same events decided when to stop, which flatters a little where they are few.
        """
        table = self.metadata["held_out"]
        return pd.DataFrame(table, columns=["up", "down"], index=list(self.names), dtype=float)

    def _chunks(self, features: pd.DataFrame) -> Iterator[np.ndarray]:
        """Yield log ratios (M, B, L) of the events in turn."""
        inputs = self.inputs(features)
        for start in range(0, len(inputs), _CHUNK):
            part = inputs[start : start + _CHUNK]
            outputs = self.backbone.predict(self.parameters, part, len(self.location))
            logs = np.clip(self.location + self.scale * outputs, self.lower, self.upper)
            yield logs + self.calibration[:, None, :]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        arrays = {f"parameter.{k}": p for k, p in enumerate(self.parameters)}
        arrays |= {k: getattr(self, k) for k in ("location", "scale", "lower", "upper", "calibration")}
        manifest = {
            "names": list(self.names),
            "one_sided": list(self.one_sided),
            "feature_map": self.inputs.manifest(),
            "backbone": registry.manifest(self.backbone),
            "metadata": self.metadata,
        }
        storage.write(path, KIND, arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ResponseEstimator:
        """Read a file written by `save`."""
        arrays, manifest = storage.read(path, KIND)
        storage.check_numbers(path, arrays)
        with fitting(path, KIND), np.errstate(all="ignore"):
            backbone = registry.choose("backbone", BACKBONES, manifest["backbone"])
            count = sum(name.startswith("parameter.") for name in arrays)
            estimator = cls(
                tuple(manifest["names"]),
                tuple(manifest["one_sided"]),
                backbone.restored(manifest["feature_map"]),
                backbone,
                tuple(arrays[f"parameter.{k}"] for k in range(count)),
                arrays["location"],
                arrays["scale"],
                arrays["lower"],
                arrays["upper"],
                arrays["calibration"],
                manifest["metadata"],
            )
            estimator(trial_events(estimator.features))  # parts that do not fit together show here
        return estimator


def log_ratios(nuisances: Nuisances, names: tuple[str, ...], one_sided: tuple[str, ...]) -> np.ndarray:
    """Return the labels log r_k+- of responses, (N, L): up for all names, then down for the two-sided."""
    missing = [name for name in names if name not in nuisances.names]
    if missing:
        raise InputError(
            f"there are no responses to {', '.join(missing)}; known are {', '.join(nuisances.names)}"
        )
    columns = [nuisances.names.index(name) for name in names]
    linear, quadratic = nuisances.linear[:, columns], nuisances.quadratic[:, columns]
    both = [k for k, name in enumerate(names) if name not in one_sided]
    return np.concatenate([linear + quadratic, (quadratic - linear)[:, both]], axis=1)


def responses(names: tuple[str, ...], one_sided: tuple[str, ...], logs: np.ndarray) -> Nuisances:
    """Return the responses of log ratios (N, L) in the order of `log_ratios`."""
    up = logs[:, : len(names)]
    both = [k for k, name in enumerate(names) if name not in one_sided]
    down = -up  # what makes D_kk zero
    down[:, both] = logs[:, len(names) :]
    return Nuisances(names, 0.5 * (up - down), 0.5 * (up + down))
