"""Histograms in what an estimator says of an event: the score, or the probabilities of several points.

The score at the SM, d log r/dc at c = 0, is the locally optimal observable: near the SM its distribution
holds all that the events tell about c (arXiv:1805.00020, SALLY). Further away the probabilities

    p_k(x) = r(x|c_k) / (1 + sum_j r(x|c_j))

of a classifier between the SM (class 0) and points c_k, with their full rates, see the quadratic terms too.
Yields are counted with the truth of simulated events, so that a bad estimator costs sensitivity and never
biases the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .data_options import DataChoice, DataOptions
from .datasets import PoissonDataset
from .datasets.poisson import bin_index, sum_in_bins
from .errors import InputError, nearest
from .events import Events
from .export import Ratio, counted, observed_frame, origin
from .polynomial import Array, QuadraticForm, as_point

if TYPE_CHECKING:
    from typing_extensions import Unpack

Real = NDArray[np.float64]
Points: TypeAlias = "Sequence[Mapping[str, float]] | Array"

MAX_CELLS = 10_000
SPACINGS = ("information", "rate")
"""What the bins of a score share equally."""
ENOUGH = 10.0
"""Effective simulated events per bin below which a histogram comes with a note."""


class HistogramOptions(DataOptions, total=False):
    """`DataOptions`, and where the bins of a score lie.

    bins: how many per score, in a grid where there are several; default 10.
    spacing: what they share equally, "information", the default (half the SM rate and half its second moment
        in the score, which makes bins narrower where the score is large and few events know most), or the SM
        "rate" alone.
    edges: inner edges by score in place of these. The outer bins are open, so that every event falls into
        one.
    """

    bins: int
    spacing: str
    edges: Mapping[str, Sequence[float]] | None


@dataclass(frozen=True)
class HistogramChoice(DataChoice):
    """`HistogramOptions` with a value for each."""

    bins: int = 10
    spacing: str = SPACINGS[0]
    edges: Mapping[str, Sequence[float]] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spacing not in SPACINGS:
            raise InputError(
                f"spacing is one of {', '.join(SPACINGS)}, got {self.spacing!r}."
                f"{nearest(self.spacing, SPACINGS)}"
            )
        if self.bins < 2:
            raise InputError(
                f"a score needs at least 2 bins, got {self.bins}; one bin is a rate without a score"
            )


def scores(
    estimator: Ratio, features: pd.DataFrame, points: Points | None = None, *,
    operators: Sequence[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the observables of events (N, F): scores at the SM, or probabilities of several points.

    estimator: features -> ratio polynomials (an Estimator, or any such function).
    points: None, or K points by name or as (K, n) in the order of the estimator, in TeV^-2.

    Without points: columns `score_<operator>`, the linear coefficient of r(x|c), which is d log r/dc at the
    SM with the rate included; without the rate it is smaller by the mean over all SM events. `operators` are
    those wanted, by default all. With points: columns `class_1` to `class_K`, p_k of the points; that of the
    SM is what is missing to 1. A ratio that an estimator lets turn negative counts as zero.
    Raises InputError for an unknown operator, no point, a point at the SM, and ratios that are not finite.
    """
    return _observables(estimator(features), points, operators)


