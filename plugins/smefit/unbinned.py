"""The external chi2 of SMEFiT that an unbinned dataset, or a Poisson one, is. In the runcard:

    external_chi2:
      zh_14tev: {path: plugins.smefit.unbinned.py, file: zh_14tev.safetensors}

SMEFiT imports this module by the stem of `path` and asks it for the attribute `zh_14tev`. Every such name is
answered with the one class below, so that any number of datasets share this module.

SMEFiT knows no nuisance parameters. Those of a dataset have unit-Gaussian constraints here, and -2 log L is
minimised over them at every point, in each dataset by itself.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol

import numpy as np

from smeft_unbinned.datasets import UnbinnedDataset
from smeft_unbinned.datasets.files import load_dataset
from smeft_unbinned.datasets.protocol import nuisances_of
from smeft_unbinned.errors import InputError, nearest
from smeft_unbinned.likelihood import Likelihood
from smeft_unbinned.operators import expressible
from smeft_unbinned.polynomial import Array, namespace

from . import checks
from .evolution import evolution

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
    Raises InputError for a file that cannot be used, and for cards with which SMEFiT would evaluate the
    dataset at other coefficients than those of the fit (see `checks`).
    """

    def __init__(
        self,
        coefficients: CoefficientManager,
        rge_dict: dict[str, Any] | None = None,
        *,
        file: str = "",
        scale: float | None = None,
        **unknown: Any,
    ) -> None:
        for key in unknown:
            raise InputError(f"external_chi2: unknown key {key!r}.{nearest(key, ('path', 'file', 'scale'))}")
        if not file:
            raise InputError(
                "external_chi2: the key 'file' is missing; give the file of the unbinned dataset"
            )
        self.names = tuple(str(name) for name in coefficients.name)
        checks.refuse_single_precision()
        checks.refuse_rotated(self.names, sys.argv)
        checks.refuse_unresolved(coefficients)
        original = load_dataset(file)
        known = expressible(original.operators, original.basis, "smefit")
        dataset = original.restrict(known).in_basis("smefit")
        if rge_dict is None:
            reached, matrix = self.names, np.eye(len(self.names))
        else:
            own = dataset.metadata.get("scale") if scale is None else scale
            reached, matrix = evolution(rge_dict, self.names, own, dataset.name)
        self.used = tuple(name for name in dataset.operators if name in reached)
        self.set_to_zero = (
            *(name for name in original.operators if name not in known),
            *(name for name in dataset.operators if name not in self.used),
        )
        self._matrix = matrix[[reached.index(name) for name in self.used]].T  # (card, used)
        self.dataset = dataset.restrict(self.used) if self.used else None
        self.nuisances = nuisances_of(self.dataset)
        self._term: Any = (
            Likelihood([self.dataset]).profiled() if self.dataset and self.nuisances else self.dataset
        )
        unbinned = isinstance(dataset, UnbinnedDataset)
        what = f"{'Unbinned' if unbinned else 'Poisson'} dataset {dataset.name}"
        self._report(what, f"{len(dataset)} {'events' if unbinned else 'bins'}")
        for name, missing in dataset.metadata.get("incomplete", {}).items():
            if name in reached:
                _log.warning(
                    "%s takes no account of %s, which %s moves too",
                    what, ", ".join(missing), name,
                )  # fmt: skip

    def _report(self, what: str, size: str) -> None:
        level = logging.INFO if self.used else logging.WARNING
        used, zero = ", ".join(self.used) or "none", ", ".join(self.set_to_zero) or "none"
        _log.log(level, "%s, %s: uses the operators %s", what, size, used)
        _log.log(level, "%s: set to zero, because the card lacks them: %s", what, zero)
        if self.nuisances:
            _log.log(
                logging.WARNING,
                "%s: -2 log L is minimised over its nuisances %s, with unit constraints; SMEFiT cannot "
                "correlate them with those of other datasets",
                what, ", ".join(self.nuisances),
            )  # fmt: skip

    def compute_chi2(self, values: Array) -> Array:
        """Return -2 log L, zero at the SM, for all coefficients of the card (..., n), TeV^-2: shape (...).

        Array API: numpy arrays are evaluated, jax tracers traced. Raises InputError for values that are not
        float64 or not as many as the card has.
        """
        values = values if hasattr(values, "dtype") else np.asarray(values, dtype=float)
        checks.refuse_values(values, self.names)
        xp = namespace(values)
        if self._term is None:
            return 0.0 * xp.sum(values, axis=-1)
        return self._term.m2logl(xp.matmul(values, xp.asarray(self._matrix)))


def __getattr__(name: str) -> type[UnbinnedChi2]:
    """Return the class for every name that a runcard may give a dataset."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return UnbinnedChi2
