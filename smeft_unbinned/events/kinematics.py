"""Kinematic functions of four-momenta, vectorised over any leading dimensions.

A four-momentum is an array (..., 4) of (px, py, pz, E) in GeV with the beam along z; every function
returns an array (...). Definitions follow the review of kinematics of the Particle Data Group.
"""

from __future__ import annotations

import numpy as np


def pt(p: np.ndarray) -> np.ndarray:
    """Return the transverse momentum, GeV: p (..., 4) gives (...)."""
    return np.asarray(np.hypot(p[..., 0], p[..., 1]))


def phi(p: np.ndarray) -> np.ndarray:
    """Return the azimuth in (-pi, pi], rad: p (..., 4) gives (...)."""
    return np.asarray(np.arctan2(p[..., 1], p[..., 0]))


def eta(p: np.ndarray) -> np.ndarray:
    """Return the pseudorapidity, infinite along the beam: p (..., 4) gives (...)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.arcsinh(p[..., 2] / pt(p)))


def rapidity(p: np.ndarray) -> np.ndarray:
    """Return the rapidity, infinite for a massless particle along the beam: p (..., 4) gives (...)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(0.5 * np.log((p[..., 3] + p[..., 2]) / (p[..., 3] - p[..., 2])))


def mass(p: np.ndarray) -> np.ndarray:
    """Return the invariant mass, GeV, zero where rounding makes it space-like: p (..., 4) gives (...)."""
    squared = p[..., 3] ** 2 - np.sum(p[..., :3] ** 2, axis=-1)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def energy(p: np.ndarray) -> np.ndarray:
    """Return the energy, GeV: p (..., 4) gives (...)."""
    return np.asarray(p[..., 3])


def wrap(angle: np.ndarray) -> np.ndarray:
    """Return an angle in (-pi, pi], rad."""
    return np.asarray(np.pi - np.mod(np.pi - angle, 2 * np.pi))


def delta_phi(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the azimuth of the one of larger rapidity minus that of the other, in (-pi, pi], rad.

    The order in rapidity, not in pT, gives the angle a sign that flips under parity, so that CP-odd
    couplings show up as an asymmetry (arXiv:hep-ph/0609075). Symmetric in a and b, each (..., 4).
    """
    difference = phi(a) - phi(b)
    return wrap(np.where(rapidity(a) >= rapidity(b), difference, -difference))


def delta_eta(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the absolute difference in pseudorapidity of a and b, each (..., 4)."""
    return np.asarray(np.abs(eta(a) - eta(b)))


def delta_r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the distance in pseudorapidity and azimuth of a and b, each (..., 4)."""
    return np.asarray(np.hypot(delta_eta(a, b), wrap(phi(a) - phi(b))))
