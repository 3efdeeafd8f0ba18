"""diagnose: all checks of an estimator on simulated events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ..errors import InputError, nearest
from ..events import Events
from ..polynomial import Array
from ..storage import checksum
from .case import Case, Ratios, prepare
from .closure import closure
from .coverage import coverage
from .expectation import expectation
from .points import as_points, grid, title
from .positivity import positivity
from .reference import reference
from .report import Report
from .result import Check, not_applicable
from .spread import spread
from .truth import truth_check

if TYPE_CHECKING:
    from typing_extensions import Unpack

EXPECTED = 1000.0
"""Events that the measurement is taken to expect unless told otherwise."""
CHECKS = ("positivity", "expectation", "reference", "spread", "truth", "closure", "coverage")
Point = Mapping[str, float]


class MeasurementOptions(TypedDict, total=False):
    """The measurement for which an estimator has to be good enough, and how it is tried.

    expected: SM events that it expects; default EXPECTED.
    points: where to look, mappings by name or an array (K, n) in TeV^-2; default the ends of the 95 %
        interval of each coefficient alone, and random points, for `expected` SM events.
    toys: pseudo-experiments per point, for the coverage; default 200.
    seed: of the toys and random points; default 0.
    """

    expected: float
    points: Sequence[Point] | Point | Array | None
    toys: int
    seed: int


@dataclass(frozen=True, eq=False)
class Measurement:
    """`MeasurementOptions` with a value for each."""

    expected: float = EXPECTED
    points: Sequence[Point] | Point | Array | None = None
    toys: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.toys < 0:
            raise InputError(f"the number of toys cannot be negative, got {self.toys}")


def diagnose(
    estimator: Ratios,
    events: Events,
    *,
    other: Ratios | None = None,
    generated: Sequence[tuple[Point, Events]] | None = None,
    checks: Sequence[str] | None = None,
    progress: bool = False,
    **options: Unpack[MeasurementOptions],
) -> Report:
    """Return what the checks find about an estimator; `events` are best not those of the training.

    estimator: anything with operators, features, and the ratio polynomials of a frame (see `Ratios`).
    events: simulated at the SM. Without truth some checks are "not applicable".
    other: a second estimator, to be compared by the reference variation.
    generated: samples generated at other coefficients, each with its point.
    checks: names out of CHECKS; default all. options: see `MeasurementOptions`.
    Raises InputError for unknown checks, points and features that do not fit; and, for a check named in
    `checks`, where a package it needs is missing.
    """
    for name in checks or ():
        if name not in CHECKS:
            raise InputError(f"unknown check {name!r}; known are {', '.join(CHECKS)}.{nearest(name, CHECKS)}")
    measurement = Measurement(**options)
    toys = measurement.toys
    case = prepare(estimator, events, measurement.expected, measurement.seed)
    own = None if measurement.points is None else as_points(measurement.points, case.operators)
    steps: dict[str, Callable[[], Check]] = {
        "positivity": lambda: positivity(case, own),
        "expectation": lambda: expectation(case, own),
        "reference": lambda: reference(case, _pairs(own), other=other, generated=generated),
        "spread": lambda: spread(case, own, progress=progress),
        "truth": lambda: truth_check(case, own),
        "closure": lambda: closure(case, own, generated=generated, progress=progress),
        "coverage": lambda: coverage(case, _with_sm(own), toys=toys, progress=progress),
    }
    found = []
    for name in CHECKS:
        if checks is None or name in checks:
            try:
                found.append(steps[name]())
            except InputError as error:
                if checks is not None or "which is not installed" not in str(error):
                    raise
                found.append(not_applicable(name, str(error)))
    return Report(tuple(found), _settings(case, own, toys))


def trained_on(case: Case) -> bool:
    """Whether the estimator was trained on these very events, which flatters it."""
    known = getattr(case.estimator, "metadata", {}).get("events", {}).get("samples", ())
    return checksum(case.events.features.to_numpy(float)) in known


def _pairs(points: np.ndarray | None) -> np.ndarray | None:
    """Return pairs (K, 2, n) of every point and its mirror image at the SM, both ways."""
    if points is None:
        return None
    return np.concatenate([np.stack([points, -points], axis=1), np.stack([-points, points], axis=1)])


def _with_sm(points: np.ndarray | None) -> np.ndarray | None:
    if points is None or not points.any(axis=1).all():
        return points
    return np.concatenate([np.zeros((1, points.shape[1])), points])


def _settings(case: Case, points: np.ndarray | None, toys: int) -> dict[str, Any]:
    source = "the exact ratio" if case.exact else "the estimate"
    chosen = "given" if points is not None else f"ends of 95 % intervals from {source}, and random"
    metadata = getattr(case.estimator, "metadata", {})
    return {
        "operators": list(case.operators),
        "features": list(case.estimator.features),
        "events": len(case.events),
        "events_of_the_training": trained_on(case),
        "process": case.events.metadata.get("process"),
        "method": metadata.get("method", type(case.estimator).__name__),
        "truth": "none" if case.truth is None else "exact" if case.exact else "label before the detector",
        "expected_events": case.expected,
        "toys": toys,
        "seed": case.seed,
        "points_chosen": chosen,
        "half_widths": [f"{n}: {h:.3g}" for n, h in zip(case.operators, case.half_widths, strict=True)],
        "points": [title(p, case.operators) for p in (grid(case) if points is None else points)],
    }
