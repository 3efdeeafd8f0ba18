"""The likelihood that an unbinned dataset, or a Poisson one, is in cobaya. In the input file:

    likelihood:
      zh_14tev: {class: plugins.cobaya.Unbinned, file: zh_14tev.dataset, basis: smefit}
    params:
      OpW: {prior: {min: -1, max: 1}}

cobaya gives a parameter to every likelihood that supports its name, and stops if none does: a misspelt
coefficient is refused. It makes no use of derivatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from logging import Logger
from typing import Any

import numpy as np
from cobaya.likelihood import Likelihood
from cobaya.log import LoggedError
from cobaya.tools import str_to_list

from smeft_unbinned import __version__
from smeft_unbinned.datasets import load_dataset
from smeft_unbinned.datasets.overlap import check_overlap
from smeft_unbinned.errors import InputError, brief, nearest
from smeft_unbinned.fitters import Term
from smeft_unbinned.fitters.evolution import evolution
from smeft_unbinned.operators import UNITS
from smeft_unbinned.operators_table import DEFINITIONS


@contextmanager
def _logged(log: Logger) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise LoggedError(log, "%s", error) from error


class Unbinned(Likelihood):  # type: ignore[misc]
    """log L of one unbinned or Poisson dataset, zero at the SM; its options are those of the input file.

    Raises LoggedError for a file, names, units, a basis and a running that cannot be used.
    """

    file: str = ""
    """Of the dataset, absolute or relative to the folder where cobaya runs."""
    basis: str | None = None
    """Whose names the parameters have, one of `operators.DATASET_BASES`; default that of the dataset."""
    units: str = UNITS
    """Of the parameters, TeV^-2 or GeV^-2."""
    scale: float | None = None
    """Of the dataset in GeV, default what its file records; needed with `rge`."""
    rge: dict[str, Any] | None = None
    """A block `rge` as in SMEFiT's runcards; with it the parameters run to the scale of the dataset."""
    coefficients: list[str] | None = None
    """Names that have to be there, also as derived parameters of a theory; default those of `params`."""

    allow_overlap: list[list[str]] | None = None
    """Groups of names of datasets of the input file that may be made of the same events; one entry of it is
    enough for all."""

    def initialize(self) -> None:
        """Load the dataset and find the names that can be parameters."""
        with _logged(self.log):
            if not isinstance(self.file, str) or not self.file:
                raise InputError(f"file must be the path of a dataset, got {brief(self.file)}")
            self._dataset = load_dataset(self.file)
            known = Term(self._dataset, basis=self.basis, units=self.units, scale=self.scale)
            if self.rge is not None and known.basis != "smefit":
                raise InputError(f"rge needs coefficients in the basis smefit, got {known.basis}")
            self._own = known.names
            self._known = known.names if self.rge is None else tuple(DEFINITIONS["smefit"])
            self._required = list(str_to_list(self.coefficients or []))
            for name in self._required:
                if name not in self._known:
                    raise InputError(f"coefficients: {name!r} has no effect.{nearest(name, self._known)}")

    def get_requirements(self) -> dict[str, None]:
        """Return the names that have to be parameters, or come from a theory."""
        return dict.fromkeys(self._required)

    def get_can_support_params(self) -> Iterable[str]:
        """Return the names that are coefficients of the dataset where they are parameters."""
        return () if self._required else self._known

    def initialize_with_params(self) -> None:
        """Make the term, now that the parameters of the fit are known."""
        self._names = self._required or list(self.input_params)
        with _logged(self.log):
            if self._names:
                self._term = Term(
                    self._dataset,
                    self._names,
                    basis=self.basis,
                    units=self.units,
                    scale=self.scale,
                    evolve=evolution(self.rge, self._names, self._dataset.name, self.log),
                    remedy="give the option scale, in GeV, or export it with metadata['scale']",
                )
            if not self._names or not self._term.used:
                raise InputError(
                    f"no parameter has an effect on {self._dataset.name}, which depends on "
                    f"{', '.join(self._own)}; give one a prior, and name the basis of the parameters"
                )
        self._term.log(self.log)

    def initialize_with_provider(self, provider: Any) -> None:
        """Refuse another dataset of the same events, now that all likelihoods of the fit are there."""
        super().initialize_with_provider(provider)
        parts = [x for x in provider.model.likelihood.values() if isinstance(x, Unbinned)]
        allowed = [group for x in parts for group in x.allow_overlap or ()]
        with _logged(self.log):
            check_overlap([x._term for x in parts], allowed)

    def get_version(self) -> str:
        """Return the version of this package, for the record of the run."""
        return __version__

    def logp(self, **params_values: Any) -> float:
        """Return log L at parameters by name; what else cobaya hands over is not looked at."""
        values = np.array([params_values[name] for name in self._term.names], dtype=float)
        return float(self._term.log_likelihood(values))
