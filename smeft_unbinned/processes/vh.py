"""pp -> VH with V -> leptons at leading order: exact truth, samples and cross sections.

Every rate is an exact quadratic form in sixteen Wilson coefficients (module `vh_couplings`), from helicity
amplitudes of our own (module `vh_kernels`); the input scheme and conventions go into the metadata of every
sample. Rates are summed over what is not observed: quark flavours, beam orderings and helicities. Branching
fractions are not included.

Columns of phase-space points (features), for ZH with Z -> l+ l-:

- m_zh: mass of Z and H, GeV; y_zh: their rapidity along beam 1
- cos_theta_star: cosine of the angle between beam 1 and Z in the ZH rest frame
- cos_theta_l, phi_l: direction of the negative lepton in the Z rest frame with z along the Z momentum in the
  ZH frame,
  y along beam 1 x Z, and x = y x z; phi in (-pi, pi]
- pt_z: transverse momentum of Z, GeV (not independent, and not needed by `truth`)

For WH: m_wh, y_wh, ..., pt_w, the charged lepton in place of the negative one, and its charge in column
`charge`.
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
from . import vh_couplings as vc
from . import vh_generate as vg
from . import vh_kernels as kernels
from .densities import Density, LesHouches
from .quadrature import integration_error
from .vh_cross_section import check_edges, integrate
from .vh_luminosity import SCALES

Real = NDArray[np.float64]

DEFAULT = vc.DEFAULT
OPERATORS = vc.OPERATORS
DEFAULT_SCALE = "m_v"
"""Factorisation scale unless another is asked for: the mass of V."""
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


def columns(process: str = "ZH") -> tuple[str, ...]:
    """Names of the features of `process` ("ZH" or "WH"), in order."""
    boson = vc.process(process).boson
    names = (f"m_{boson}h", f"y_{boson}h", "cos_theta_star", "cos_theta_l", "phi_l", f"pt_{boson}")
    return names if process == "ZH" else (*names, "charge")


def differential(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    process: str = "ZH",
    energy: float = 14_000.0,
    operators: Iterable[str] = DEFAULT,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
) -> Polynomial:
    """d sigma/(dm dY dcos theta* dcos theta_l dphi) in pb/GeV at N phase-space points, batch (N,).

    points: columns of `columns(process)`, each (N,); the transverse momentum may be left out.
    energy: hadronic centre-of-mass energy in GeV. operators: any of OPERATORS, in TeV^-2.
    density: parton densities, the Les Houches set by default. scale: factorisation scale, one of SCALES or in
    GeV. Raises InputError for a missing column, an unknown operator and values outside their range.
    """
    chosen, names = vc.process(process), vc.check_operators(operators)
    arrays = _points(points, process)
    parts, start = [], 0
    for size in sampling.chunks(arrays.m.size):
        part = vg.Points(*(column[start : start + size] for column in arrays))
        start += size
        parts.append(
            vg.rates(
                part, process=chosen, energy=energy, operators=names, density=density or LesHouches(),
                scale=scale,
            )
        )  # fmt: skip
    return Polynomial(names, np.concatenate(parts))


def truth(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    process: str = "ZH",
    energy: float = 14_000.0,
    operators: Iterable[str] = DEFAULT,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
) -> Polynomial:
    """Ratio of the differential rate to the SM one at N phase-space points, batch (N,), constant 1.

    Arguments as for `differential`. Raises InputError also where the SM rate vanishes (a point outside phase
    space).
    """
    rate = differential(
        points, process=process, energy=energy, operators=operators, density=density, scale=scale
    )
    constant = np.asarray(rate.constant)
    if not np.all(constant > 0.0):
        index = int(np.flatnonzero(~(constant > 0.0))[0])
        raise InputError(
            f"the SM rate vanishes at {np.sum(~(constant > 0.0))} points, the first is row {index}: "
            f"it lies outside the phase space of {process} at {energy} GeV"
        )
    return _ratio(rate)


def cross_section(
    *,
    process: str = "ZH",
    energy: float = 14_000.0,
    operators: Iterable[str] = DEFAULT,
    density: Density | None = None,
    scale: str | float = DEFAULT_SCALE,
    pt_edges: ArrayLike | None = None,
    mass_range: tuple[float, float] = (0.0, np.inf),
    order: int = 20,
) -> Polynomial:
    """Cross section in pb: no batch, or batch (B,) for bins in the transverse momentum of V when `pt_edges`
    is given.

    pt_edges: (B + 1,) in GeV, the last may be infinite. mass_range: limits on the VH mass in GeV.
    order: Gauss-Legendre nodes per panel; see `cross_section_error` for the accuracy.
    Raises InputError for unknown names and an empty selection.
    """
    edges = check_edges((0.0, np.inf) if pt_edges is None else pt_edges)
    names = vc.check_operators(operators)
    packed = integrate(
        process=vc.process(process), energy=energy, operators=names, density=density or LesHouches(),
        scale=scale, pt_edges=edges, mass_range=mass_range, order=order,
    )  # fmt: skip
    return Polynomial(names, packed[0] if pt_edges is None else packed)


def cross_section_error(*, order: int = 20, **options: Any) -> Real:
    """Relative integration error of `cross_section` with the same options: see `integration_error`."""
    return integration_error(cross_section, order, options)


def generate(
    n: int,
    *,
    process: str = "ZH",
    energy: float = 14_000.0,
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
    """Draw n SM events of pp -> VH, each with its exact truth polynomial.

    unweighted: equal weights sigma/n by accept-reject; otherwise importance-sampled weights. Their sum
    is the cross section. pt_min: lower cut on the transverse momentum of V in GeV. mass_range: limits
    on the VH mass in GeV. tail: weighted events oversample high masses by (m/threshold)^tail, 1.5 by default;
    unweighted ones cannot. The same arguments and `seed` give the same events. `cross_section` of the result
    is the quadrature, after cuts. Raises InputError for an n below one, a tail in unweighted mode, unknown
    names and an empty selection.
    """
    if n < 1:
        raise InputError(f"the number of events must be at least 1, got {n}")
    if unweighted and tail:
        raise InputError(f"tail={tail} needs unweighted=False: unweighted events follow the SM rate")
    chosen, names, used = vc.process(process), vc.check_operators(operators), density or LesHouches()
    power = 0.0 if unweighted else 1.5 if tail is None else float(tail)
    setup = vg.Setup(chosen, float(energy), used, scale, float(pt_min), mass_range, power)
    options: dict[str, Any] = {
        "process": process, "energy": energy, "operators": names, "density": used, "scale": scale,
        "pt_edges": (pt_min, np.inf), "mass_range": mass_range,
    }  # fmt: skip
    sigma = Polynomial(names, np.asarray(cross_section(**options).coefficients)[0])
    with progress_bar(progress) as bar:
        task = bar.add_task(f"{process} events", total=n, note="")
        draw = sampling.unweighted if unweighted else sampling.weighted
        rng = np.random.default_rng(seed)
        sample = draw(n, vg.Envelope(setup), rng, lambda done: bar.update(task, completed=done))
    frame = _frame(sample.points, process)
    ratio = truth(frame, process=process, energy=energy, operators=names, density=used, scale=scale)
    weights = np.ones(n) if sample.weights is None else sample.weights
    weights = weights * (float(sigma.constant) / weights.sum())
    metadata = _metadata(setup, names, seed, sample, float(sigma.constant))
    metadata["scale"] = sampling.median(sample.points.m, weights)
    return Events(frame, ratio, weights, sigma, metadata)


def _metadata(
    setup: vg.Setup, names: tuple[str, ...], seed: int, sample: sampling.Sample[vg.Points], sigma: float
) -> dict[str, Any]:
    return {
        "process": setup.process.name,
        "description": "pp -> VH, V -> leptons, leading order; branching fractions are not included",
        "energy": setup.energy,
        "seed": int(seed),
        "operators": list(names),
        "input_scheme": dict(vc.INPUTS),
        "basis": "warsaw",
        "ckm_squared": vc.CKM2.tolist(),
        **vc.CONVENTIONS,
        "density": setup.density.name,
        "factorisation_scale": setup.scale,
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


def _ratio(rate: Polynomial) -> Polynomial:
    coefficients = np.asarray(rate.coefficients)
    return Polynomial(rate.operators, coefficients / coefficients[:, :1])


def _frame(points: vg.Points, process: str) -> pd.DataFrame:
    k = kernels.momentum(points.m, vc.process(process).mass)[1]
    pt = k * np.sqrt((1.0 - points.cos) * (1.0 + points.cos))
    values = [points.m, points.y, points.cos, points.cos_l, points.phi, pt, points.charge]
    return pd.DataFrame(dict(zip(columns(process), values, strict=False)))


def _points(points: pd.DataFrame | Mapping[str, ArrayLike], process: str) -> vg.Points:
    """Columns as arrays (N,), checked."""
    names = [name for name in columns(process) if not name.startswith("pt_")]
    for name in names:
        if name not in points:
            raise InputError(
                f"{process} points need the columns {', '.join(names)}; {name!r} is missing from "
                f"{', '.join(map(str, points))}.{nearest(name, map(str, points))}"
            )
    arrays = [np.atleast_1d(np.asarray(points[name], dtype=float)) for name in names]
    if len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1:
        raise InputError(
            f"columns must be one-dimensional and of one length, got {[a.shape for a in arrays]}"
        )
    for name, values, low, high in zip(names, arrays, _lowest(process), _HIGHEST, strict=False):
        if not np.all((values >= low) & (values <= high)):
            raise InputError(f"column {name!r} must lie in [{low:.6g}, {high:.6g}] and be finite")
    if process == "WH":
        if not np.all(np.abs(arrays[5]) == 1.0):
            raise InputError("column 'charge' must be +1 or -1")
    else:
        arrays.append(np.ones_like(arrays[0]))
    return vg.Points(*arrays)


_HIGHEST = (np.finfo(float).max, np.finfo(float).max, 1.0, 1.0, 2.0 * np.pi)


def _lowest(process: str) -> tuple[float, ...]:
    return (vc.process(process).mass + vc.MH, -np.finfo(float).max, -1.0, -1.0, -2.0 * np.pi)
