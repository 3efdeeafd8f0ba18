"""What all processes do alike: check phase-space points, form ratios, draw events and describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import InputError, nearest
from ..events import Events
from ..polynomial import Polynomial
from ..progress import progress_bar
from . import sampling
from .collision import Setup
from .sampling import P, Proposer, Real, Sample

UNITS = {"mass": "GeV", "pt": "GeV", "weights": "pb", "cross_section": "pb", "coefficients": "TeV^-2"}


def check_count(n: int) -> None:
    """Raise InputError for a number of events below one."""
    if n < 1:
        raise InputError(f"the number of events must be at least 1, got {n}")


def check_columns(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    limits: Mapping[str, tuple[float, float]],
    process: str,
) -> list[Real]:
    """Return the columns that `limits` names, each (N,).

    limits: the smallest and largest value of each column; `process` is named in messages. Raises InputError
    for a missing column, other shapes, and values that are not finite or out of range.
    """
    for name in limits:
        if name not in points:
            raise InputError(
                f"{process} points need the columns {', '.join(limits)}; {name!r} is missing from "
                f"{', '.join(map(str, points))}.{nearest(name, map(str, points))}"
            )
    arrays = [np.atleast_1d(np.asarray(points[name], dtype=float)) for name in limits]
    if len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1:
        raise InputError(
            f"columns must be one-dimensional and of one length, got {[a.shape for a in arrays]}"
        )
    for (name, (low, high)), values in zip(limits.items(), arrays, strict=True):
        if not np.all((values >= low) & (values <= high)):
            raise InputError(f"column {name!r} must lie in [{low:.6g}, {high:.6g}] and be finite")
    return arrays


def ratio(rate: Polynomial, where: str) -> Polynomial:
    """Return the rates (N,) over the SM ones; raise InputError where one of these is not positive.

    where: process and energy, for the message.
    """
    coefficients = np.asarray(rate.coefficients)
    bad = ~(coefficients[:, 0] > 0.0)
    if bad.any():
        raise InputError(
            f"the SM rate vanishes at {bad.sum()} points, the first is row {int(np.argmax(bad))}: "
            f"it lies outside the phase space of {where}"
        )
    return Polynomial(rate.operators, coefficients / coefficients[:, :1])


def draw(n: int, proposer: Proposer[P], setup: Setup, *, seed: int, process: str) -> Sample[P]:
    """Draw n points as `setup` says, with a progress bar that names the process."""
    check_count(n)
    method = sampling.unweighted if setup.unweighted else sampling.weighted
    with progress_bar(setup.progress) as bar:
        task = bar.add_task(f"{process} events", total=n, note="")
        rng = np.random.default_rng(seed)
        return method(n, proposer, rng, lambda done: bar.update(task, completed=done))


def events(
    frame: pd.DataFrame,
    truth: Polynomial,
    sigma: Polynomial,
    sample: Sample[Any],
    metadata: Mapping[str, Any],
) -> Events:
    """Return the events of a sample, with weights in pb that sum to the SM cross section.

    The first column of the sample's points is the mass; its median becomes the scale in the metadata.
    """
    weights = np.ones(len(frame)) if sample.weights is None else sample.weights
    weights = weights * (float(sigma.constant) / weights.sum())
    scale = sampling.median(sample.points[0], weights)
    return Events(frame, truth, weights, sigma, {**metadata, "scale": scale})


def describe(setup: Setup, seed: int, sample: Sample[Any], sigma: Polynomial) -> dict[str, Any]:
    """Return the metadata that the samples of all processes have in common."""
    return {
        "energy": float(setup.energy),
        "seed": int(seed),
        "operators": list(setup.operators),
        "density": setup.density.name,
        "factorisation_scale": setup.scale,
        "selection": {
            "pt_min": float(setup.pt_min),
            "mass_range": [float(m) if np.isfinite(m) else None for m in setup.mass_range],
        },
        "units": dict(UNITS),
        "weighted": sample.weights is not None,
        "tail": setup.power,
        "efficiency": sample.efficiency,
        "sm_cross_section": float(sigma.constant),
        "sm_cross_section_monte_carlo": [sample.estimate, sample.error],
    }
