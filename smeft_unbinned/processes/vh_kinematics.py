"""Four-momenta of VH events and the features that `vh` uses, in both directions.

Conventions of the angles: see `vh`. Momenta are (E, px, py, pz) in GeV in the laboratory, beam 1 along +z.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from . import vh_couplings as vc
from . import vh_kernels as kernels

Real = NDArray[np.float64]


def boost(p: Real, velocity: Real) -> Real:
    """Momenta `p` (N, 4) after a boost by `velocity` (N, 3): a particle at rest gains `velocity`."""
    beta2 = np.sum(velocity**2, axis=1, keepdims=True)
    gamma = 1.0 / np.sqrt(1.0 - beta2)
    parallel = np.sum(velocity * p[:, 1:], axis=1, keepdims=True)
    factor = gamma**2 / (gamma + 1.0)
    space = p[:, 1:] + velocity * (factor * parallel + gamma * p[:, :1])
    return np.concatenate([gamma * (p[:, :1] + parallel), space], axis=1)


def _velocity(p: Real) -> Real:
    return np.asarray(p[:, 1:] / p[:, :1])


def features(lepton: Real, antilepton: Real, higgs: Real, *, process: str = "ZH") -> pd.DataFrame:
    """Features of N events from the momenta (N, 4) of the V decay products and of the Higgs boson.

    lepton: for ZH the negative lepton, for WH the charged one; antilepton: its partner (the neutrino for WH).
    For WH the column `charge` is not included, since momenta do not tell it. Masses are taken as they come.
    """
    boson = lepton + antilepton
    total = boson + higgs
    mass = np.sqrt(_square(total))
    rapidity = np.arctanh(total[:, 3] / total[:, 0])
    v = boost(boson, -_velocity(total))
    light = boost(boost(lepton, -_velocity(total)), -_velocity(v))
    z = v[:, 1:] / np.linalg.norm(v[:, 1:], axis=1, keepdims=True)
    beam1 = boost(np.tile([1.0, 0.0, 0.0, 1.0], (len(total), 1)), -_velocity(total))[:, 1:]
    beam2 = boost(np.tile([1.0, 0.0, 0.0, -1.0], (len(total), 1)), -_velocity(total))[:, 1:]
    axis = beam1 / np.linalg.norm(beam1, axis=1, keepdims=True)
    axis = axis - beam2 / np.linalg.norm(
        beam2, axis=1, keepdims=True
    )  # Collins-Soper axis; beam 1 if pT(VH) = 0
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    y = np.cross(axis, z)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    x = np.cross(y, z)
    direction = light[:, 1:] / np.linalg.norm(light[:, 1:], axis=1, keepdims=True)
    suffix = vc.process(process).boson
    return pd.DataFrame(
        {
            f"m_{suffix}h": mass,
            f"y_{suffix}h": rapidity,
            "cos_theta_star": np.clip(_dot(axis, z), -1.0, 1.0),
            "cos_theta_l": np.clip(_dot(direction, z), -1.0, 1.0),
            "phi_l": np.arctan2(_dot(direction, y), _dot(direction, x)),
            f"pt_{suffix}": np.hypot(boson[:, 1], boson[:, 2]),
        }
    )


def momenta(
    points: pd.DataFrame | Mapping[str, ArrayLike], *, process: str = "ZH", azimuth: ArrayLike = 0.0
) -> tuple[Real, Real, Real]:
    """Momenta (N, 4) of lepton, antilepton and Higgs boson; the inverse of `features` for on-shell V and H.

    azimuth: angle of the V direction around the beam, which the features leave free.
    """
    chosen = vc.process(process)
    names = [f"m_{chosen.boson}h", f"y_{chosen.boson}h", "cos_theta_star", "cos_theta_l", "phi_l"]
    m, y, cos, cos_l, phi = (np.asarray(points[name], dtype=float) for name in names)
    energy, k = kernels.momentum(m, chosen.mass)
    sin, sin_l = np.sqrt(1.0 - cos**2), np.sqrt(1.0 - cos_l**2)
    turn = np.broadcast_to(np.asarray(azimuth, dtype=float), m.shape)
    z_axis = np.stack([sin * np.cos(turn), sin * np.sin(turn), cos], axis=1)
    y_axis = np.stack([-np.sin(turn), np.cos(turn), 0.0 * cos], axis=1)
    x_axis = np.cross(y_axis, z_axis)
    direction = (sin_l * np.cos(phi))[:, None] * x_axis + (sin_l * np.sin(phi))[:, None] * y_axis
    direction = direction + cos_l[:, None] * z_axis
    half = np.full((m.size, 1), 0.5 * chosen.mass)
    along = np.zeros((m.size, 3))
    along[:, 2] = np.tanh(y)

    def to_lab(p: Real) -> Real:
        return boost(boost(p, (k / energy)[:, None] * z_axis), along)

    lepton, antilepton = (to_lab(np.concatenate([half, s * half * direction], axis=1)) for s in (1.0, -1.0))
    higgs = np.concatenate([(m - energy)[:, None], -k[:, None] * z_axis], axis=1)
    return lepton, antilepton, boost(higgs, along)


def _square(p: Real) -> Real:
    return np.asarray(p[:, 0] ** 2 - np.sum(p[:, 1:] ** 2, axis=1))


def _dot(a: Real, b: Real) -> Real:
    return np.asarray(np.sum(a * b, axis=1))
