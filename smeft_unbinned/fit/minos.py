"""The end of a profile interval as MINOS finds it."""

from __future__ import annotations

import numpy as np
from iminuit import Minuit
from scipy import special

from .frames import Affine, Scaled
from .intervals import Branch
from .profile import conditional


def minos_end(function: Scaled, branch: Branch, i: int, sign: float, target: float) -> float | None:
    """Return the value of coordinate i at an end of its interval, None where MINOS finds none.

    branch: the minimum. sign: of the side. target: -2 log L, minimised over the others, at the end.
    Minuit sees coordinates of which the first moves coordinate i by its error and the others along with it;
    the rest keep it. There is nothing fixed then before MINOS itself fixes the first, and the Hessian is not
    handed over.
    """
    error = float(np.sqrt(branch.covariance[i, i]))
    others = conditional(function, branch.covariance, i, branch.point)
    axes = np.column_stack([function.scale * branch.covariance[i] / error, others.axes])
    frame = Affine(function.likelihood, function.point(branch.point), axes)
    names = [f"y{k}" for k in range(axes.shape[1])]
    minuit = Minuit(lambda y: float(frame.values(y)), np.zeros(len(names)), grad=frame.gradient, name=names)
    minuit.errordef, minuit.strategy, minuit.errors = Minuit.LEAST_SQUARES, 1, np.ones(len(names))
    try:
        minuit.migrad(ncall=20_000)
        minuit.minos("y0", cl=float(special.chdtr(1, target - branch.value)))
    except RuntimeError:  # Minuit gives up
        return None
    found = minuit.merrors["y0"]
    if not (found.upper_valid if sign > 0 else found.lower_valid):
        return None
    moved = minuit.values["y0"] + (found.upper if sign > 0 else found.lower)
    return float(branch.point[i] + moved * error)
