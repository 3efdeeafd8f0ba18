"""Estimator: a trained ensemble, features -> ratio polynomials, saved in one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import storage
from ..ensemble import combine
from ..inputfile import fitting
from ..polynomial import Polynomial, QuadraticForm, SumOfSquares
from . import registry
from .backbones import BACKBONES, MLP, Backbone
from .described import Described
from .features import Inputs, trial_events
from .growth import Growth
from .heads import HEADS, Head, Squares

_CHUNK = 8192


@dataclass(frozen=True)
class Estimator(Described):
    """r(x|c) of an ensemble of M networks.

    operators: n names; inputs, growth: what turns features into network inputs and outputs into labels.
    backbone, head: what turns inputs into outputs, and those into ratios.
    parameters: of the backbone, M on the first axis of each.
    calibration: (M, n + 1, n + 1), a congruence of each member's quadratic form.
    metadata: settings, training curves, provenance of the events, notes on what went wrong.
    watch: called with the number of events of every block that was predicted, for a progress bar.
    """

    operators: tuple[str, ...]
    inputs: Inputs
    growth: Growth
    backbone: Backbone
    head: Head
    parameters: tuple[np.ndarray, ...]
    calibration: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[int], object] | None = None

    def __call__(self, features: pd.DataFrame) -> Polynomial:
        """Return the mean ratio polynomial over the ensemble: frame (N, F) gives batch (N,), 1 at the SM.

        A mean of sums of squares is one again, so with that head r > 0 for every event and every c.
        """
        return self.predict(features)[0]

    def predict(self, features: pd.DataFrame, central: str = "mean") -> tuple[Polynomial, np.ndarray]:
        """Return the central polynomial, batch (N,), and the standard deviation of its coefficients, (N, P).

        central: "mean" or "median" over the ensemble, coefficient by coefficient. A median of sums of squares
            need not be positive everywhere; `export` counts the events for which it is not.
        Raises InputError for another choice.
        """
        parts = [combine(part, central) for part in self._chunks(features)]
        coefficients = np.concatenate([form.coefficients for form, _ in parts])
        return Polynomial(self.operators, coefficients), np.concatenate([spread for _, spread in parts])

    def replicas(self, features: pd.DataFrame) -> QuadraticForm:
        """Return the polynomials of every member: batch (M, N), sums of squares where the head is one."""
        parts = list(self._chunks(features))
        if all(isinstance(part, SumOfSquares) for part in parts):
            factors = [part.factors for part in parts if isinstance(part, SumOfSquares)]
            return SumOfSquares(self.operators, np.concatenate(factors, axis=1))
        return Polynomial(self.operators, np.concatenate([p.dense().coefficients for p in parts], axis=1))

    def calibrated(self, calibration: np.ndarray) -> Estimator:
        """Return the same networks with another calibration, (M, n + 1, n + 1)."""
        return replace(self, calibration=calibration)

    def curves(self) -> pd.DataFrame:
        """Return the losses of the training: a row per epoch and member, to the member's last epoch.

        Columns epoch (from 1), member (its number in the ensemble), training and validation.
        """
        history, members = self.metadata["history"], self.metadata["members"]
        epochs = self.metadata.get("epochs", [len(history)] * len(members))
        rows = [
            (k + 1, member, entry["training"][column], entry["validation"][column])
            for k, entry in enumerate(history)
            for column, member in enumerate(members)
            if k < epochs[column]
        ]
        return pd.DataFrame(rows, columns=["epoch", "member", "training", "validation"])

    def noted(self, note: str) -> Estimator:
        """Return the estimator with one more note."""
        return replace(self, metadata={**self.metadata, "notes": [*self.notes, note]})

    def _chunks(self, features: pd.DataFrame) -> Iterator[QuadraticForm]:
        inputs, growth = self.inputs(features), self.growth(self.inputs.summary(features))
        width = self.head.outputs(len(self.operators))
        for start in range(0, len(inputs), _CHUNK):
            part = slice(start, start + _CHUNK)
            outputs = self.backbone.predict(self.parameters, inputs[part], width)
            yield self.head.form(self.operators, outputs, growth[part], self.calibration)
            if self.watch is not None:
                self.watch(outputs.shape[1])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        arrays = {f"parameter.{k}": p for k, p in enumerate(self.parameters)}
        arrays["calibration"] = self.calibration
        arrays |= {f"growth.{k}": getattr(self.growth, k) for k in ("coefficients", "lower", "upper")}
        manifest = {
            "operators": list(self.operators),
            "feature_map": self.inputs.manifest(),
            "backbone": registry.manifest(self.backbone),
            "head": registry.manifest(self.head),
            "metadata": self.metadata,
        }
        storage.write(path, "estimator", arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Estimator:
        """Read a file written by `save`."""
        arrays, manifest = storage.read(path, "estimator")
        storage.check_numbers(path, arrays)
        with fitting(path, "estimator"), np.errstate(all="ignore"):
            count = sum(name.startswith("parameter.") for name in arrays)
            parameters = tuple(arrays[f"parameter.{k}"] for k in range(count))
            operators = tuple(manifest["operators"])
            backbone: Backbone = MLP(products=0)  # what files without these entries hold
            head: Head = Squares(parameters[-1].shape[-1] // len(operators))
            if "backbone" in manifest:
                backbone = registry.choose("backbone", BACKBONES, manifest["backbone"])
                head = registry.choose("head", HEADS, manifest["head"])
            estimator = cls(
                operators,
                backbone.restored(manifest["feature_map"]),
                Growth(arrays["growth.coefficients"], arrays["growth.lower"], arrays["growth.upper"]),
                backbone,
                head,
                parameters,
                arrays["calibration"],
                {**manifest["metadata"], "checksums": manifest["checksums"]},
            )
            estimator(trial_events(estimator.features))  # parts that do not fit together show here
        return estimator
