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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..events import Events
from ..polynomial import Polynomial
from . import vh_couplings as vc
from . import vh_generate as vg
from . import vh_kernels as kernels
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
from .vh_cross_section import integrate
from .vh_luminosity import SCALES

if TYPE_CHECKING:
    from typing_extensions import Unpack

Real = NDArray[np.float64]

DEFAULT = vc.DEFAULT
OPERATORS = vc.OPERATORS
DEFAULT_SCALE = "m_v"
"""Factorisation scale unless another is asked for: the mass of V."""
STANDARD = Standard("VH", OPERATORS, {"operators": DEFAULT, "energy": 14_000.0, "scale": DEFAULT_SCALE})
"""What VH takes for options that are left out."""
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
    **options: Unpack[CollisionOptions],
) -> Polynomial:
    """d sigma/(dm dY dcos theta* dcos theta_l dphi) in pb/GeV at N phase-space points, batch (N,).

    points: columns of `columns(process)`, each (N,); the transverse momentum may be left out.
    options: see `CollisionOptions`. Raises InputError for a missing column, an unknown operator and values
    outside their range.
    """
    return _differential(points, process, Collision.of(options, STANDARD))


def truth(
    points: pd.DataFrame | Mapping[str, ArrayLike],
    *,
    process: str = "ZH",
    **options: Unpack[CollisionOptions],
) -> Polynomial:
    """Ratio of the differential rate to the SM one at N phase-space points, batch (N,), constant 1.

    Arguments as for `differential`. Raises InputError also where the SM rate vanishes (a point outside phase
    space).
    """
    return _truth(points, process, Collision.of(options, STANDARD))


def cross_section(
    *,
    process: str = "ZH",
    pt_edges: ArrayLike | None = None,
    order: int = ORDER,
    **options: Unpack[SelectionOptions],
) -> Polynomial:
    """Cross section in pb: no batch, or batch (B,) for bins in the transverse momentum of V when `pt_edges`
    is given.

    pt_edges: (B + 1,) in GeV, the last may be infinite; in place of the option pt_min.
    order: Gauss-Legendre nodes per panel; see `cross_section_error` for the accuracy.
    options: see `SelectionOptions`. Raises InputError for unknown names, an empty selection, and pt_edges
    together with pt_min.
    """
    chosen, selection = vc.process(process), Selection.of(options, STANDARD)
    if pt_edges is None:
        return Polynomial(
            selection.operators, integrate(chosen, selection, (selection.pt_min, np.inf), order)[0]
        )
    if selection.pt_min:
        raise InputError(f"give pt_edges or pt_min={selection.pt_min}, not both: the first edge is the cut")
    return Polynomial(selection.operators, integrate(chosen, selection, pt_edges, order))


def cross_section_error(*, order: int = ORDER, **options: Any) -> Real:
    """Relative integration error of `cross_section` with the same options: see `integration_error`."""
    return integration_error(cross_section, order, options)


def generate(n: int, *, seed: int, process: str = "ZH", **options: Unpack[SampleOptions]) -> Events:
    """Draw n SM events of pp -> VH, each with its exact truth polynomial.

    options: see `SampleOptions`. Either way the weights sum to the quadrature cross section after cuts,
    `cross_section` of the result. The same arguments and `seed` give the same events. Raises InputError for
    an n below one, a tail in unweighted mode, unknown names and an empty selection.
    """
    chosen, setup = vc.process(process), Setup.of(options, STANDARD)
    sigma = Polynomial(setup.operators, integrate(chosen, setup, (setup.pt_min, np.inf), ORDER)[0])
    sample = draw(n, vg.Envelope(chosen, setup), setup, seed=seed, process=process)
    frame = _frame(sample.points, process)
    metadata = {
        "process": chosen.name,
        "description": "pp -> VH, V -> leptons, leading order; branching fractions are not included",
        "input_scheme": dict(vc.INPUTS),
        "basis": "warsaw",
        "ckm_squared": vc.CKM2.tolist(),
        **vc.CONVENTIONS,
        **describe(setup, seed, sample, sigma),
    }
    return events(frame, _truth(frame, process, setup), sigma, sample, metadata)


def _differential(
    points: pd.DataFrame | Mapping[str, ArrayLike], process: str, collision: Collision
) -> Polynomial:
    chosen = vc.process(process)
    packed = in_chunks(_points(points, process), lambda part: vg.rates(part, chosen, collision))
    return Polynomial(collision.operators, packed)


def _truth(points: pd.DataFrame | Mapping[str, ArrayLike], process: str, collision: Collision) -> Polynomial:
    return ratio(_differential(points, process, collision), f"{process} at {collision.energy} GeV")


def _frame(points: vg.Points, process: str) -> pd.DataFrame:
    k = kernels.momentum(points.m, vc.process(process).mass)[1]
    pt = k * np.sqrt((1.0 - points.cos) * (1.0 + points.cos))
    values = [points.m, points.y, points.cos, points.cos_l, points.phi, pt, points.charge]
    return pd.DataFrame(dict(zip(columns(process), values, strict=False)))


def _points(points: pd.DataFrame | Mapping[str, ArrayLike], process: str) -> vg.Points:
    """Columns as arrays (N,), checked."""
    largest = float(np.finfo(float).max)
    limits = [
        (vc.process(process).mass + vc.MH, largest), (-largest, largest), (-1.0, 1.0), (-1.0, 1.0),
        (-2.0 * np.pi, 2.0 * np.pi), (-largest, largest),
    ]  # fmt: skip
    names = [name for name in columns(process) if not name.startswith("pt_")]
    arrays = check_columns(points, dict(zip(names, limits, strict=False)), process)
    if process == "ZH":
        arrays.append(np.ones_like(arrays[0]))
    elif not np.all(np.abs(arrays[5]) == 1.0):
        raise InputError("column 'charge' must be +1 or -1")
    return vg.Points(*arrays)
