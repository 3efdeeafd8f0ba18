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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..events import Events
from ..polynomial import Polynomial
from . import ttbar_couplings as tc
from . import ttbar_rates as tr
from .collision import (
    Collision,
    CollisionOptions,
    SampleOptions,
    Selection,
    SelectionOptions,
    Setup,
    Standard,
)
from .quadrature import ORDER, integration_error
from .sample import check_columns, describe, draw, events, ratio
from .sampling import in_chunks
from .ttbar_cross_section import THRESHOLD, integrate
from .ttbar_generate import Envelope, Points

if TYPE_CHECKING:
    from typing_extensions import Unpack

Real = NDArray[np.float64]

HADRONIC = True
OPERATORS = tc.OPERATORS
DEFAULT = tc.DEFAULT
SCALES = tr.SCALES
DEFAULT_SCALE = "m_t"
"""Factorisation and renormalisation scale unless another is asked for: the top mass."""
STANDARD = Standard("t tbar", OPERATORS, {"operators": DEFAULT, "energy": 13_000.0, "scale": DEFAULT_SCALE})
"""What t tbar takes for options that are left out."""
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
_LARGEST = float(np.finfo(float).max)
_LIMITS = {"m_tt": (THRESHOLD, _LARGEST), "y_tt": (-_LARGEST, _LARGEST), "cos_theta_star": (-1.0, 1.0)}


def columns() -> tuple[str, ...]:
    """Names of the features, in order."""
    return _COLUMNS


def differential(
    points: pd.DataFrame | Mapping[str, ArrayLike], **options: Unpack[CollisionOptions]
) -> Polynomial:
    """d sigma/(dm dY dcos theta*) in pb/GeV at N phase-space points, batch (N,).

    points: columns of `columns()`, each (N,); the transverse momentum may be left out.
    options: see `CollisionOptions`. Raises InputError for a missing column, an unknown operator and values
    out of range.
    """
    return _differential(points, Collision.of(options, STANDARD))


def truth(points: pd.DataFrame | Mapping[str, ArrayLike], **options: Unpack[CollisionOptions]) -> Polynomial:
    """Ratio of the differential rate to the SM one at N phase-space points, batch (N,), constant 1.

    Arguments as for `differential`. Raises InputError also where the SM rate vanishes (a point outside phase
    space).
    """
    return _truth(points, Collision.of(options, STANDARD))


def cross_section(
    *, mass_edges: ArrayLike | None = None, order: int = ORDER, **options: Unpack[SelectionOptions]
) -> Polynomial:
    """Cross section in pb: no batch, or batch (B,) for bins in the mass of t tbar when `mass_edges` is given.

    mass_edges: (B + 1,) in GeV, the last may be infinite; in place of the option mass_range.
    order: Gauss-Legendre nodes per panel of the mass and in the angle; see `cross_section_error` for the
    accuracy.
    options: see `SelectionOptions`. Raises InputError for unknown names, an empty selection, and mass_edges
    together with mass_range.
    """
    selection = Selection.of(options, STANDARD)
    if mass_edges is None:
        return Polynomial(selection.operators, integrate(selection, selection.mass_range, order)[0])
    if options.get("mass_range") is not None:
        raise InputError(
            f"give mass_edges or mass_range={selection.mass_range}, not both: the outer edges are the limits"
        )
    return Polynomial(selection.operators, integrate(selection, mass_edges, order))


def cross_section_error(*, order: int = ORDER, **options: Any) -> Real:
    """Relative integration error of `cross_section` with the same options: see `integration_error`."""
    return integration_error(cross_section, order, options)


def generate(n: int, *, seed: int, **options: Unpack[SampleOptions]) -> Events:
    """Draw n SM events of pp -> t tbar, each with its exact truth polynomial.

    options: see `SampleOptions`. Either way the weights sum to the quadrature cross section after cuts,
    `cross_section` of the result. The same arguments and `seed` give the same events. Raises InputError for
    an n below one, a tail in unweighted mode, unknown names and an empty selection.
    """
    setup = Setup.of(options, STANDARD)
    sigma = Polynomial(setup.operators, integrate(setup, setup.mass_range, ORDER)[0])
    sample = draw(n, Envelope(setup), setup, seed=seed, process="t tbar")
    frame = _frame(sample.points)
    metadata = {
        "process": "ttbar",
        "description": "pp -> t tbar, stable top quarks, leading order",
        "basis": "smeftatnlo",
        "input_scheme": dict(tc.INPUTS),
        "renormalisation_scale": setup.scale,
        **tc.CONVENTIONS,
        **describe(setup, seed, sample, sigma),
    }
    return events(frame, _truth(frame, setup), sigma, sample, metadata)


def _differential(points: pd.DataFrame | Mapping[str, ArrayLike], collision: Collision) -> Polynomial:
    def rates(part: Points) -> Real:
        return tr.rates(
            *part, energy=collision.energy, operators=collision.operators, density=collision.density,
            scale=collision.scale,
        )  # fmt: skip

    arrays = Points(*check_columns(points, _LIMITS, "t tbar"))
    return Polynomial(collision.operators, in_chunks(arrays, rates))


def _truth(points: pd.DataFrame | Mapping[str, ArrayLike], collision: Collision) -> Polynomial:
    return ratio(_differential(points, collision), f"t tbar at {collision.energy} GeV")


def _frame(points: Points) -> pd.DataFrame:
    k = 0.5 * points.m * tr.velocity(points.m)
    pt = k * np.sqrt((1.0 - points.cos) * (1.0 + points.cos))
    return pd.DataFrame(dict(zip(_COLUMNS, (*points, pt), strict=True)))
