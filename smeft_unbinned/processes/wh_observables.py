"""Detector-level observables of pp -> WH, W -> l nu: transverse mass and the CP-odd charge-weighted angle.

The angle is that of Godbole et al. (arXiv:1306.2573), used for the CP violation search of arXiv:2308.02882:

    cos delta+ = p_l(W) . (p_H x p_W) / (|p_l(W)| |p_H x p_W|),

with the lepton momentum p_l(W) in the W rest frame and the others in the laboratory. In collinear kinematics
p_H + p_W is the momentum of the WH system along the beam, so that p_H x p_W is the normal of the production
plane, oriented by the direction of the boost: cos delta+ = sign(y_wh) sin(theta_l) sin(phi_l) in the angles
of `vh`. The boost points along the quark more often than along the antiquark, which orients the plane; W+ and
W- decay into leptons of opposite helicity, which the charge of the lepton, Q, undoes. So Q cos delta+ is odd
under CP, and its sign asymmetry is linear in cHWtil.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import InputError
from .vh_kinematics import boost, momenta

COLUMNS = ("pt_w", "m_t", "q_cos_delta")


def wh_observables(points: pd.DataFrame | Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Observables of N phase-space points of WH, columns COLUMNS.

    pt_w: transverse momentum of the W in GeV. m_t: transverse mass of lepton and neutrino in GeV,
    m_t^2 = 2 (pT_l pT_nu - pT_l . pT_nu). q_cos_delta: charge of the lepton times cos delta+, in [-1, 1].
    points: columns of `vh.columns("WH")`. Add them to a sample with `events.features.join(...)`.
    Raises InputError for a missing column.
    """
    for name in ("m_wh", "y_wh", "cos_theta_star", "cos_theta_l", "phi_l", "charge"):
        if name not in points:
            raise InputError(f"WH observables need the column {name!r}; got {', '.join(map(str, points))}")
    lepton, neutrino, higgs = momenta(points, process="WH")
    boson = lepton + neutrino
    transverse = np.hypot(lepton[:, 1], lepton[:, 2]) * np.hypot(neutrino[:, 1], neutrino[:, 2])
    product = lepton[:, 1] * neutrino[:, 1] + lepton[:, 2] * neutrino[:, 2]
    at_rest = boost(lepton, -boson[:, 1:] / boson[:, :1])[:, 1:]
    normal = np.cross(higgs[:, 1:], boson[:, 1:])
    size = np.linalg.norm(at_rest, axis=1) * np.linalg.norm(normal, axis=1)
    cosine = np.sum(at_rest * normal, axis=1) / size
    values = (
        np.hypot(boson[:, 1], boson[:, 2]),
        np.sqrt(np.maximum(2.0 * (transverse - product), 0.0)),
        np.asarray(points["charge"], dtype=float) * cosine,
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
