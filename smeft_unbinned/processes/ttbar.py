"""pp -> t tbar at leading order with stable tops: exact truth, samples and cross sections.

Every rate is an exact quadratic form in the fourteen coefficients of module `ttbar_couplings`, from
amplitudes of our own with explicit spinors (module `ttbar_amplitudes`). Rates are summed over what is not
observed: gluons and quark flavours (five), beam orderings, colours and helicities. The factorisation and
renormalisation scale are one; alpha_s is that of the densities, see `densities.strong_coupling`. Where it
appears in ratios to the SM it is the relative size of gluon fusion and four-quark operators that it changes,
not ctG.

Columns of phase-space points (features):

- m_tt, y_tt: mass (GeV) and rapidity along beam 1 of the t tbar system
- cos_theta_star: cosine of the angle between beam 1 and the top quark in the t tbar rest frame
- pt_t: transverse momentum of the top quark, GeV (not independent, and not needed by `truth`)

No CP-odd observable can be formed of the momenta of two stable top quarks, so that ctGI enters by its square.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, nearest
from ..events import Events
from ..polynomial import Polynomial
from ..progress import progress_bar
from . import sampling
from . import ttbar_couplings as tc
from . import ttbar_rates as tr
from .densities import Density, LesHouches
from .quadrature import integration_error
from .ttbar_cross_section import THRESHOLD, check_edges, integrate
from .ttbar_generate import Envelope, Points, Setup

Real = NDArray[np.float64]

OPERATORS = tc.OPERATORS
DEFAULT = tc.DEFAULT
SCALES = tr.SCALES
DEFAULT_SCALE = "m_t"
"""Factorisation and renormalisation scale unless another is asked for: the top mass."""
__all__ = [
    "DEFAULT",
    "DEFAULT_SCALE",
    "OPERATORS",
    "SCALES",
    "columns",
    "cross_section",
    "cross_section_error",
    "differential",
    "generate",
    "truth",
]

_COLUMNS = ("m_tt", "y_tt", "cos_theta_star", "pt_t")
_LOWEST = (THRESHOLD, -np.finfo(float).max, -1.0)
_HIGHEST = (np.finfo(float).max, np.finfo(float).max, 1.0)


def columns() -> tuple[str, ...]:
    """Names of the features, in order."""
    return _COLUMNS


def differential(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    energy: float = 13_000.0,
    operators: Iterable[str] = DEFAULT,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
) -> Polynomial:
    """d sigma/(dm dY dcos theta*) in pb/GeV at N phase-space points, batch (N,).

    points: columns of `columns()`, each (N,); the transverse momentum may be left out.
    energy: hadronic centre-of-mass energy in GeV. operators: any of OPERATORS, in TeV^-2.
    density: parton densities, the Les Houches set by default. scale: factorisation and renormalisation scale,
    one of SCALES or in GeV. Raises InputError for a missing column, an unknown operator and values out of
    range.
    """
    names, arrays, used = tc.check_operators(operators), _points(points), density or LesHouches()
    parts, start = [], 0
    for size in sampling.chunks(arrays.m.size):
        part = Points(*(column[start : start + size] for column in arrays))
        start += size
        parts.append(tr.rates(*part, energy=energy, operators=names, density=used, scale=scale))
    return Polynomial(names, np.concatenate(parts))


def truth(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    energy: float = 13_000.0,
    operators: Iterable[str] = DEFAULT,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
) -> Polynomial:
    """Ratio of the differential rate to the SM one at N phase-space points, batch (N,), constant 1.

    Arguments as for `differential`. Raises InputError also where the SM rate vanishes (a point outside phase
    space).
    """
    rate = differential(points, energy=energy, operators=operators, density=density, scale=scale)
    coefficients = np.asarray(rate.coefficients)
    bad = ~(coefficients[:, 0] > 0.0)
    if bad.any():
        raise InputError(
            f"the SM rate vanishes at {bad.sum()} points, the first is row {int(np.argmax(bad))}: "
            f"it lies outside the phase space of t tbar at {energy} GeV"
        )
    return Polynomial(rate.operators, coefficients / coefficients[:, :1])


def cross_section(
    *,
    energy: float = 13_000.0,
    operators: Iterable[str] = DEFAULT,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
    mass_edges: ArrayLike | None = None,
    mass_range: tuple[float, float] = (0.0, np.inf),
    pt_min: float = 0.0,
    order: int = 20,
) -> Polynomial:
    """Cross section in pb: no batch, or batch (B,) for bins in the mass of t tbar when `mass_edges` is given.

    mass_edges: (B + 1,) in GeV, the last may be infinite. mass_range: limits on the mass in GeV, without
    `mass_edges`. pt_min: lower cut on the transverse momentum of the top in GeV. order: Gauss-Legendre nodes
    per panel of the mass and in the angle; see `cross_section_error` for the accuracy.
    Raises InputError for unknown names and an empty selection.
    """
    edges = check_edges(mass_range if mass_edges is None else mass_edges)
    names = tc.check_operators(operators)
    packed = integrate(
        energy=energy, operators=names, density=density or LesHouches(), scale=scale, mass_edges=edges,
        pt_min=pt_min, order=order,
    )  # fmt: skip
    return Polynomial(names, packed[0] if mass_edges is None else packed)


def cross_section_error(*, order: int = 20, **options: Any) -> Real:
    """Relative integration error of `cross_section` with the same options: see `integration_error`."""
    return integration_error(cross_section, order, options)


def generate(
    n: int,
    *,
    energy: float = 13_000.0,
    operators: Iterable[str] = DEFAULT,
    seed: int,
    unweighted: bool = True,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
    pt_min: float = 0.0,
    mass_range: tuple[float, float] = (0.0, np.inf),
    tail: float | None = None,
    progress: bool = False,
) -> Events:
    """Draw n SM events of pp -> t tbar, each with its exact truth polynomial.

    unweighted: equal weights sigma/n by accept-reject; otherwise importance-sampled weights. Either way they
    sum to the quadrature cross section after cuts, `cross_section` of the result. pt_min: lower cut on the
    transverse momentum of the top in GeV. mass_range: limits on the mass in GeV. tail: weighted events
    oversample high masses by (m/threshold)^tail, 1.5 by default; unweighted ones cannot. The same arguments
    and `seed` give the same events. Raises InputError for an n below one, a tail in unweighted mode, unknown
    names and an empty selection.
    """
    if n < 1:
        raise InputError(f"the number of events must be at least 1, got {n}")
    if unweighted and tail:
        raise InputError(f"tail={tail} needs unweighted=False: unweighted events follow the SM rate")
    names, used = tc.check_operators(operators), density or LesHouches()
    power = 0.0 if unweighted else 1.5 if tail is None else float(tail)
    setup = Setup(float(energy), used, scale, float(pt_min), mass_range, power)
    options: dict[str, Any] = {"energy": energy, "operators": names, "density": used, "scale": scale}
    sigma = cross_section(**options, pt_min=pt_min, mass_range=mass_range)
    with progress_bar(progress) as bar:
        task = bar.add_task("t tbar events", total=n, note="")
        draw = sampling.unweighted if unweighted else sampling.weighted
        rng = np.random.default_rng(seed)
        sample = draw(n, Envelope(setup), rng, lambda done: bar.update(task, completed=done))
    frame = _frame(sample.points)
    weights = np.ones(n) if sample.weights is None else sample.weights
    weights = weights * (float(sigma.constant) / weights.sum())
    metadata = _metadata(setup, names, seed, sample, float(sigma.constant))
    metadata["scale"] = sampling.median(sample.points.m, weights)
    return Events(frame, truth(frame, **options), weights, sigma, metadata)


def _metadata(
    setup: Setup, names: tuple[str, ...], seed: int, sample: sampling.Sample[Points], sigma: float
) -> dict[str, Any]:
    return {
        "process": "ttbar",
        "description": "pp -> t tbar, stable top quarks, leading order",
        "energy": setup.energy,
        "seed": int(seed),
        "operators": list(names),
        "basis": "smeftatnlo",
        "input_scheme": dict(tc.INPUTS),
        **tc.CONVENTIONS,
        "density": setup.density.name,
        "factorisation_scale": setup.scale,
        "renormalisation_scale": setup.scale,
        "selection": {
            "pt_min": setup.pt_min,
            "mass_range": [float(m) if np.isfinite(m) else None for m in setup.mass_range],
        },
        "units": {
            "mass": "GeV",
            "pt": "GeV",
            "weights": "pb",
            "cross_section": "pb",
            "coefficients": "TeV^-2",
        },
        "weighted": sample.weights is not None,
        "tail": setup.tail,
        "efficiency": sample.efficiency,
        "sm_cross_section": sigma,
        "sm_cross_section_monte_carlo": [sample.estimate, sample.error],
    }


def _frame(points: Points) -> pd.DataFrame:
    k = 0.5 * points.m * tr.velocity(points.m)
    pt = k * np.sqrt((1.0 - points.cos) * (1.0 + points.cos))
    return pd.DataFrame(dict(zip(_COLUMNS, (*points, pt), strict=True)))


def _points(points: pd.DataFrame | Mapping[str, ArrayLike]) -> Points:
    """Columns as arrays (N,), checked."""
    names = _COLUMNS[:3]
    for name in names:
        if name not in points:
            raise InputError(
                f"t tbar points need the columns {', '.join(names)}; {name!r} is missing from "
                f"{', '.join(map(str, points))}.{nearest(name, map(str, points))}"
            )
    arrays = [np.atleast_1d(np.asarray(points[name], dtype=float)) for name in names]
    if len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1:
        raise InputError(
            f"columns must be one-dimensional and of one length, got {[a.shape for a in arrays]}"
        )
    for name, values, low, high in zip(names, arrays, _LOWEST, _HIGHEST, strict=True):
        if not np.all((values >= low) & (values <= high)):
            raise InputError(f"column {name!r} must lie in [{low:.6g}, {high:.6g}] and be finite")
    return Points(*arrays)
