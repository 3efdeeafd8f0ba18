"""smelli's global likelihood with unbinned datasets, or Poisson ones, that were added to flavio.

Each is a likelihood of its own there, beside those that smelli reads from its YAML files, and has the name of
its observable in flavio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import smelli
from flavio.classes import Observable
from flavio.statistics.likelihood import Likelihood
from smelli.classes import GlobalLikelihoodPoint as SmelliPoint

from smeft_unbinned.datasets.overlap import Overlaps, check_overlap
from smeft_unbinned.errors import InputError, brief

from ..flavio import UnbinnedPrediction


def _is_unbinned(observable: Any) -> bool:
    known = Observable.instances.get(observable) if isinstance(observable, str) else None
    return known is not None and isinstance(getattr(known.prediction, "function", None), UnbinnedPrediction)


class GlobalLikelihood(smelli.GlobalLikelihood):  # type: ignore[misc]
    """smelli's global likelihood, and datasets that `plugins.flavio.add_unbinned` added to flavio.

    unbinned: names that it returned. They take part whatever `include_likelihoods` says.
    allow_overlap: groups of names of the datasets that may be made of the same events; others are refused.
    All other arguments are those of smelli. Raises InputError for another name, for coefficients of another
    theory than SMEFT, and for a FastLikelihood with such a dataset, of which smelli would make a Gaussian.
    """

    def __init__(
        self, *args: Any, unbinned: Sequence[str] = (), allow_overlap: Overlaps = (), **kwargs: Any
    ) -> None:
        self._unbinned = (unbinned,) if isinstance(unbinned, str) else tuple(unbinned)
        for name in self._unbinned:
            if not _is_unbinned(name):
                raise InputError(
                    f"unbinned: {brief(name)} is no dataset that was added to flavio; give the names that "
                    "plugins.flavio.add_unbinned returns"
                )
        check_overlap([Observable[name].prediction.function.term for name in self._unbinned], allow_overlap)
        super().__init__(*args, **kwargs)

    def _load_likelihoods(self, *args: Any, **kwargs: Any) -> None:
        if self.eft != "SMEFT":
            raise InputError(f"unbinned datasets depend on coefficients of SMEFT, got eft={self.eft!r}")
        for name in self._unbinned:  # first, because custom likelihoods are made of those that are there
            self.likelihoods[name] = Likelihood(observables=[name], include_measurements=[name])
        super()._load_likelihoods(*args, **kwargs)
        for file, fast in self.fast_likelihoods.items():
            if found := [name for name in fast.observables if _is_unbinned(name)]:
                raise InputError(
                    f"{file} is a FastLikelihood, which makes a Gaussian of its observables, and lists the "
                    f"dataset {', '.join(found)}; give that in the argument unbinned"
                )

    def parameter_point(self, *args: Any, **kwargs: Any) -> GlobalLikelihoodPoint:
        """Return the point for the arguments of smelli's method of this name."""
        point = super().parameter_point(*args, **kwargs)
        return GlobalLikelihoodPoint(self, point.w_input, fix_ckm=self.fix_ckm)


class GlobalLikelihoodPoint(SmelliPoint):  # type: ignore[misc]
    """smelli's point, without p values where there are none."""

    def pvalue_dict(self, n_par: int = 0) -> dict[str, float]:
        """Return p values by the name of the likelihood, NaN where an unbinned dataset is part of it.

        Its -2 log L is zero at the SM by definition, and says nothing about the goodness of a fit.
        """
        parts = {**self.likelihood.likelihoods, **self.likelihood.custom_likelihoods}
        without = {name for name, part in parts.items() if any(map(_is_unbinned, part.observables))}
        values = super().pvalue_dict(n_par)
        return {k: np.nan if k in without or (k == "global" and without) else v for k, v in values.items()}
