"""The likelihood that an unbinned dataset, or a Poisson one, is in bilby, and flat priors for it.

bilby calls `log_likelihood` with the values by name of all parameters that have a prior, fixed ones included.
The SM takes the place of its noise: log L is zero there, so that `log_bayes_factor` of a result compares the
coefficients with the SM.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bilby.core.likelihood import Likelihood, LikelihoodParameterError
from bilby.core.prior import PriorDict, Uniform
from bilby.core.utils import logger

from smeft_unbinned import __version__
from smeft_unbinned.constraints import check_bounds
from smeft_unbinned.datasets import load_dataset
from smeft_unbinned.errors import InputError, nearest
from smeft_unbinned.fitters import Term
from smeft_unbinned.fitters.evolution import evolution
from smeft_unbinned.operators import UNITS


class UnbinnedLikelihood(Likelihood):  # type: ignore[misc]
    """log L of one unbinned or Poisson dataset, zero at the SM.

    file: of the dataset. names: coefficients of the fit that it depends on, default all of the dataset; those
        left out are zero. basis: whose names they are, default that of the dataset.
    units: of the values, "TeV^-2" or "GeV^-2".
    rge: a block `rge` as in SMEFiT's runcards, with which the coefficients run to the scale of the dataset;
        needs all names and basis "smefit". scale: of the dataset in GeV, default what its file records.
    Raises InputError for a file, names, units, a basis and a running that cannot be used.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        names: Sequence[str] | None = None,
        *,
        basis: str | None = None,
        units: str = UNITS,
        scale: float | None = None,
        rge: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        dataset = load_dataset(file)
        if names is not None and not names:
            raise InputError("names is empty; name coefficients, or leave it out for all of the dataset")
        if rge is not None and (names is None or (basis or dataset.basis) != "smefit"):
            raise InputError("rge needs the names of all coefficients of the fit, in the basis smefit")
        self.term = Term(
            dataset,
            names,
            basis=basis,
            units=units,
            scale=scale,
            evolve=evolution(rge, names or (), dataset.name, logger),
            remedy="give the argument scale, in GeV, or export it with metadata['scale']",
        )
        idle = [name for name in self.term.names if name not in self.term.used] if rge is None else []
        if idle or not self.term.used:
            known = Term(dataset, basis=basis).names
            raise InputError(
                f"{', '.join(idle or self.term.names)} has no effect on {dataset.name}, which depends on "
                f"{', '.join(known)}; leave it out.{''.join(nearest(name, known) for name in idle)}"
            )
        self.term.log(logger)
        self.meta_data = {
            "dataset": dataset.name,
            "version": __version__,
            "operators": list(self.term.used),
            "set_to_zero": list(self.term.set_to_zero),
            "basis": self.term.basis,
            "units": self.term.units,
        }

    def priors(self, bounds: Mapping[str, tuple[float, float]]) -> PriorDict:
        """Return flat priors for the coefficients.

        bounds: (lower, upper) by name, in the units of the likelihood. To fix a coefficient, set a number in
        the result; bilby's other priors go there too.
        Raises InputError for a name without effect, and for a range that is empty or not finite.
        """
        check_bounds(bounds, self.term.names)
        label = self.term.units.replace("^-2", "$^{-2}$")
        return PriorDict({n: Uniform(*map(float, b), name=n, unit=label) for n, b in bounds.items()})

    def log_likelihood(self, parameters: Mapping[str, float] | None = None) -> float:
        """Return log L at values by name; other names than those of the likelihood are not looked at.

        Raises LikelihoodParameterError where one of the names has no value.
        """
        given = parameters or {}
        if missing := [name for name in self.term.names if name not in given]:
            raise LikelihoodParameterError(
                f"no value for {', '.join(missing)}; give a prior, which may be a number, or leave it out of "
                "the names of the likelihood"
            )
        values = np.array([given[name] for name in self.term.names], dtype=float)
        return float(self.term.log_likelihood(values))

    def noise_log_likelihood(self) -> float:
        """Return log L of the SM, zero."""
        return 0.0
