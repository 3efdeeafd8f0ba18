"""Which bin each event belongs to: given edges, equal content, scores, and edges of largest information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, nearest
from ..scores import score_histogram, scores
from .optimal import optimal_edges
from .sample import Sample
from .schemes import MOST, Edges, Scheme

Index = NDArray[np.int64]
STXS = (75.0, 150.0, 250.0, 400.0, np.inf)
"""Edges in the transverse momentum of V, GeV, of the tables of ZH and WH in `theory_tables`."""
STXS_FEATURES = {"ZH": "pt_z", "WH": "pt_w"}


def cells_of(
    scheme: Scheme, sample: Sample, estimator: Any = None
) -> tuple[Index, NDArray[np.float64], dict[str, Any]]:
    """Return the bin of each event (N,), -1 outside, factors of the weights (N,), and what the bins are.

    The bins are numbered from 0 without a gap. The factors are one, except for optimal bins: zero for the
    half of the events on which the edges were chosen, and about two for the others.
    Raises InputError for features that the sample lacks, and bins without events.
    """
    frame, share = sample.events.features, np.ones(len(sample.events))
    if scheme.kind == "rate":
        return np.zeros(len(frame), dtype=np.int64), share, {}
    if scheme.kind == "score":
        index, about = _score_cells(scheme, sample, estimator)
        return index, share, about
    if scheme.kind == "equal":
        check_features(frame, scheme.features, scheme.name)
        count = scheme.n ** len(scheme.features)
        if count > min(MOST, len(frame)):
            raise InputError(
                f"{scheme.name}: {count} bins for {len(frame)} events; at most {min(MOST, len(frame))}"
            )
        index = equal_cells([frame[f].to_numpy() for f in scheme.features], sample.weights, scheme.n)
        return numbered(index), share, {"features": list(scheme.features), "n": scheme.n}
    if scheme.kind == "optimal":
        return _optimal_cells(scheme, sample)
    bins = scheme.bins if scheme.kind == "bins" else {stxs_feature(sample): pairs(STXS)}
    index = grid_cells(frame, bins, scheme.name)
    return numbered(index), share, {"bins": {f: [list(pair) for pair in edges] for f, edges in bins.items()}}


def pairs(edges: Sequence[float]) -> Edges:
    """Return the bins between edges."""
    return tuple(pairwise(edges))


def numbered(index: Index) -> Index:
    """Return the index with the bins that occur numbered from 0; -1 stays."""
    filled, result = np.unique(index, return_inverse=True)
    return np.asarray(result - int(filled[0] < 0), dtype=np.int64)


def check_features(frame: pd.DataFrame, names: Sequence[str], what: str) -> None:
    """Raise InputError for a feature that is not in the sample."""
    for name in names:
        if name not in frame:
            raise InputError(
                f"{what}: the events have no feature {name!r}; they have {', '.join(frame.columns)}."
                + nearest(name, frame.columns)
            )


def grid_cells(frame: pd.DataFrame, bins: Mapping[str, Edges], what: str) -> Index:
    """Return the cell of each row (N,) in the grid of bins by feature, -1 outside; lower edges are inside.

    Raises InputError for a bin of a feature that holds no event; a cell of the grid may be empty.
    """
    check_features(frame, list(bins), what)
    index, inside = np.zeros(len(frame), dtype=np.int64), np.ones(len(frame), dtype=bool)
    for feature, edges in bins.items():
        values, low, high = frame[feature].to_numpy(), *np.array(edges).T
        where = np.searchsorted(low, values, side="right") - 1
        within = (where >= 0) & (values < high[where])
        counts = np.bincount(where[within], minlength=len(edges))
        if np.any(counts == 0):
            k = int(np.argmin(counts))
            raise InputError(
                f"{what}: the bin of {feature} from {low[k]:g} to {high[k]:g} holds none of the {len(frame)} "
                "events; merge it with another, or leave it out"
            )
        inside &= within
        index = index * len(edges) + where
    if not inside.any():
        raise InputError(f"{what}: none of the {len(frame)} events lies inside the bins of all features")
    return np.where(inside, index, -1)


def equal_cells(columns: Sequence[NDArray[np.float64]], weights: NDArray[np.float64], n: int) -> Index:
    """Return the cell of each event (N,) in n bins of equal weight per column, (N,) each.

    The first column is cut into n parts of equal weight, each part by the second column into n again, and so
    on, so that all n^k cells are of equal weight, up to that of an event.
    """
    index = np.zeros(len(weights), dtype=np.int64)
    for column in columns:
        order = np.lexsort((column, index))
        parent, w = index[order], weights[order]
        total = np.bincount(parent, w)
        before = np.concatenate([[0.0], np.cumsum(total)])[parent]
        middle = np.cumsum(w) - before - 0.5 * w
        part = np.clip((n * middle / total[parent]).astype(np.int64), 0, n - 1)
        index[order] = parent * n + part
    return index


def stxs_feature(sample: Sample) -> str:
    """Return the feature that STXS bins cut in; raise InputError for a process without."""
    process = str(sample.events.metadata.get("process"))
    found = STXS_FEATURES.get(process)
    found = found or next((f for f in STXS_FEATURES.values() if f in sample.events.features), None)
    if found is None:
        raise InputError(
            f"stxs is for ZH and WH, with the features pt_z and pt_w; for {process} give the edges, "
            "{bins: {FEATURE: [...]}}"
        )
    return found


def _score_cells(scheme: Scheme, sample: Sample, estimator: Any) -> tuple[Index, dict[str, Any]]:
    """Return the cells of `scores.score_histogram`, of the network, of the truth without one."""
    names = list(scheme.operators or sample.operators)
    for name in names:
        if name not in sample.operators:
            raise InputError(
                f"{scheme.name}: {name!r} is no coefficient of the comparison."
                + nearest(name, sample.operators)
            )
    dataset = score_histogram(
        scheme.name, estimator, sample.events, sample.luminosity, bins=scheme.n, operators=names,
        efficiency=sample.efficiency,
    )  # fmt: skip
    binning = dataset.metadata["binning"]
    ratio = (lambda _: sample.truth) if estimator is None else estimator
    frame = scores(ratio, sample.events.features, operators=names)
    grid = {str(column): pairs((-np.inf, *binning["inner_edges"][str(column)], np.inf)) for column in frame}
    index = grid_cells(frame, grid, scheme.name)
    return np.asarray(binning["bin_of_cell"], dtype=np.int64)[index], {"inner_edges": binning["inner_edges"]}


def _optimal_cells(scheme: Scheme, sample: Sample) -> tuple[Index, NDArray[np.float64], dict[str, Any]]:
    frame = sample.events.features
    check_features(frame, scheme.features, scheme.name)
    first = np.zeros(len(frame), dtype=bool)
    first[np.random.default_rng(sample.seed).permutation(len(frame))[: len(frame) // 2]] = True
    edges = optimal_edges(
        {f: frame[f].to_numpy()[first] for f in scheme.features}, sample.score[first],
        sample.weights[first], scheme.n,
    )  # fmt: skip
    bins = {f: pairs((-np.inf, *inner, np.inf)) for f, inner in edges.items()}
    index = np.full(len(frame), -1, dtype=np.int64)
    index[~first] = grid_cells(frame[~first], bins, scheme.name)
    share = np.where(first, 0.0, sample.weights.sum() / sample.weights[~first].sum())
    return numbered(index), share, {"inner_edges": {f: list(inner) for f, inner in edges.items()}}
