"""The result of a method that draws samples around a minimum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..likelihood import Likelihood
from .provenance import caveats, met, nuisances_in, pulls
from .result import FitResult

OUTSIDE = "the minimum of -2 log L lies outside of the prior box"


def sampled(
    likelihood: Likelihood,
    free: np.ndarray,
    best: np.ndarray,
    covariance: np.ndarray,
    *,
    cut: Sequence[str],
    messages: Sequence[str],
    before: tuple[int, int],
    **fields: Any,
) -> FitResult:
    """Return the result of samples (s, p) with a best point (p,) and a covariance (p, p).

    cut: parameters whose range cuts into the posterior. before: `counters` at the start of the fit.
    fields: of FitResult, as they are: its method, among others.
    """
    names, said = list(likelihood.parameters), list(messages)
    if cut:
        said.append(f"the prior box cuts into the posterior of {', '.join(cut)}; widen its range")
    if count := likelihood.non_positive(best):
        said.append(f"{count} events have a ratio that is not positive at the best point")
    values = {k: float(v) for k, v in likelihood.coefficients(best).items()}
    frame = pd.DataFrame(covariance, index=names, columns=names)
    errors = pd.Series(np.sqrt(np.diag(frame)), index=frame.index)
    return FitResult(
        best=values,
        covariance=frame,
        m2logl=float(likelihood.m2logl(best)),
        messages=(*said, *pulls(likelihood, values, errors), *met(likelihood, before), *caveats(likelihood)),
        samples=pd.DataFrame({k: np.asarray(v) for k, v in likelihood.coefficients(free).items()}),
        nuisances=tuple(name for name in nuisances_in(likelihood) if name in values),
        **fields,
    )
