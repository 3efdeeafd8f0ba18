"""The observable, prediction and measurement that an unbinned dataset, or a Poisson one, is in flavio.

The observable is x = -2 log L, zero at the SM. Its prediction is a function of the Wilson coefficients alone,
and its measurement has the distribution log p(x) = -x/2, so that flavio's likelihoods add log L.

flavio hands a prediction one point in the space of Wilson coefficients, at the scale where they were given.
Its `get_wc` runs that to the scale of the dataset, in the Warsaw basis of WCxf and GeV^-2.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from flavio import WilsonCoefficients
from flavio.classes import Measurement, Observable, Prediction
from flavio.statistics.probability import ProbabilityDistribution
from wilson.wcxf import Basis

from smeft_unbinned.datasets import load_dataset
from smeft_unbinned.errors import InputError, nearest
from smeft_unbinned.fitters import Term
from smeft_unbinned.operators import GEV2_PER_TEV2, expressible, to_wcxf, translation
from smeft_unbinned.operators_table import FLAVOUR

TOLERANCE = 1e-3
"""Imaginary parts, and violations of a flavour symmetry, that are not worth a word: relative to the largest
coefficient that was given."""


class UnbinnedPrediction:
    """-2 log L of one unbinned or Poisson dataset, zero at the SM, as flavio asks for a prediction.

    file: of the dataset. scale: of the dataset in GeV, default what its file records.
    Raises InputError for a file that cannot be used, for a scale that is not known, and for coefficients that
    are not in the Warsaw basis of WCxf.
    """

    def __init__(self, file: str | os.PathLike[str], *, scale: float | None = None) -> None:
        dataset = load_dataset(file)
        self.name = dataset.name
        operators = expressible(dataset.operators, dataset.basis, "wcxf")
        entries, read = translation(operators, dataset.basis, "wcxf")
        known = Basis["SMEFT", "Warsaw"].all_wcs
        for entry in entries:
            if entry not in known:
                raise InputError(f"{entry!r} is no coefficient of WCxf's Warsaw.{nearest(entry, known)}")
        if not entries:
            raise InputError(
                f"no coefficient of {self.name} is known in the Warsaw basis: {', '.join(dataset.operators)}"
            )
        self.term = Term(dataset, entries, basis="wcxf", units="GeV^-2", scale=scale)
        if self.term.scale is None:
            raise InputError(
                f"dataset {self.name} has no scale, to which the coefficients have to run; give the argument "
                "scale, in GeV, or export it with metadata['scale']"
            )
        equal = [to_wcxf({name: 1.0 / GEV2_PER_TEV2}, dataset.basis) for name in operators]
        self._tied = tuple(dict.fromkeys(entry for row in equal for entry in row))
        self._made = np.array([[row.get(entry, 0.0) for row in equal] for entry in self._tied]) @ read
        self._symmetry = FLAVOUR.get(dataset.basis, "")
        self._warned = False

    def __call__(self, wc_obj: WilsonCoefficients, par_dict: Mapping[str, float]) -> float:
        """Return -2 log L at a point.

        Raises InputError for coefficients of another theory than SMEFT, and for an imaginary part of one that
        the dataset reads; those that running makes are dropped. Warns, once, where the point breaks the
        flavour symmetry of the dataset.
        """
        if wc_obj.wc is None:
            return 0.0
        if wc_obj.wc.eft != "SMEFT":
            raise InputError(
                f"{self.name} depends on coefficients of SMEFT, got those of {wc_obj.wc.eft}; give a point "
                'with eft="SMEFT"'
            )
        warsaw = {"par": par_dict, "eft": "SMEFT", "basis": "Warsaw"}
        self._check(wc_obj.get_wcxf("all", wc_obj.wc.scale, **warsaw).dict)
        there = wc_obj.get_wc("all", self.term.scale, **warsaw)
        return float(self.term.m2logl(np.array([float(np.real(there[name])) for name in self.term.names])))

    def _check(self, given: Mapping[str, complex]) -> None:
        negligible = TOLERANCE * max((abs(x) for x in given.values()), default=0.0)
        for name in self.term.names:
            if abs(np.imag(given.get(name, 0.0))) > negligible:
                raise InputError(
                    f"{self.name} was made with real coefficients, got {name} = {given[name]:g}; give it "
                    "without imaginary part, or leave this dataset out"
                )
        if self._warned:
            return
        values = np.real([given.get(name, 0.0) for name in self.term.names])
        for entry, wanted in zip(self._tied, self._made @ values, strict=True):
            if abs(given.get(entry, 0.0) - wanted) > negligible:
                self._warned = True
                warnings.warn(
                    f"{self.name} was made with {self._symmetry}: it reads {', '.join(self.term.names)}, "
                    f"which makes {entry} = {wanted:g}, but the point has {given.get(entry, 0.0):g}. The "
                    "dataset cannot see the difference; smeft_unbinned.operators.to_wcxf makes points with "
                    "that symmetry",
                    stacklevel=2,
                )
                return


class UnbinnedDistribution(ProbabilityDistribution):  # type: ignore[misc]
    """log p(x) = -x/2 for x = -2 log L; the SM, x = 0, takes the place of a central value."""

    def __init__(self) -> None:
        super().__init__(central_value=0.0, support=(-np.inf, np.inf))

    def __repr__(self) -> str:
        return "plugins.flavio.UnbinnedDistribution()"

    def logpdf(self, x: Any) -> Any:
        """Return log L, of the shape of x."""
        return -0.5 * np.asarray(x, dtype=float)[()]

    def get_error_left(self, **_: Any) -> float:
        """Return NaN: -2 log L is no measured number with an uncertainty."""
        return np.nan

    get_error_right = get_error_left

    def get_random(self, size: int | None = None) -> NoReturn:
        """Raise InputError: this is where a FastLikelihood would replace log L by a Gaussian."""
        raise InputError(
            "an unbinned dataset has no Gaussian pseudo-measurement, as FastLikelihood makes them; take it "
            "out of the observables of the FastLikelihood, and put it into a Likelihood of its own"
        )


def add_unbinned(
    file: str | os.PathLike[str],
    name: str | None = None,
    *,
    scale: float | None = None,
    replace: bool = False,
) -> str:
    """Make a dataset an observable of flavio with a measurement of the same name; return that name.

    file, scale: see `UnbinnedPrediction`. name: default -2logL(NAME) with the name of the dataset.
    replace: take the place of a dataset that was added before under this name.
    Raises InputError for input that cannot be used, and for a name that is taken: flavio would silently put
    the new prediction in the place of the old one.
    """
    prediction = UnbinnedPrediction(file, scale=scale)
    name = f"-2logL({prediction.name})" if name is None else name
    if name in Observable.instances or name in Measurement.instances:
        old = Observable[name].prediction if name in Observable.instances else None
        if not isinstance(old and old.function, UnbinnedPrediction):
            raise InputError(f"flavio has its own {name!r}; give another name")
        if not replace:
            raise InputError(
                f"a dataset was added to flavio as {name!r} already; give another name, or replace=True to "
                "put this one in its place"
            )
    prediction.term.log()
    observable = Observable(name)
    observable.tex = rf"$-2\log L$ of {prediction.name}"
    observable.set_description(f"-2 log L of the dataset {prediction.name}, zero in the SM")
    Prediction(name, prediction)
    Measurement(name).add_constraint([name], UnbinnedDistribution())
    return name
