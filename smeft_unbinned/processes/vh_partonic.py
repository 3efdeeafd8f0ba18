"""Partonic cross sections f fbar -> V H as quadratic forms, unpolarised and integrated over all angles."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, nearest
from ..polynomial import Polynomial
from . import vh_couplings as vc
from . import vh_kernels as kernels
from .collision import check_operators

INITIAL_STATES = ("u", "uL", "uR", "d", "dL", "dR", "e", "eL", "eR", "ud")
"""u ubar, d dbar, e+ e- -> Z H, unpolarised or for one helicity of the fermion; u dbar -> W H (unit CKM)."""


def partonic(
    m: ArrayLike,
    *,
    initial: str,
    operators: Iterable[str] = vc.OPERATORS,
    cos_theta: float | None = None,
) -> Polynomial:
    """Cross section in pb at centre-of-mass energies `m` (GeV), batch as `m`.

    initial: one of INITIAL_STATES, averaged over all its spins and colours (so "u" is the sum of "uL" and
    "uR"). cos_theta: where given, d sigma/dcos theta there, theta between the fermion and V. Raises
    InputError for unknown names and energies below the threshold.
    """
    names = check_operators(operators, vc.OPERATORS, "VH")
    if initial not in INITIAL_STATES:
        raise InputError(
            f"unknown initial state {initial!r}; known are {', '.join(INITIAL_STATES)}."
            f"{nearest(initial, INITIAL_STATES)}"
        )
    mass = vc.MW if initial == "ud" else vc.MZ
    energies = np.asarray(m, dtype=float)
    if not np.all(energies > mass + vc.MH):
        raise InputError(f"energies must exceed the threshold {mass + vc.MH:.4f} GeV, got {m!r}")
    sides = [initial] if len(initial) == 2 else [initial + side for side in "LR"]
    couplings = [vc.charged()] if initial == "ud" else [vc.neutral(name) for name in sides]
    average = 4.0 if initial.startswith("e") else 12.0

    flat = energies.ravel()
    square = 1.0 / 3.0 if cos_theta is None else cos_theta**2
    width = 2.0 if cos_theta is None else 1.0
    angular = [np.full_like(flat, 0.5 * width * (1.0 + sign * square)) for sign in (1.0, -1.0)]
    products = kernels.production_products(flat, angular[0], angular[1], mass)
    products = products * (kernels.prefactor(flat, mass) / average)
    tool = kernels.contraction(couplings, names)
    packed = kernels.contract(tool, [products] * len(couplings), flat, mass)
    return Polynomial(names, packed.reshape(*energies.shape, -1))
