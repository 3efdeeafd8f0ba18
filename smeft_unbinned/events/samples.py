"""Separate samples generated at several points, without weights per event: what classifiers learn from.

The cross sections of the samples are quadratic in the coefficients, so those at enough points give sigma(c)
by the same linear system as the weights of an event do (see `morphing`).

A sample may hold one kind of terms of the rate only (arXiv:2211.02058), and says so in `metadata["terms"]`:
"full" is the whole rate, the others are the SM plus the terms c_i, c_i^2 or c_i c_j of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import storage
from ..errors import InputError, brief, nearest
from ..inputfile import fitting
from ..polynomial import Polynomial, check_operators
from . import morphing
from .assembly import check_point
from .events import Events

TERMS = ("full", "linear", "quadratic", "cross")
"""What a sample may hold of the rate at its point, besides the SM."""


@dataclass(frozen=True)
class Samples:
    """B samples of events, each generated at one point.

    operators: n names. points: (B, n) in TeV^-2. events: one sample per point, with the same features and
        weights in pb that sum to the cross section at the point. metadata["terms"], one of TERMS, says what
        they hold of the rate; absent means "full".
    Raises InputError for a point listed twice with the same terms, unknown terms, features that differ, and
    lengths that do not fit.
    """

    operators: tuple[str, ...]
    points: np.ndarray
    events: tuple[Events, ...]

    def __post_init__(self) -> None:
        names = check_operators(self.operators)
        points = np.array(self.points, dtype=float)
        object.__setattr__(self, "operators", names)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "events", tuple(self.events))
        if not self.events or points.shape != (len(self.events), len(names)):
            raise InputError(
                f"points have shape {points.shape}, expected ({len(self.events)}, {len(names)}): one row per "
                f"sample in {', '.join(names) or 'at least one operator'}; give at least one sample"
            )
        if not np.all(np.isfinite(points)):
            raise InputError(
                f"sample {int(np.argwhere(~np.isfinite(points))[0, 0])}: its point is not finite"
            )
        for b, terms in enumerate(self.terms):
            if terms not in TERMS:
                raise InputError(
                    f"sample {b} holds unknown terms {brief(terms)}; known are {', '.join(TERMS)}."
                    f"{nearest(str(terms), TERMS)}"
                )
        for b, row in enumerate(points):
            same = [a for a in range(b) if (points[a] == row).all() and self.terms[a] == self.terms[b]]
            if same:
                raise InputError(
                    f"samples {same[0]} and {b} stand at the same point, "
                    f"{dict(zip(names, row.tolist(), strict=True))}, with the same terms; join them"
                )
        expected = [str(name) for name in self.events[0].features]
        for b, sample in enumerate(self.events):
            found = [str(name) for name in sample.features]
            if found != expected:
                odd = sorted({*found} ^ {*expected}) or found
                raise InputError(
                    f"sample {b} has other features than sample 0, or in another order: {', '.join(odd)}; "
                    f"all need {', '.join(expected)}"
                )
            if not np.sum(np.asarray(sample.weights)) > 0:
                raise InputError(f"sample {b}: its weights do not sum to a positive cross section")

    @classmethod
    def build(cls, samples: Sequence[tuple[Mapping[str, float], Events]]) -> Samples:
        """Build from pairs of a point {operator: value in TeV^-2}, absent ones being zero, and its events."""
        for b, (point, _) in enumerate(samples):
            check_point(b, point)
        names = tuple(dict.fromkeys(name for point, _ in samples for name in point))
        rows = [[float(point.get(name, 0.0)) for name in names] for point, _ in samples]
        points = np.array(rows, dtype=float).reshape(len(samples), len(names))
        return cls(names, points, tuple(e for _, e in samples))

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[tuple[dict[str, float], Events]]:
        """Return pairs of a point by name and its events."""
        for row, events in zip(self.points.tolist(), self.events, strict=True):
            yield dict(zip(self.operators, row, strict=True)), events

    @property
    def terms(self) -> tuple[str, ...]:
        """What each sample holds of the rate, one of TERMS."""
        return tuple(events.metadata.get("terms", "full") for events in self.events)

    @property
    def cross_sections(self) -> np.ndarray:
        """Sum of the weights of each sample in pb, (B,)."""
        return np.array([np.sum(np.asarray(e.weights)) for e in self.events])

    @property
    def errors(self) -> np.ndarray:
        """Statistical error of the cross sections in pb, (B,): root of the summed squares of the weights."""
        return np.array([np.sqrt(np.sum(np.square(np.asarray(e.weights)))) for e in self.events])

    def at(self, point: Mapping[str, float], terms: str = "full") -> Events:
        """Return the sample at a point with these terms; raise InputError where there is none."""
        for name in point:
            if name not in self.operators:
                raise InputError(f"unknown operator {name!r}; known are {', '.join(self.operators)}")
        row = np.array([float(point.get(name, 0.0)) for name in self.operators])
        there = np.flatnonzero((self.points == row).all(axis=1))
        found = [b for b in there if self.terms[b] == terms]
        if not found:
            held = f", only with {', '.join(self.terms[b] for b in there)}" if there.size else ""
            raise InputError(
                f"no sample stands at {dict(point)} with terms {terms!r}{held}; the points are "
                f"{self.points.tolist()}"
            )
        return self.events[found[0]]

    def cross_section(self, partial: bool = False) -> Polynomial:
        """Return sigma(c) in pb, without batch, from the cross sections of the samples.

        Exact where there are as many samples as monomials, by least squares where there are more. A sample of
        single terms of the rate counts for the monomials that it holds.
        Raises InputError where the samples leave monomials undetermined, naming them; partial: NaN in their
        place, for an SM sample that comes first.
        """
        if set(self.terms) == {"full"} and not partial:
            ratio, sm, _ = morphing.invert(self.operators, self.points, self.cross_sections[None])
            return Polynomial(self.operators, ratio.coefficients[0] * sm[0])
        if self.points[0].any():
            raise InputError("sigma(c) from these samples needs the SM sample first")
        scales = np.max(np.abs(self.points), axis=0)
        matrix = morphing.monomial_matrix(self.points / scales)[1:, 1:] * self._held()[1:]
        change = self.cross_sections[1:] / self.cross_sections[0] - 1.0
        coefficients, _, rank, _ = np.linalg.lstsq(matrix, change, rcond=1e-10)
        if rank < matrix.shape[1]:
            names = np.array(morphing.monomial_names(self.operators)[1:])
            lost = np.abs(np.diag(np.linalg.pinv(matrix, rcond=1e-10) @ matrix) - 1) > 1e-8
            if not partial:
                raise InputError(
                    f"the samples do not determine {', '.join(names[lost])}; add samples with these terms of "
                    "the rate"
                )
            coefficients[lost] = np.nan
        units = morphing.monomial_matrix(scales[None])[0, 1:]
        full = np.concatenate([[1.0], coefficients / units])
        return Polynomial(self.operators, full * self.cross_sections[0])

    def _held(self) -> np.ndarray:
        """Return which monomials beyond the constant each sample holds, (B, P - 1)."""
        rows, columns = np.triu_indices(len(self.operators) + 1)
        kinds = np.where(rows == 0, "linear", np.where(rows == columns, "quadratic", "cross"))[1:]
        return np.stack([(kinds == t) | (t == "full") for t in self.terms])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        arrays: dict[str, np.ndarray] = {"points": self.points}
        for b, events in enumerate(self.events):
            arrays[f"features_{b}"] = events.features.to_numpy(float)
            arrays[f"weights_{b}"] = np.asarray(events.weights)
        manifest: dict[str, Any] = {
            "operators": list(self.operators),
            "features": list(self.events[0].features),
            "metadata": [events.metadata for events in self.events],
        }
        storage.write(path, "samples", arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Samples:
        """Read a file written by `save`; truth polynomials are not kept."""
        arrays, manifest = storage.read(path, "samples")
        with fitting(path, "samples"):
            events = [
                Events(
                    pd.DataFrame(arrays[f"features_{b}"], columns=manifest["features"]),
                    None,
                    arrays[f"weights_{b}"],
                    metadata=about,
                )
                for b, about in enumerate(manifest["metadata"])
            ]
            return cls(tuple(manifest["operators"]), arrays["points"], tuple(events))