def score_histogram(
    name: str,
    estimator: Ratio | None,
    events: Events,
    luminosity: float,
    *,
    operators: Sequence[str] | None = None,
    points: Points | None = None,
    observed: pd.DataFrame | None = None,
    **options: Unpack[HistogramOptions],
) -> PoissonDataset:
    """Return counts in bins of the scores of an estimator, with yields summed over simulated events.

    estimator: as for `scores`; None takes the truth of the events, the exact answer where it is known.
    events: simulated, with truth, weights in pb. luminosity: in fb^-1.
    operators, points: which scores, see `scores`.
    observed: frame of measured events to count; otherwise the counts are the expected ones ("asimov") or
        Poisson numbers with the given seed ("toy") at the coefficients `at` (default the SM).
    options: efficiency, pseudo_data, at, seed, basis, bins, spacing and edges, see `HistogramOptions`.

    Cells of a grid without a positive SM yield are merged with the one before, in the order of the cells.
    Metadata are those of `export`, and in `binning` the scores, their inner edges, and the bin of each cell.
    Raises InputError for events without truth, a bad luminosity or efficiency, less than two bins, edges
    that do not increase or name other scores, scores without any spread, and more than MAX_CELLS cells.
    """
    choice = HistogramChoice(**options)
    at, edges, scale = choice.at or {}, choice.edges, choice.scale(luminosity)
    if events.truth is None:
        raise InputError("the yields of a histogram are summed over events: they need truth polynomials")
    if observed is not None and at:
        raise InputError("`at` chooses the coefficients of pseudo-data; measured events have none")
    frame = _frame_of(estimator, events, points, operators)
    if edges is None:
        inner = _quantiles(frame, np.asarray(events.weights), choice.bins, choice.spacing)
    else:
        inner = _inner(frame, edges)
    grid = {score: [-np.inf, *values, np.inf] for score, values in inner.items()}
    cells = int(np.prod([len(values) - 1 for values in grid.values()], dtype=float))
    if cells > MAX_CELLS:
        raise InputError(
            f"{len(grid)} scores make a grid of {cells} cells, allowed are {MAX_CELLS}; take fewer bins, "
            "or name fewer scores"
        )
    index = bin_index(frame, grid)
    content = sum_in_bins(events, index, cells, scale)
    bin_of_cell = _merge(np.asarray(content.constant))
    index, count = bin_of_cell[index], int(bin_of_cell[-1]) + 1
    yields = sum_in_bins(events, index, count, scale)
    if observed is not None:
        if estimator is None:
            raise InputError("measured events have no truth; their scores need an estimator")
        measured = _observables(estimator(observed_frame(observed)), points, operators)
        counts: Real = np.bincount(bin_of_cell[bin_index(measured, grid)], minlength=count).astype(float)
    else:
        counts = np.asarray(yields.evaluate(at), dtype=float)
        if np.any(counts < 0):
            raise InputError(f"{np.sum(counts < 0)} bins have a negative yield at {dict(at)}; merge some")
        if choice.pseudo_data == "toy":
            counts = np.random.default_rng(choice.seed).poisson(counts).astype(float)
    notes = _notes(index, np.asarray(events.weights), count)
    if observed is not None:
        notes += counted(counts.sum(), float(np.sum(yields.constant)))
    source = events.metadata
    metadata = {
        **origin(estimator, source, events.features, luminosity, choice),
        "sources": list((events if observed is None else Events(observed_frame(observed))).sources),
        "data": choice.pseudo_data if observed is None else "observed",
        "notes": notes,
        "binning": {
            "kind": "score at the SM, rate included" if points is None else "class probabilities",
            "points": None if points is None else _listed(points),
            "spacing": choice.spacing if edges is None else "given",
            "inner_edges": inner,
            "bin_of_cell": bin_of_cell.tolist(),
        },
    }
    return PoissonDataset(
        name, yields, counts, basis=choice.basis or source.get("basis", "warsaw"), metadata=metadata
    )


def _frame_of(
    estimator: Ratio | None, events: Events, points: Points | None, operators: Sequence[str] | None
) -> pd.DataFrame:
    form = events.truth if estimator is None else estimator(events.features)
    assert form is not None
    return _observables(form, points, operators)


def _observables(form: QuadraticForm, points: Points | None, operators: Sequence[str] | None) -> pd.DataFrame:
    if points is None:
        columns = _scores(form, operators)
    elif operators is not None:
        raise InputError("give operators, for scores at the SM, or points, for class probabilities, not both")
    else:
        columns = _probabilities(form, _rows(points, form.operators))
    for label, column in columns.items():
        bad = np.flatnonzero(~np.isfinite(column))
        if bad.size:
            raise InputError(
                f"{label} is not finite in {bad.size} of {len(column)} events, first in event {bad[0]}; "
                "check the estimator and its features"
            )
    return pd.DataFrame(columns)


