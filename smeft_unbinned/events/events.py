"""Events: what a detector sees of each simulated event, its weight, and how its rate depends on c."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from .. import storage
from ..errors import InputError, nearest
from ..inputfile import fitting
from ..polynomial import Polynomial


@dataclass(frozen=True, eq=False)
class Events:
    """A sample of N simulated events.

    features: frame (N, F) of finite observables, one column each.
    truth: ratio polynomials r(z|c) with batch (N,) and value 1 at the SM, or None where unknown.
    weights: SM weights (N,) in pb, whose sum is the SM cross section; None means equal weights, which sum
        to the SM value of `cross_section`, or to 1 pb where that is unknown.
    cross_section: sigma(c) in pb after all cuts, no batch; None means the weighted sum of `truth`.
    metadata: JSON types: process, energy, operator basis, input scheme, seeds, provenance, `sources` of a
        selection.

    Raises InputError for lengths that differ and for values that are not finite.
    """

    features: pd.DataFrame
    truth: Polynomial | None = None
    weights: np.ndarray | None = None
    cross_section: Polynomial | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frame = _numeric(self.features)
        n = len(frame)
        object.__setattr__(self, "features", frame)
        for name in frame.columns:
            check_finite(f"feature {name!r}", frame[name].to_numpy())
        if self.cross_section is not None:
            if self.cross_section.batch_shape != ():
                raise InputError(f"cross_section has batch {self.cross_section.batch_shape}, expected none")
            check_finite("cross section", self.cross_section.coefficients[None])
        if self.weights is None:
            total = 1.0 if self.cross_section is None else float(self.cross_section.constant)
            weights = np.full(n, total / n)
        else:
            weights = np.array(self.weights, dtype=float)
        object.__setattr__(self, "weights", weights)
        if weights.shape != (n,):
            raise InputError(f"weights have shape {weights.shape}, expected ({n},): one per event")
        check_finite("weight", weights)
        if self.truth is not None:
            object.__setattr__(self, "truth", self.truth.dense())
            if self.truth.batch_shape != (n,):
                raise InputError(f"truth has batch {self.truth.batch_shape}, expected ({n},): one per event")
            check_finite("truth polynomial", self.truth.coefficients)
        if self.cross_section is None and self.truth is not None:
            object.__setattr__(self, "cross_section", self.truth.sum(self.weights))

    def __len__(self) -> int:
        return len(self.features)

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the coefficients that the truth depends on; empty without truth."""
        return self.truth.operators if self.truth is not None else ()

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Checksums of the files that the events were read from, or of the sample that these are a part of.

        Samples with one of them in common may have events in common.
        """
        files = [file["sha256"] for file in self.metadata.get("files", ())]
        recorded = self.metadata.get("sources") or files
        return tuple(recorded or [storage.checksum(self.features.to_numpy(float))])

    def __getitem__(self, index: Any) -> Events:
        """Return a selection, each event with the weight it has here; sigma(c) is that of the selection.

        Without truth sigma(c) of a selection is unknown.
        """
        if isinstance(index, (int, np.integer)):
            index = slice(index, index + 1)
        return Events(
            self.features.iloc[index],
            None if self.truth is None else self.truth[index],
            self.weights[index],  # type: ignore[index]  # set at construction
            None,
            {**self.metadata, "sources": list(self.sources)},
        )

    def split(self, fraction: float, seed: int) -> tuple[Events, Events]:
        """Return two disjoint random parts, each re-weighted to the cross section of the whole sample."""
        order = np.random.default_rng(seed).permutation(len(self))
        cut = round(fraction * len(self))
        if not 0 < cut < len(self):
            raise InputError(f"a fraction of {fraction} leaves one part of {len(self)} events empty")
        return self._part(order[:cut]), self._part(order[cut:])

    def _part(self, index: np.ndarray) -> Events:
        part = self[np.sort(index)]
        weights = np.asarray(part.weights)
        scale = np.sum(np.asarray(self.weights)) / np.sum(weights)
        return Events(part.features, part.truth, weights * scale, self.cross_section, part.metadata)

    def column(self, name: str) -> np.ndarray:
        """Return one feature, (N,); raise InputError naming the nearest for an unknown one."""
        if name not in self.features:
            known = ", ".join(self.features.columns)
            raise InputError(
                f"unknown feature {name!r}; known are {known}.{nearest(name, self.features.columns)}"
            )
        return self.features[name].to_numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        arrays = {"features": self.features.to_numpy(float), "weights": np.asarray(self.weights)}
        manifest: dict[str, Any] = {"features": list(self.features.columns), "metadata": self.metadata}
        if self.truth is not None:
            arrays["truth"] = self.truth.coefficients
            manifest["operators"] = list(self.truth.operators)
        if self.cross_section is not None:
            arrays["cross_section"] = self.cross_section.coefficients
            manifest["cross_section_operators"] = list(self.cross_section.operators)
        storage.write(path, "events", arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Events:
        """Read a file written by `save`."""
        arrays, manifest = storage.read(path, "events")
        with fitting(path, "events"):
            truth = sigma = None
            if "truth" in arrays:
                truth = Polynomial(manifest["operators"], arrays["truth"])
            if "cross_section" in arrays:
                sigma = Polynomial(manifest["cross_section_operators"], arrays["cross_section"])
            frame = pd.DataFrame(arrays["features"], columns=manifest["features"])
            return cls(frame, truth, arrays["weights"], sigma, manifest["metadata"])


def _numeric(features: pd.DataFrame) -> pd.DataFrame:
    """Return the features as a frame of floats with distinct names and rows numbered from zero."""
    if not isinstance(features, pd.DataFrame) or features.empty:
        raise InputError(
            "events need a frame with at least one row and one feature, got "
            f"{type(features).__name__} of shape {np.shape(features)}"
        )
    names = [str(name) for name in features.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"feature names must be distinct; repeated: {', '.join(twice)}")
    for name, (_, column) in zip(names, features.items(), strict=True):
        if not pd.api.types.is_numeric_dtype(column):
            raise InputError(f"feature {name!r} holds {column.dtype}, expected numbers; convert or drop it")
    frame = features.astype(float).reset_index(drop=True)
    frame.columns = pd.Index(names)
    return frame


def check_finite(what: str, values: np.ndarray) -> None:
    """Raise InputError naming the first event at which a value is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if bad.size:
        value = values[bad[0]]
        raise InputError(
            f"{what} is not finite in {bad.size} of {len(values)} events, first in event {bad[0]} "
            f"({value if np.ndim(value) == 0 else 'one of its coefficients'}); remove or repair these events"
        )
