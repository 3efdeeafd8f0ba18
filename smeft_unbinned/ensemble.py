"""What one polynomial is made of those of an ensemble of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .errors import InputError, brief, nearest
from .polynomial import Array, Polynomial, QuadraticForm, SumOfSquares, size

CENTRAL = ("mean", "median")
"""How one polynomial is made of those of an ensemble of networks."""
_CHUNK = 8192
"""Events whose networks are combined at a time."""


def combine(replicas: QuadraticForm, central: str = "mean") -> tuple[Polynomial, Array]:
    """Return the central polynomial, batch (N,), and the standard deviations (N, P) of networks (M, N).

    central: "mean" or "median", coefficient by coefficient. Raises InputError for another choice.
    """
    _check_central(central)
    coefficients = np.asarray(replicas.dense().coefficients)
    middle = coefficients.mean(axis=0) if central == "mean" else np.median(coefficients, axis=0)
    spread = coefficients.std(axis=0, ddof=min(1, len(coefficients) - 1))
    return Polynomial(replicas.operators, middle), spread


def check_ensemble(estimator: Any, replicas: bool, central: str) -> None:
    """Raise InputError where replicas or a median are asked of what is no ensemble of networks."""
    _check_central(central)
    if not replicas and central == "mean":
        return
    wanted = "replicas=True" if replicas else f"central={central!r}"
    if not hasattr(estimator, "replicas"):
        what = "the truth of the events" if estimator is None else brief(estimator)
        raise InputError(
            f"{wanted} needs an ensemble of networks with a method replicas(features), got {what}; leave it "
            "out, or train an ensemble"
        )
    members = getattr(estimator, "members", None)
    if replicas and members is not None and members < 2:
        raise InputError(
            "replicas=True needs at least two networks, got an ensemble of one; train with replicas=10, say"
        )


def _check_central(central: str) -> None:
    if central not in CENTRAL:
        raise InputError(
            f"central is one of {', '.join(CENTRAL)}, got {brief(central)}.{nearest(str(central), CENTRAL)}"
        )


def networks(
    estimator: Any, features: pd.DataFrame, keep: bool, central: str
) -> tuple[Polynomial, Array, QuadraticForm | None]:
    """Return the central ratios, batch (N,), their spread, (N, P), and, if kept, all of batch (M, N).

    The networks are those of `estimator.replicas`, evaluated in blocks of events.
    """
    middles, spreads, kept = [], [], []
    for start in range(0, len(features), _CHUNK):
        part = features.iloc[start : start + _CHUNK].reset_index(drop=True)
        found = estimator.replicas(part)
        if not isinstance(found, QuadraticForm) or found.batch_shape[1:] != (len(part),):
            raise InputError(
                f"replicas(features) of the estimator must return a quadratic form with batch "
                f"(M, {len(part)}), got {getattr(found, 'batch_shape', brief(found))}"
            )
        middle, spread = combine(found, central)
        middles.append(middle.coefficients)
        spreads.append(spread)
        if keep:
            kept.append(_compact(found))
    names = found.operators
    whole: QuadraticForm | None = None
    factors = [form.factors for form in kept if isinstance(form, SumOfSquares)]
    if keep and len(factors) == len(kept):
        whole = SumOfSquares(names, np.concatenate(factors, axis=1))
    elif keep:
        whole = Polynomial(names, np.concatenate([form.dense().coefficients for form in kept], axis=1))
    return Polynomial(names, np.concatenate(middles)), np.concatenate(spreads), whole


def _compact(form: QuadraticForm) -> QuadraticForm:
    """Return the smaller of the two storages of a form."""
    n = len(form.operators)
    if isinstance(form, SumOfSquares) and form.factors.shape[-2] * (n + 1) < size(n):
        return form
    return form.dense()


def negative(ratios: QuadraticForm, central: str) -> list[str]:
    """Return what is to be said of medians that are negative somewhere."""
    if central != "median":
        return []
    lowest, highest = np.linalg.eigvalsh(np.asarray(ratios.matrix()))[:, [0, -1]].T
    count = int(np.sum(lowest < -1e-9 * highest))
    if not count:
        return []
    return [f"the median over networks of {count} of {len(ratios)} ratios is negative at some coefficients"]
