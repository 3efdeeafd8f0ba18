"""A simple detector: features of events smeared by Gaussian resolutions, truth labels kept.

After smearing, the truth polynomial of an event is a label R(z|c) of the point z before the detector, no
longer the ratio r(x|c) of the observed features x. The mean of R over the events at one x is r there, r(x|c)
= E[R(z|c)|x], so that a regression of the labels on the smeared features still learns r; but the labels must
not be used as r themselves, for instance to export an exact likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, nearest
from ..events import Events

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Resolution:
    """Width of the noise on one feature of value E: E (stochastic/sqrt(|E|) + constant) + absolute.

    stochastic: in GeV^(1/2). constant: relative. absolute: in the units of the feature, for angles and the
    like. limits: a smeared value beyond them is reflected back, for instance (-1, 1) for a cosine, (0, inf)
    for a momentum. period: a smeared value is moved into [-period/2, period/2), for instance 2 pi for an
    azimuth.
    """

    stochastic: float = 0.0
    constant: float = 0.0
    absolute: float = 0.0
    limits: tuple[float, float] | None = None
    period: float | None = None

    def __post_init__(self) -> None:
        for name in ("stochastic", "constant", "absolute"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} of a resolution must be zero or above and finite, got {value}")
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise InputError(f"limits of a resolution must be (low, high) with low < high, got {self.limits}")
        if self.period is not None and not self.period > 0.0:
            raise InputError(f"the period of a resolution must be positive, got {self.period}")
        if self.period is not None and self.limits is not None:
            raise InputError("a resolution has either limits or a period, not both")

    def width(self, values: Real) -> Real:
        """Standard deviation of the noise at values (N,) of the feature."""
        size = np.abs(values)
        return np.asarray(self.stochastic * np.sqrt(size) + self.constant * size + self.absolute)

    def apply(self, values: Real, rng: np.random.Generator) -> Real:
        """Return values (N,) with noise, brought back into limits or period."""
        smeared = values + self.width(values) * rng.normal(size=values.shape)
        if self.period is not None:
            return np.asarray((smeared + 0.5 * self.period) % self.period - 0.5 * self.period)
        return smeared if self.limits is None else _reflect(smeared, *self.limits)


def _reflect(values: Real, low: float, high: float) -> Real:
    if np.isfinite(high) and np.isfinite(low):
        folded = (values - low) % (2.0 * (high - low))
        return np.asarray(low + np.minimum(folded, 2.0 * (high - low) - folded))
    return np.asarray(
        np.where(values < low, 2.0 * low - values, np.where(values > high, 2.0 * high - values, values))
    )


def _columns(events: Events) -> list[Real]:
    return list(events.features.to_numpy(float).T)


def smear(events: Events, resolutions: Mapping[str, Resolution], seed: int, copies: int = 1) -> Events:
    """Return events with the named features smeared independently; sigma(c) is unchanged.

    copies: every event enters so many times, each with its own noise and its weight divided by `copies`; the
    copies of one event stand together. Features without a resolution stay exact. The truth stays that of the
    event before the detector: see the module. Features that depend on one another, such as a mass and a
    transverse momentum, are smeared as if they were measured apart.
    Raises InputError for an unknown feature and for less than one copy.
    """
    if copies < 1:
        raise InputError(f"the number of copies must be at least 1, got {copies}")
    for name in resolutions:
        if name not in events.features:
            known = ", ".join(events.features.columns)
            raise InputError(
                f"unknown feature {name!r}; known are {known}.{nearest(name, events.features.columns)}"
            )
    index = np.repeat(np.arange(len(events)), copies)
    rng = np.random.default_rng(seed)
    columns: dict[str, Real] = {
        name: resolutions[name].apply(column[index], rng) if name in resolutions else column[index]
        for name, column in zip(map(str, events.features), _columns(events), strict=True)
    }
    metadata = {
        **events.metadata,
        "smearing": {
            "resolutions": {name: asdict(resolution) for name, resolution in resolutions.items()},
            "seed": int(seed),
            "copies": int(copies),
        },
        "truth": "label of the event before the detector, R(z)",
    }
    return Events(
        pd.DataFrame(columns),
        None if events.truth is None else events.truth[index],
        np.asarray(events.weights)[index] / copies,
        events.cross_section,
        metadata,
    )
