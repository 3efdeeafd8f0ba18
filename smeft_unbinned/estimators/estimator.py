"""Estimator: a trained ensemble, features -> ratio polynomials, saved in one file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import storage
from ..polynomial import Polynomial, SumOfSquares
from . import head, network
from .features import FeatureMap
from .growth import Growth

_CHUNK = 8192


@dataclass(frozen=True)
class Estimator:
    """r(x|c) of an ensemble of M networks.

    operators: n names; feature_map, growth: what turns features into network inputs and outputs into labels.
    parameters: stacked weights and biases, (M, in, out) and (M, 1, out) in turn.
    calibration: (M, n + 1, n + 1), applied to the factors of each member from the right.
    metadata: settings, training curves, provenance of the events.
    """

    operators: tuple[str, ...]
    feature_map: FeatureMap
    growth: Growth
    parameters: tuple[np.ndarray, ...]
    calibration: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> int:
        """Number of networks in the ensemble."""
        return len(self.calibration)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that a prediction needs."""
        return self.feature_map.names

    def __call__(self, features: pd.DataFrame) -> Polynomial:
        """Return the mean ratio polynomial over the ensemble: frame (N, F) gives batch (N,), 1 at the SM.

        A mean of sums of squares is one again, so r > 0 for every event and every c.
        """
        return self.predict(features)[0]

    def predict(self, features: pd.DataFrame) -> tuple[Polynomial, np.ndarray]:
        """Return the mean polynomial, batch (N,), and the standard deviation of its coefficients, (N, P)."""
        means, spreads = [], []
        for part in self._chunks(features):
            coefficients = part.dense().coefficients
            means.append(coefficients.mean(axis=0))
            spreads.append(coefficients.std(axis=0, ddof=min(1, self.members - 1)))
        return Polynomial(self.operators, np.concatenate(means)), np.concatenate(spreads)

    def replicas(self, features: pd.DataFrame) -> SumOfSquares:
        """Return the polynomials of every member: batch (M, N)."""
        factors = [part.factors for part in self._chunks(features)]
        return SumOfSquares(self.operators, np.concatenate(factors, axis=1))

    def calibrated(self, calibration: np.ndarray) -> Estimator:
        """Return the same networks with another calibration, (M, n + 1, n + 1)."""
        return replace(self, calibration=calibration)

    def _chunks(self, features: pd.DataFrame) -> Iterator[SumOfSquares]:
        inputs = self.feature_map(features)
        parameters = [torch.as_tensor(p) for p in self.parameters]
        for start in range(0, len(inputs), _CHUNK):
            x = inputs[start : start + _CHUNK]
            with torch.no_grad():
                outputs = network.forward(parameters, torch.as_tensor(x, dtype=torch.float32))
            factors = head.factors(outputs.numpy().astype(float), self.growth(x))
            yield SumOfSquares(self.operators, factors @ self.calibration[:, None])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        arrays = {f"parameter.{k}": p for k, p in enumerate(self.parameters)}
        arrays["calibration"] = self.calibration
        arrays |= {f"growth.{k}": getattr(self.growth, k) for k in ("coefficients", "lower", "upper")}
        manifest = {
            "operators": list(self.operators),
            "feature_map": self.feature_map.manifest(),
            "metadata": self.metadata,
        }
        storage.write(path, "estimator", arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Estimator:
        """Read a file written by `save`."""
        arrays, manifest = storage.read(path, "estimator")
        count = sum(name.startswith("parameter.") for name in arrays)
        return cls(
            tuple(manifest["operators"]),
            FeatureMap.from_manifest(manifest["feature_map"]),
            Growth(arrays["growth.coefficients"], arrays["growth.lower"], arrays["growth.upper"]),
            tuple(arrays[f"parameter.{k}"] for k in range(count)),
            arrays["calibration"],
            {**manifest["metadata"], "checksums": manifest["checksums"]},
        )
