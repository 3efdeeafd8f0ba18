"""Parton luminosities of VH production."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from . import vh_couplings as vc
from .collision import Collision

Real = NDArray[np.float64]

SCALES = ("m_v", "m_v+m_h", "m_vh", "half_m_vh")
"""Choices of the factorisation scale: m_V, m_V + m_H, the mass of VH, half the mass of VH."""


def scale_squared(m: Real, mass: float, scale: str | float) -> Real:
    """Squared factorisation scale (GeV^2) for VH masses `m` (GeV); `scale`: one of SCALES, or in GeV."""
    if not isinstance(scale, str):
        return np.full_like(m, float(scale) ** 2)
    if scale == "m_v":
        return np.full_like(m, mass**2)
    if scale == "m_vh":
        return np.asarray(m**2)
    if scale == "m_v+m_h":
        return np.full_like(m, (mass + vc.MH) ** 2)
    if scale == "half_m_vh":
        return np.asarray(0.25 * m**2)
    known = ", ".join(SCALES)
    raise InputError(
        f"unknown scale {scale!r}; use a value in GeV or one of {known}.{nearest(scale, SCALES)}"
    )


def luminosities(m: Real, y: Real, process: vc.Process, collision: Collision) -> Real:
    """d sigma/(dm dY) per partonic cross section, shape (2, 2, N), in GeV^-1.

    First axis: up and down type quarks (ZH) or W+ and W- (WH). Second axis: quark from beam 1, quark from
    beam 2. m, y: (N,) VH mass in GeV and rapidity. Zero where x > 1.
    """
    tau, density = m / collision.energy, collision.density
    x1, x2 = tau * np.exp(y), tau * np.exp(-y)
    inside = (x1 < 1.0) & (x2 < 1.0)
    q2 = scale_squared(m, process.mass, collision.scale)
    f1 = np.moveaxis(density.xf(np.where(inside, x1, 0.5), q2), -1, 0)
    f2 = np.moveaxis(density.xf(np.where(inside, x2, 0.5), q2), -1, 0)
    result = np.zeros((2, 2, m.size))
    if process.name == "ZH":
        for row, flavours in enumerate(((2, 4), (1, 3, 5))):
            for q in flavours:
                result[row, 0] += f1[5 + q] * f2[5 - q]
                result[row, 1] += f1[5 - q] * f2[5 + q]
    else:
        for i, up in enumerate((2, 4)):
            for j, down in enumerate((1, 3, 5)):
                result[0, 0] += vc.CKM2[i, j] * f1[5 + up] * f2[5 - down]
                result[0, 1] += vc.CKM2[i, j] * f1[5 - down] * f2[5 + up]
                result[1, 0] += vc.CKM2[i, j] * f1[5 + down] * f2[5 - up]
                result[1, 1] += vc.CKM2[i, j] * f1[5 - up] * f2[5 + down]
    return np.asarray(np.where(inside, result * (2.0 / m), 0.0))
