"""The external chi2 of SMEFiT that an unbinned dataset, or a Poisson one, is. In the runcard:

    external_chi2:
      zh_14tev: {path: plugins.smefit.unbinned.py, file: zh_14tev.safetensors}

SMEFiT imports this module by the stem of `path` and asks it for the attribute `zh_14tev`. Every such name is
answered with the one class below, so that any number of datasets share this module.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol

import numpy as np

from smeft_unbinned.errors import InputError, nearest
from smeft_unbinned.fitters import Term
from smeft_unbinned.fitters.evolution import evolution
from smeft_unbinned.fitters.traced import INLINE
from smeft_unbinned.polynomial import Array

from . import FITTER, checks

_KEYS = ("path", "file", "scale", "inline")
_log = logging.getLogger(__name__)


class CoefficientManager(Protocol):
    """What is used of `smefit.coefficients.CoefficientManager`."""

    @property
    def name(self) -> Any:
        """Names of all coefficients of the card, in the order of the values that `compute_chi2` gets."""


class UnbinnedChi2:
    """-2 log L of one unbinned or Poisson dataset as a function of all coefficients of a SMEFiT runcard.

    coefficients: the coefficients of the card; those of the dataset that are absent there are zero.
    rge_dict: the `rge` block of the card or None; with it the coefficients run to the scale of the dataset.
    file: of an unbinned or a Poisson dataset, absolute or relative to the folder where smefit runs.
    scale: of the dataset in GeV, needed with rge_dict if the file records none.
    inline: see `Term`.
    Raises InputError for a file that cannot be used, for a SMEFiT that was never tried, and for cards with
    which SMEFiT would evaluate the dataset at other coefficients than those of the fit (see `checks`).
    """

    def __init__(
        self,
        coefficients: CoefficientManager,
        rge_dict: dict[str, Any] | None = None,
        *,
        file: str = "",
        scale: float | None = None,
        inline: int = INLINE,
        **unknown: Any,
    ) -> None:
        for key in unknown:
            raise InputError(f"external_chi2: unknown key {key!r}.{nearest(key, _KEYS)}")
        if not file:
            raise InputError(
                "external_chi2: the key 'file' is missing; give the file of the unbinned dataset"
            )
        if FITTER.version is not None:
            FITTER.require()
        names = tuple(str(name) for name in coefficients.name)
        checks.refuse_single_precision()
        checks.refuse_rotated(names, sys.argv)
        checks.refuse_unresolved(coefficients)
        checks.refuse_overlap(sys.argv)
        self.term = Term(
            file,
            names,
            basis="smefit",
            evolve=evolution(rge_dict, names, file, _log),
            scale=scale,
            remedy="give the key scale in its external_chi2 entry, or export it with metadata['scale']",
            inline=inline,
        )
        self.term.log(_log)

    def compute_chi2(self, values: Array) -> Array:
        """Return -2 log L, zero at the SM, for all coefficients of the card (..., n), TeV^-2: shape (...).

        Array API: numpy arrays are evaluated, jax tracers traced. Raises InputError for values that are not
        float64 or not as many as the card has.
        """
        values = values if hasattr(values, "dtype") else np.asarray(values, dtype=float)
        checks.refuse_values(values, self.term.names)
        return self.term.m2logl(values)


def __getattr__(name: str) -> type[UnbinnedChi2]:
    """Return the class for every name that a runcard may give a dataset."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return UnbinnedChi2
