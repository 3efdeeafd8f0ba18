"""compress: groups, representatives and weights, from few events to more, until the certificate holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import storage
from ..datasets import UnbinnedDataset
from ..engine import FLOOR, log_ratio
from ..errors import InputError
from ..polynomial import Polynomial, SumOfSquares, monomials
from ..progress import progress_bar
from ..version import __version__
from . import groups as gr
from .calibrate import calibrate
from .certificate import Certificate, search
from .dips import dips
from .rebuild import at_nominal, bounding, rebuild
from .region import values
from .sample import FEATURES, Sample, draw_sample, extended

Real = NDArray[np.float64]
FEWEST, MOST = 256, 16384
"""Events to begin with, and at most."""
_AIM = 0.5
"""Part of the tolerance that the weights aim at."""
_TRIES = 3
"""Certificates of one set of events, whose weights learn from the points at which one failed."""
_SEARCHES = 3
"""Independent searches for the largest change that have to stay within the tolerance."""
_HARD = 8
_AT_BEST = 0.002
"""Deviation of derivatives at a minimum for a step of a standard deviation: the best fit stays there."""
_PEAKS = 1.5
"""Deviation at peaks of single events, which are too narrow to matter to a fit."""
_PEAK = 0.25
"""Part of the tolerance that the peak of a single event may have if it is to be merged."""


def compress(
    dataset: UnbinnedDataset,
    *,
    tolerance: float = 0.05,
    rise: float = 25.0,
    seed: int = 0,
    progress: bool = False,
) -> UnbinnedDataset:
    """Return a dataset of fewer events whose -2 log L is the same within a tolerance, certified.

    tolerance: largest |change of -2 log L| wherever that is within `rise` of its minimum, all operators of
        the dataset jointly; nuisances take their best values there.
    seed: of every random choice. The order of the events does not matter.

    The events of the result are some of those of the dataset, with positive weights of the same sum, and its
    yield is the same. Responses to nuisances are averaged over groups of events; their weighted sum, all that
    -2 log L depends on, is kept. `metadata["compression"]` records sizes, the certificate (`Certificate`) and
    the checksums of the original. Spread and replicas of an ensemble are dropped.
    Raises InputError for data with backgrounds, for a region without end, and where 16384 events do not reach
    the tolerance.
    """
    _check(dataset, tolerance, rise)
    rng = np.random.default_rng(seed)
    with progress_bar(progress) as bar:
        task = bar.add_task("compressing", total=None, note="looking for the region")
        sample, stand_in = draw_sample(dataset, rise, rng)
        kept, low = dips(dataset, stand_in, sample.points, sample.limit, _PEAK * tolerance)
        wide = extended(dataset, sample, low, _PEAKS)
        x = gr.coordinates(dataset, sample.points[:FEATURES])
        groups, count = gr.whole(x, dataset.weights, kept), FEWEST
        while count < 2 * len(groups) and count < MOST:
            count *= 2
        while True:
            groups = gr.split(groups, x, dataset.weights, count)
            events = gr.draw(groups, x, dataset.weights, rng)
            first = rebuild(dataset, gr.packed(dataset, events), groups.weight, groups)
            _, low = dips(first, bounding(first), sample.points, sample.limit, _PEAK * tolerance)
            sample = extended(dataset, wide, low, _PEAKS)
            for attempt in range(_TRIES):
                bar.update(task, note=f"{len(groups)} events")
                small = _weighted(dataset, groups, gr.packed(dataset, events), sample, tolerance)
                change = np.abs(values(small, at_nominal(dataset, sample.points)) - sample.value)
                least = float(change.max())
                if not groups.exact and np.any(change > _AIM * tolerance * sample.allowed):
                    break
                bar.update(task, note=f"{len(groups)} events, certificate {attempt + 1}")
                hard = sample.points[np.argsort(-change, kind="stable")[:_HARD]]
                certificate, worst = _searched(dataset, small, rise, seed, hard, tolerance)
                least = certificate.largest
                if least <= tolerance:
                    small.metadata = _metadata(dataset, small, certificate, tolerance)
                    return small
                sample = extended(dataset, sample, worst, _PEAKS)
                wide = extended(dataset, wide, worst, _PEAKS)
            if groups.exact or count >= MOST:
                raise InputError(
                    f"dataset {dataset.name!r}: with {len(small)} events -2 log L still changes by "
                    f"{least:.3g}, more than the tolerance {tolerance:g}; raise the tolerance, lower the "
                    "rise, or use the dataset as it is"
                )
            count *= 2


def _searched(
    dataset: UnbinnedDataset, small: UnbinnedDataset, rise: float, seed: int, hard: Real, tolerance: float
) -> tuple[Certificate, Real]:
    """Return the certificate of several independent searches, ended by one above the tolerance, and where.

    One search may miss a peak that another finds.
    """
    largest, worst = search(dataset, small, rise, seed, hard, tolerance)
    for k in range(1, _SEARCHES):
        if largest.largest > tolerance:
            break
        other, found = search(dataset, small, rise, seed + k, hard, tolerance)
        worst = np.concatenate([worst, found])
        starts, converged = largest.starts + other.starts, largest.converged + other.converged
        points = largest.points + other.points
        largest = max(largest, other, key=lambda certificate: certificate.largest)
        largest = replace(largest, starts=starts, converged=converged, points=points, seed=seed)
    return largest, worst


def _check(dataset: UnbinnedDataset, tolerance: float, rise: float) -> None:
    for name, value in (("tolerance", tolerance), ("rise", rise)):
        if not 0 < value < np.inf:
            raise InputError(f"{name} must be a finite number above zero, got {value}")
    if not isinstance(dataset, UnbinnedDataset):
        raise InputError(f"only unbinned datasets can be compressed, got {type(dataset).__name__}")
    if dataset.backgrounds:
        raise InputError(
            f"dataset {dataset.name!r} has backgrounds, and events of several rates cannot be merged; use "
            "the dataset as it is"
        )


def _weighted(
    dataset: UnbinnedDataset, groups: gr.Groups, ratios: Real, sample: Sample, tolerance: float
) -> UnbinnedDataset:
    """Return the dataset of one event per group, (G, P), with weights that make it agree with all events."""
    weights = groups.weight.copy()
    if not groups.exact:
        kept = weights > 0
        logs = log_ratio(monomials(sample.points) @ ratios[kept].T)
        slopes, target = _slopes(dataset, sample, ratios[kept]), sample.log_sum(dataset)
        allowed = np.concatenate([sample.allowed, np.full(len(slopes), _AT_BEST)])
        weights[kept] = calibrate(
            np.concatenate([logs, slopes]),
            np.concatenate([target, sample.slope.reshape(-1)]),
            weights[kept],
            0.5 * _AIM * tolerance * allowed,  # of sum w log r, half of -2 log L
            np.concatenate([sample.held, np.zeros(len(slopes), dtype=bool)]),
        )
    return rebuild(dataset, ratios, weights, groups)


def _slopes(dataset: UnbinnedDataset, sample: Sample, ratios: Real) -> Real:
    """Return the derivatives of log r of events (G, P) at the minima, in the order of the sample, (M, G)."""
    form = Polynomial(dataset.operators, ratios)
    r = np.maximum(form.evaluate(sample.best), FLOOR)[..., None]  # (J, G, 1)
    first = form.gradient(sample.best) / r * sample.step
    second = form.hessian() / r[..., None] * np.outer(sample.step, sample.step)
    second = second - first[..., :, None] * first[..., None, :]
    rows = np.concatenate([first, second.reshape(*first.shape[:2], -1)], axis=-1)
    return np.asarray(np.moveaxis(rows, -1, 1).reshape(-1, len(ratios)))


def _metadata(
    dataset: UnbinnedDataset, small: UnbinnedDataset, certificate: Certificate, tolerance: float
) -> dict[str, Any]:
    """Return the metadata of the dataset and what was done to it."""
    metadata = dict(dataset.metadata)
    sums = metadata.pop("checksums", None)
    metadata["compression"] = {
        "events_before": len(dataset),
        "events_after": len(small),
        "tolerance": float(tolerance),
        "certificate": certificate.manifest(),
        "original_checksums": sums or _checksums(dataset),
        "dropped": [what for what in ("spread", "replicas") if getattr(dataset, what) is not None],
        "smeft_unbinned": __version__,
    }
    return metadata


def _checksums(dataset: UnbinnedDataset) -> dict[str, str]:
    """Return the checksums of the arrays of a dataset that is not of a file."""
    form = dataset.ratios
    ratios = form.factors if isinstance(form, SumOfSquares) else form.dense().coefficients
    arrays = {
        "ratios": ratios,
        "expected": dataset.expected.dense().coefficients,
        "weights": dataset.weights,
    }
    return {name: storage.checksum(np.asarray(array)) for name, array in arrays.items()}
