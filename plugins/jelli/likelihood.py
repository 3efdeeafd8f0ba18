"""A compiled likelihood of jelli to which an unbinned dataset, or a Poisson one, is added.

jelli hands over coefficients at the scale of the call, a traced number. They run to the scale of the dataset
as they run to those of its own observables: by matrices of rgevolve from some scales, interpolated between.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jax import numpy as jnp
from jelli.core.compiled_likelihood import CompiledLikelihood
from jelli.core.observable_sector import interpolate_rg_evolution
from rgevolve.tools import get_scales, get_wc_basis, run_and_match

from smeft_unbinned.datasets import load_dataset
from smeft_unbinned.datasets.overlap import Overlaps, check_overlap
from smeft_unbinned.errors import InputError, brief
from smeft_unbinned.fitters import Term
from smeft_unbinned.polynomial import Array

_OWN = ("wcxf", "GeV^-2")
"""Basis and units of coefficients that jelli runs."""
_SECTOR = "dB=de=dmu=dtau=0"
"""rgevolve's name of the operators that conserve flavours of leptons: those of datasets are among them."""
_Parameters: TypeAlias = "Sequence[tuple[str, str]]"
_Running: TypeAlias = "tuple[Sequence[str], Array, Array]"
"""Names at the scale of the dataset (m), scales (s) in GeV, and matrices (s, m, n) from there."""


class UnbinnedLikelihood(CompiledLikelihood):  # type: ignore[misc]
    """-log L of a compiled likelihood of jelli, plus that of one dataset, which is zero at the SM.

    compiled: what `GlobalLikelihood.get_compiled_likelihood` returns, or one of these for several datasets.
    file: of the dataset. scale: of the dataset in GeV, default what its file records.
    basis, units: of the coefficients, to be given where jelli has no running for its basis.
    allow_overlap: groups of names of datasets that may be made of the same events; others are refused.
    The functions that it returns are those of jelli: of values (n,) of `par_list` and their scale in GeV, and
    NaN at scales that the running does not reach.
    Raises InputError for a file, a basis, units and a scale that cannot be used, and for a dataset that none
    of the coefficients moves.
    """

    def __init__(
        self,
        compiled: CompiledLikelihood,
        file: str | os.PathLike[str],
        *,
        scale: float | None = None,
        basis: str | None = None,
        units: str | None = None,
        allow_overlap: Overlaps = (),
    ) -> None:
        if not isinstance(compiled, CompiledLikelihood):
            raise InputError(
                f"expected a compiled likelihood, got {brief(compiled)}; use get_compiled_likelihood(...)"
            )
        self.__dict__.update(compiled.__dict__, _functions={})
        basis, units = _convention(self.global_likelihood_instance, basis, units)
        dataset, parameters = load_dataset(file), [tuple(par) for par in self.par_list]
        known = Term(dataset, basis=basis, units=units, scale=scale)
        if known.scale is None:
            raise InputError(f"dataset {dataset.name} has no scale; give the argument scale, in GeV")
        run = _running if self.global_likelihood_instance.basis_mode == "rgevolve" else _fixed
        names, scales, matrices = run(self.global_likelihood_instance, known.names, parameters, known.scale)
        if not names:
            raise InputError(
                f"none of {', '.join('_'.join(p) for p in parameters)} moves {dataset.name}, which depends "
                f"on {', '.join(known.names)}; leave the dataset out"
            )
        self.term = Term(dataset, names, basis=basis, units=units, scale=scale)
        self.terms = (*getattr(compiled, "terms", ()), self.term)
        self.allow_overlap = (*getattr(compiled, "allow_overlap", ()), *allow_overlap)
        check_overlap(self.terms, self.allow_overlap)
        self.term.log()
        m2logl, others = self.term.m2logl, compiled._negative_log_likelihood_function
        scales = np.append(scales, np.nan)  # what jelli's interpolation wants above the last

        def negative_log_likelihood(par_array: Any, scale: Any, log_likelihood_data: Any) -> Any:
            values = jnp.asarray(par_array)
            there = interpolate_rg_evolution(values, scale, jnp.asarray(matrices), jnp.asarray(scales))
            return others(par_array, scale, log_likelihood_data) + 0.5 * m2logl(there)

        self._negative_log_likelihood_function = negative_log_likelihood


def _convention(whole: Any, basis: str | None, units: str | None) -> tuple[str, str]:
    """Return basis and units of the coefficients of a jelli.GlobalLikelihood."""
    name = f"the custom basis {whole.custom_basis!r}" if whole.eft is None else f"{whole.eft} {whole.basis}"
    if whole.eft not in ("SMEFT", None):
        raise InputError(f"jelli's likelihood is in {name}, but datasets need coefficients of the SMEFT")
    if whole.basis_mode != "rgevolve":
        if basis is None or units is None:
            raise InputError(f"jelli's likelihood is in {name}; give the arguments basis and units")
        return basis, units
    if (basis or _OWN[0], units or _OWN[1]) != _OWN:
        raise InputError(
            f"jelli's likelihood is in {name}, whose names are those of {_OWN[0]} in {_OWN[1]}; got "
            f"basis {basis!r} and units {units!r}, leave them out"
        )
    return _OWN


def _running(whole: Any, names: Sequence[str], parameters: _Parameters, at: float) -> _Running:
    """Return the running of a likelihood in the SMEFT to a scale in GeV, of those names that are moved."""
    scales = [float(mu) for mu in get_scales("SMEFT", whole.basis)]
    if not scales[0] <= at <= scales[-1]:
        raise InputError(
            f"jelli runs coefficients between {scales[0]:g} and {scales[-1]:g} GeV, but the dataset has the "
            f"scale {at:g} GeV"
        )
    if whole.basis == "Warsaw":
        # No running at the scale of the dataset is exact then. It is the one scale between those of rgevolve
        # to start from: version 0.1 takes the reciprocal of the weight where it interpolates inverses.
        scales = sorted({*scales, at})
    theirs, ours = (get_wc_basis("SMEFT", basis, _SECTOR) for basis in (whole.basis, "Warsaw"))
    known = [name for name in names if (name, "R") in ours]
    rows = [ours.index((name, "R")) for name in known]
    columns = [theirs.index(par) if par in theirs else len(theirs) for par in parameters]
    matrices = np.zeros((len(scales), len(known), len(theirs) + 1))  # last: other sectors, which do not mix
    for matrix, mu in zip(matrices, scales, strict=True):
        matrix[:, :-1] = run_and_match("SMEFT", "SMEFT", whole.basis, "Warsaw", mu, at, _SECTOR)[rows]
    matrices = matrices[:, :, columns]
    moved = np.any(matrices, axis=(0, 2))
    return [n for n, used in zip(known, moved, strict=True) if used], np.array(scales), matrices[:, moved]


def _fixed(whole: Any, names: Sequence[str], parameters: _Parameters, at: float) -> _Running:
    """Return the same for a likelihood whose observables are all at one scale."""
    if at != (fixed := float(whole._reference_scale)):
        raise InputError(
            f"jelli has its observables at {fixed:g} GeV and no running for their basis, but the dataset has "
            f"the scale {at:g} GeV; use jelli in the basis Warsaw of the SMEFT"
        )
    used = [name for name in names if (name, "R") in parameters]
    return used, np.array([at]), np.array([[[float(p == (n, "R")) for p in parameters] for n in used]])
