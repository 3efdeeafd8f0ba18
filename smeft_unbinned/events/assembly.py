"""What every reader ends with: weights at named points become Events with truth and provenance."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from ..errors import InputError, brief, nearest
from . import morphing
from .events import Events
from .lhe_stream import sha256

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Point = Mapping[str, float]


_HUGE = 1e100


@dataclass(frozen=True)
class Benchmarks:
    """Named points in coefficient space: labels (B), operators (n), values (B, n) in TeV^-2."""

    labels: tuple[str, ...]
    operators: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def parse(cls, points: Mapping[str, Point], operators: Sequence[str] | None, source: str) -> Benchmarks:
        """Build from {label: {operator: value}}, absent operators being zero, and check rank and condition.

        operators: those to keep, in this order; points at which another one is not zero are left out.
        Raises InputError for values that are not finite numbers, an unknown operator, a point listed twice,
        and points that leave monomials undetermined.
        """
        if isinstance(operators, str):
            raise InputError(f"operators must be a sequence of names, got the single string {operators!r}")
        for label, point in points.items():
            check_point(label, point)
        known = tuple(dict.fromkeys(name for point in points.values() for name in point))
        names = known if operators is None else tuple(operators)
        for name in names:
            if name not in known:
                raise InputError(
                    f"{source}: no weight varies operator {name!r}; they vary {', '.join(known)}."
                    f"{nearest(name, known)}"
                )
        kept = {
            str(label): [float(point.get(name, 0.0)) for name in names]
            for label, point in points.items()
            if all(value == 0 for name, value in point.items() if name not in names)
        }
        values = np.array(list(kept.values()), dtype=float).reshape(len(kept), len(names))
        try:
            morphing.check_points(names, values)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        return cls(tuple(kept), names, values)


def check_point(label: object, point: Any) -> None:
    if not isinstance(point, Mapping):
        raise InputError(f"points[{label!r}] must be a mapping {{operator: value}}, got {brief(point)}")
    for name, value in point.items():
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not isinstance(name, str) or not number or not math.isfinite(value):
            raise InputError(f"points[{label!r}][{name!r}] must be a finite number, got {brief(value)}")


class WeightOptions(TypedDict, total=False):
    """What becomes of the weights of events.

    non_positive: "error", the default, or "drop" for events whose SM weight is not positive.
    cross_section_pb: SM cross section in pb that the SM weights are scaled to sum to; default: they are in pb
        already.
    metadata: of the sample, JSON types.
    """

    non_positive: morphing.NonPositive
    cross_section_pb: float | None
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True)
class Weighting:
    """`WeightOptions` with a value for each."""

    non_positive: morphing.NonPositive = "error"
    cross_section_pb: float | None = None
    metadata: Mapping[str, Any] | None = None


def assemble(
    features: pd.DataFrame, weights: np.ndarray, benchmarks: Benchmarks, source: str, weighting: Weighting
) -> Events:
    """Return Events from weights (N, B) in pb at the benchmarks.

    Raises InputError, naming the source, for weights that cannot be inverted.
    """
    try:
        truth, sm, report = morphing.invert(
            benchmarks.operators,
            benchmarks.values,
            weights,
            non_positive=weighting.non_positive,
            labels=list(benchmarks.labels),
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    about = {
        **(weighting.metadata or {}),
        "points": {
            label: dict(zip(benchmarks.operators, row, strict=True))
            for label, row in zip(benchmarks.labels, benchmarks.values.tolist(), strict=True)
        },
        "rank": report.rank,
        "condition": report.condition,
        "smallest_eigenvalue": report.smallest_eigenvalue,
        "residual": report.residual,
        "events_dropped": report.dropped,
    }
    sm = normalise(sm, weighting.cross_section_pb, source)
    return Events(features[report.kept], truth, sm, metadata=about)


def normalise(weights: np.ndarray, cross_section_pb: float | None, source: str) -> np.ndarray:
    """Return weights (N,) scaled to sum to a cross section in pb; as they are where that is None."""
    if cross_section_pb is None:
        return weights
    total = float(np.sum(weights))
    if not (cross_section_pb > 0 and math.isfinite(cross_section_pb) and total > 0):
        raise InputError(
            f"{source}: cannot scale weights that sum to {total:g} to a cross section of "
            f"{cross_section_pb!r} pb; both must be positive"
        )
    return weights * (cross_section_pb / total)


def as_paths(paths: Paths, kind: str) -> list[Path]:
    """Return paths as a list; raise InputError for none, for a missing file and for one given twice."""
    files = [Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not files:
        raise InputError(f"no {kind} file given; pass a path or a list of paths")
    for path in files:
        if not os.path.isfile(path):  # False, not an error, for an impossible name
            names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            what = "is a folder, not a file" if os.path.isdir(path) else "no such file"
            raise InputError(f"{path}: {what}.{nearest(path.name, names)}")
    twice = [path for i, path in enumerate(files) if path.resolve() in [p.resolve() for p in files[:i]]]
    if twice:
        raise InputError(f"{twice[0]} is given twice; give each sample once")
    return files


def provenance(counts: Iterable[tuple[Path, int]]) -> list[dict[str, Any]]:
    """Return name, SHA-256 and number of events of each file, for the metadata; refuse one given twice."""
    return distinct([{"name": path.name, "sha256": sha256(path), "events": n} for path, n in counts])


def distinct(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what `provenance` says of files; raise InputError where two of them are the same."""
    seen: dict[str, str] = {}
    for file in files:
        if file["sha256"] in seen:
            raise InputError(
                f"{seen[file['sha256']]} and {file['name']} are the same file; give each sample once"
            )
        seen[file["sha256"]] = file["name"]
    return files


def finite(values: np.ndarray, names: Sequence[str], what: str, source: str, first: int = 0) -> np.ndarray:
    """Return values (N, F) as they are; raise InputError naming the first event and column not finite.

    Numbers so large that sums over events might overflow count as infinite.
    """
    bad = np.argwhere(~(np.abs(values) < _HUGE))
    if bad.size:
        event, column = bad[0]
        raise InputError(
            f"{source}, event {first + event}: {what} {names[column]!r} is {values[event, column]}; "
            "remove or repair this event"
        )
    return values
