"""The adapter: what the fitter wants to call, in its own names, units and conventions.

Everything about physics and numbers is in `Term`: translation of names, units, running, absent operators,
nuisance parameters, value and derivatives in numpy, torch and jax. What is left here is the calling
convention. The fitter of this template minimises a function of an array and wants chi2 and its derivative.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smeft_unbinned.errors import InputError
from smeft_unbinned.fitters import Term
from smeft_unbinned.operators import UNITS

from . import FITTER


class UnbinnedTerm:
    """The chi2 of one unbinned or Poisson dataset, -2 log L, zero at the SM.

    file: of the dataset. names: coefficients of the fit, in the order in which it hands over their values.
    basis: whose names they are. units: of the values. scale: in GeV, at which the fit has its coefficients.
    Raises InputError for the files, names, units and scales that cannot be used.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        names: Sequence[str],
        *,
        basis: str = "warsaw",  # 1. names: that of the fitter, if it has one of its own
        units: str = UNITS,  # 2. units: "GeV^-2" where coefficients are those of WCxf files
        scale: float | None = None,
        **unknown: Any,
    ) -> None:
        FITTER.require()  # absent, or of a version that was never tried: one clear line
        for key in unknown:  # a key that is misspelt in a runcard has no effect unless it is refused
            raise InputError(f"unknown key {key!r}; known are file, names, basis, units and scale")
        self.term = Term(file, names, basis=basis, units=units)
        if scale is not None and scale != self.term.scale:
            # 3. running: if the fitter runs coefficients, pass its matrix as Term(evolve=...), or ask it for
            # the coefficients at term.scale. If it cannot, say so: the number would be wrong silently.
            raise InputError(
                f"coefficients are given at {scale:g} GeV, but the dataset has the scale {self.term.scale}; "
                "give them at that scale"
            )
        # 4. operators: one that is absent in the fit is zero, one that is misspelt has no effect. Refuse or
        # tell; `log` names those that are used and those that are zero.
        if not self.term.used:
            raise InputError(
                f"no coefficient of the fit ({', '.join(names)}) is one of the dataset: "
                f"{', '.join(self.term.set_to_zero)}"
            )
        self.term.log()

    # 5. The call. Give the fitter what it wants: chi2 = -2 log L here, a log-likelihood is -term.m2logl(c)/2.
    def chi2(self, values: np.ndarray) -> float:
        """Return -2 log L of values (n,)."""
        return float(self.term.m2logl(np.asarray(values, dtype=float)))

    def chi2_of(self, values: Mapping[str, float]) -> float:
        """Return -2 log L of values by name."""
        return float(self.term.m2logl(values))

    # 6. Derivatives, where the fitter can use them: many times faster fits.
    def slope(self, values: np.ndarray) -> np.ndarray:
        """Return the derivatives of chi2 by the values, (n,)."""
        return np.asarray(self.term.gradient(np.asarray(values, dtype=float)))
