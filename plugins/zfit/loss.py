"""The loss that an unbinned dataset, or a Poisson one, is in zfit, sums of losses, and parameters for them.

A loss of zfit is -log L with errordef 0.5: half of -2 log L. zfit asks for derivatives by the parameters that
float, in an order of its own, so that a function of its `SimpleLoss` has to look at which these are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import zfit
from zfit.loss import SimpleLoss

from smeft_unbinned.constraints import check_bounds
from smeft_unbinned.datasets import load_dataset
from smeft_unbinned.datasets.overlap import Overlaps, check_overlap
from smeft_unbinned.errors import InputError, brief, nearest
from smeft_unbinned.fitters import Term
from smeft_unbinned.fitters.evolution import evolution
from smeft_unbinned.operators import UNITS
from smeft_unbinned.polynomial import Array

_log = logging.getLogger(__name__)

ERRORDEF = 0.5
"""Change of a loss -log L that makes one standard deviation."""


def parameters(bounds: Mapping[str, tuple[float, float]]) -> list[zfit.Parameter]:
    """Return a parameter for each coefficient, which starts at the SM.

    bounds: (lower, upper) by name, in the units of the loss. Where the SM is outside, it starts mid-way.
    Steps are a hundredth of the range, because zfit's own, 0.01 in any units, is too large for GeV^-2.
    Raises InputError for a range that is empty or not finite.
    """
    check_bounds(bounds, tuple(bounds))
    made = []
    for name, pair in bounds.items():
        low, high = map(float, pair)
        start = 0.0 if low < 0.0 < high else 0.5 * (low + high)
        made.append(zfit.Parameter(name, start, low, high, stepsize=(high - low) / 100.0))
    return made


class SummedLoss(SimpleLoss):  # type: ignore[misc]
    """The sum of losses, with the derivatives of each; parameters may be shared.

    losses: of zfit, among them its PDFs' -log L. One with another errordef is scaled, as zfit does it.
    allow_overlap: groups of names of datasets that may be made of the same events.
    Raises InputError for something else than a loss, for different parameters of one name, and for other
    datasets of the same events.
    """

    def __init__(self, *losses: zfit.loss.BaseLoss, allow_overlap: Overlaps = ()) -> None:
        for loss in losses:
            if not isinstance(loss, zfit.loss.BaseLoss):
                raise InputError(f"expected a loss of zfit, got {brief(loss)}")
        own = [list(x.get_params(floating=None, is_yield=None, extract_independent=True)) for x in losses]
        together = list(dict.fromkeys(p for some in own for p in some))
        if len({p.name for p in together}) < len(together):
            raise InputError("losses have different parameters of one name; make both with the same objects")
        self.terms = tuple(term for x in losses for term in getattr(x, "terms", ()))
        self.allow_overlap = (
            *(group for x in losses for group in getattr(x, "allow_overlap", ())),
            *allow_overlap,
        )
        check_overlap(self.terms, self.allow_overlap)
        factors = [ERRORDEF / loss.errordef for loss in losses]

        def value(_: Any) -> float:
            return float(sum(f * x.value() for f, x in zip(factors, losses, strict=True)))

        def derivative(order: int) -> Callable[[Sequence[zfit.Parameter]], Array]:
            def total(wanted: Sequence[zfit.Parameter]) -> Array:
                result = np.zeros((len(wanted),) * order)
                for factor, loss, some in zip(factors, losses, own, strict=True):
                    place = [i for i, p in enumerate(wanted) if p in some]
                    if place:
                        by = loss.gradient if order == 1 else loss.hessian
                        result[np.ix_(*[place] * order)] += factor * np.asarray(
                            by([wanted[i] for i in place])
                        )
                return result

            return total

        super().__init__(value, together, ERRORDEF, gradient=derivative(1), hessian=derivative(2))

    def __add__(self, other: zfit.loss.BaseLoss) -> SummedLoss:
        """Return the sum with another loss; the one of zfit 0.28 fails for a `SimpleLoss`."""
        return SummedLoss(self, other)


class UnbinnedLoss(SimpleLoss):  # type: ignore[misc]
    """-log L of one unbinned or Poisson dataset, zero at the SM, with its exact derivatives.

    file: of the dataset. params: parameters of zfit with the names of coefficients, see `parameters`;
        coefficients without a parameter are zero, and one that is not floating stays at its value.
    basis: whose names they are, default that of the dataset. units: of the values, "TeV^-2" or "GeV^-2".
    rge: a block `rge` as in SMEFiT's runcards, with which the coefficients run to the scale of the dataset;
        needs all of them as parameters, in the basis "smefit". scale: of the dataset in GeV, default what its
        file records.
    Raises InputError for a file, parameters, units, a basis and a running that cannot be used.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        params: Sequence[zfit.Parameter],
        *,
        basis: str | None = None,
        units: str = UNITS,
        scale: float | None = None,
        rge: Mapping[str, Any] | None = None,
    ) -> None:
        if not params:
            raise InputError("params is empty; give a parameter for a coefficient of the dataset")
        for param in params:
            if not isinstance(param, zfit.Parameter):
                raise InputError(f"expected independent parameters of zfit, got {brief(param)}")
        dataset, names = load_dataset(file), [str(param.name) for param in params]
        if rge is not None and (basis or dataset.basis) != "smefit":
            raise InputError(f"rge needs coefficients in the basis smefit, got {basis or dataset.basis}")
        self.term = Term(
            dataset,
            names,
            basis=basis,
            units=units,
            scale=scale,
            evolve=evolution(rge, names, dataset.name, _log),
            remedy="give the argument scale, in GeV, or export it with metadata['scale']",
        )
        self.terms = (self.term,)
        idle = [name for name in names if name not in self.term.used] if rge is None else []
        if idle or not self.term.used:
            known = Term(dataset, basis=basis).names
            raise InputError(
                f"{', '.join(idle or names)} has no effect on {dataset.name}, which depends on "
                f"{', '.join(known)}; leave it out.{''.join(nearest(name, known) for name in idle)}"
            )
        self.term.log()

        def values() -> Array:
            return np.array([float(param) for param in params])

        def value(_: Any) -> float:
            return 0.5 * float(self.term.m2logl(values()))

        def gradient(wanted: Sequence[zfit.Parameter]) -> Array:
            place = [names.index(param.name) for param in wanted]
            return 0.5 * np.asarray(self.term.gradient(values()))[place]

        def hessian(wanted: Sequence[zfit.Parameter]) -> Array:
            place = [names.index(param.name) for param in wanted]
            return 0.5 * np.asarray(self.term.hessian(values()))[np.ix_(place, place)]

        super().__init__(value, list(params), ERRORDEF, gradient=gradient, hessian=hessian)

    def __add__(self, other: zfit.loss.BaseLoss) -> SummedLoss:
        """Return the sum with another loss, of a dataset or of a PDF."""
        return SummedLoss(self, other)