def _scores(form: QuadraticForm, operators: Sequence[str] | None) -> dict[str, Real]:
    names = form.operators if operators is None else tuple(operators)
    if isinstance(operators, str) or not names or len(set(names)) < len(names):
        raise InputError(f"operators must be a list of different names, got {operators!r}")
    for name in names:
        if name not in form.operators:
            raise InputError(
                f"unknown operator {name!r}; the estimator knows {', '.join(form.operators)}."
                f"{nearest(name, form.operators)}"
            )
    polynomial = form.dense()
    slope = np.asarray(polynomial.linear, dtype=float) / np.asarray(polynomial.constant)[:, None]
    return {f"score_{name}": slope[:, form.operators.index(name)] for name in names}


def _probabilities(form: QuadraticForm, rows: Real) -> dict[str, Real]:
    ratios = np.maximum(np.asarray(form.evaluate(rows), dtype=float), 0.0)  # (K, N)
    total = 1.0 + ratios.sum(axis=0)
    return {f"class_{k}": ratio / total for k, ratio in enumerate(ratios, start=1)}


def _rows(points: Points, operators: tuple[str, ...]) -> Real:
    """Return points as (K, n)."""
    if isinstance(points, Mapping):
        raise InputError("points must be a sequence of points, got one mapping; put it into a list")
    rows = np.array([np.asarray(as_point(point, operators), dtype=float) for point in points])
    if rows.size == 0 or not np.isfinite(rows).all():
        raise InputError(f"class probabilities need at least one finite point, got {rows.tolist()}")
    if not rows.any(axis=1).all():
        raise InputError("the SM is class 0 already; leave it out of the points")
    return rows


def _quantiles(frame: pd.DataFrame, weights: Real, bins: int, spacing: str) -> dict[str, list[float]]:
    """Return inner edges between bins of equal shares, by score; fewer where values coincide."""
    rate = np.maximum(weights, 0.0)  # a quantile needs a distribution function that grows
    inner = {}
    for score in map(str, frame.columns):
        values = frame[score].to_numpy()
        order, share = np.argsort(values, kind="stable"), rate
        if spacing == "information":
            square = (values - np.average(values, weights=rate)) ** 2
            variance = float(np.average(square, weights=rate))
            share = rate * (1.0 + square / variance) if variance > 0.0 else rate
        total = np.cumsum(share[order])
        wanted = np.searchsorted(total, total[-1] * np.arange(1, bins) / bins)
        inner[score] = [float(x) for x in np.unique(values[order][wanted]) if x > values[order[0]]]
        if not inner[score]:
            raise InputError(
                f"{score} is {values[0]:g} in nearly all events, so it cannot be binned; leave it out, or "
                "use points away from the SM where only quadratic terms matter"
            )
    return inner


def _inner(frame: pd.DataFrame, edges: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return the inner edges that the user gave, in the order of the scores."""
    if set(edges) != set(frame.columns):
        raise InputError(
            f"edges are given for {', '.join(map(str, edges)) or 'nothing'}, but the scores are "
            f"{', '.join(map(str, frame.columns))}"
        )
    return {str(score): [float(x) for x in edges[score] if not np.isinf(x)] for score in frame.columns}


def _merge(content: Real) -> NDArray[np.int64]:
    """Return the bin of each cell: one without a positive SM yield joins the cell before, or the first."""
    return np.asarray(np.maximum(np.cumsum(content > 0.0) - 1, 0), dtype=np.int64)


def _notes(index: NDArray[np.int64], weights: Real, count: int) -> list[str]:
    """Return what is to be said of bins with few simulated events: their yields fluctuate."""
    sums = np.bincount(index, weights, count), np.bincount(index, weights**2, count)
    poor = int(np.sum(sums[0] ** 2 < ENOUGH * sums[1]))
    if not poor:
        return []
    return [
        f"{poor} of {count} bins hold fewer than {ENOUGH:g} effective simulated events, which makes the "
        "histogram look more sensitive than it is; take more events or fewer bins"
    ]


def _listed(points: Points) -> list[Any]:
    return [
        {k: float(x) for k, x in point.items()} if hasattr(point, "items") else np.asarray(point).tolist()
        for point in points
    ]
