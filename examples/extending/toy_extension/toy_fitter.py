"""A fitter: iminuit, which minimises a function of an array and takes its gradient.

This file is imported by `smeft-unbinned fitters` even where iminuit is absent, and so imports it late.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from smeft_unbinned import InputError
from smeft_unbinned.fitters import Fitter, Term
from smeft_unbinned.operators import UNITS

FITTER = Fitter(
    name="minuit",
    title="iminuit, one dataset by itself",
    package="iminuit",
    versions=">=2.30,<3",
    install="pip install iminuit",
    snippet="""\
from toy_extension.toy_fitter import minuit
print(minuit("{file}").migrad())
""",
    page="examples/extending/README.md",
)


class Cost:
    """-2 log L of one unbinned or Poisson dataset, zero at the SM, for `iminuit.Minuit`.

    file: of the dataset. names: coefficients of the fit in their order, default those of the dataset.
    basis: whose names these are, default that of the dataset. units: of the values.
    Raises InputError for an absent fitter, what `Term` refuses, and names of which the dataset knows none.
    """

    errordef = 1.0  # an error is where -2 log L has risen by one

    def __init__(
        self,
        file: str | os.PathLike[str],
        names: Sequence[str] | None = None,
        *,
        basis: str | None = None,
        units: str = UNITS,
    ) -> None:
        FITTER.require()
        self.term = Term(file, names, basis=basis, units=units)
        if not self.term.used:
            raise InputError(
                f"no coefficient of the fit ({', '.join(self.term.names)}) is one of the dataset; those are "
                f"{', '.join(self.term.set_to_zero)}"
            )
        self.term.log()

    def __call__(self, values: np.ndarray) -> float:
        """Return -2 log L at values (n,)."""
        return float(self.term.m2logl(np.asarray(values, dtype=float)))

    def grad(self, values: np.ndarray) -> np.ndarray:
        """Return its derivatives by the values, (n,)."""
        return np.asarray(self.term.gradient(np.asarray(values, dtype=float)))


def minuit(file: str | os.PathLike[str], names: Sequence[str] | None = None, **options: Any) -> Any:
    """Return an `iminuit.Minuit` that starts at the SM; arguments are those of `Cost`."""
    cost = Cost(file, names, **options)
    from iminuit import Minuit

    return Minuit(cost, np.zeros(len(cost.term.names)), name=cost.term.names, grad=cost.grad)
