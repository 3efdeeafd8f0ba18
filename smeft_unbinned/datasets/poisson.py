"""PoissonDataset: counts in bins, each bin's expected content a quadratic form in c."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..events import Events
from ..operators import translation
from ..polynomial import Array, Polynomial, QuadraticForm
from .extended import ExtendedTerm, check_form


class PoissonDataset(ExtendedTerm):
    """2 sum_b [nu_b(c) - n_b log nu_b(c)], zero at the SM.

    yields: nu_b(c) in events, batch (B,), positive at the SM.
    counts: (B,) observed events per bin; None means the SM expectation (Asimov).
    """

    def __init__(
        self,
        name: str,
        yields: QuadraticForm,
        counts: Array | None = None,
        *,
        basis: str = "warsaw",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        check_form(name, "yields", yields)
        self.yields = yields.dense()
        sm = self.yields.constant
        if self.yields.coefficients.ndim != 2:
            raise InputError(
                f"dataset {name!r}: yields need one batch axis (bins), got batch {self.yields.batch_shape}"
            )
        if not np.all(sm > 0):
            raise InputError(
                f"dataset {name!r}: {np.sum(~(sm > 0))} bins have no positive SM yield; merge or drop them"
            )
        super().__init__(name, self.yields / sm, self.yields.sum(), sm if counts is None else counts, basis)
        self.metadata: dict[str, Any] = dict(metadata or {})

    def in_basis(self, target: str) -> PoissonDataset:
        """Return the dataset in the coefficients of another basis; operators unknown there are an error."""
        if target == self.basis:
            return self
        names, matrix = translation(self.operators, self.basis, target)
        yields = self.yields.change_basis(names, matrix)
        return PoissonDataset(self.name, yields, self.weights, basis=target, metadata=self.metadata)


def histogram(
    name: str,
    events: Events,
    edges: Mapping[str, Sequence[float]],
    scale: float = 1.0,
    basis: str | None = None,
) -> PoissonDataset:
    """Bin events with truth in one or more features: the binned version of the same sample.

    edges: increasing bin edges by feature; events outside are lost, as in a real binned measurement.
    scale: expected events per pb (luminosity times efficiency).
    Bins without events are left out.
    """
    if events.truth is None:
        raise InputError("binning needs events with truth polynomials")
    index = np.zeros(len(events), dtype=int)
    inside = np.ones(len(events), dtype=bool)
    for feature, values in edges.items():
        b = np.asarray(values, dtype=float)
        if b.ndim != 1 or b.size < 2 or not np.all(b[1:] > b[:-1]):
            raise InputError(f"edges of {feature!r} must increase and be at least two, got {list(values)}")
        where = np.searchsorted(b, events.column(feature), side="right") - 1
        inside &= (where >= 0) & (where < b.size - 1)
        index = index * (b.size - 1) + where
    if not inside.any():
        raise InputError(f"none of the {len(events)} events lies inside the edges of {', '.join(edges)}")
    bins, index = np.unique(index[inside], return_inverse=True)
    weights = scale * np.asarray(events.weights)[inside]
    total = np.zeros((bins.size, events.truth.coefficients.shape[1]))
    np.add.at(total, index, events.truth.coefficients[inside] * weights[:, None])
    metadata = {"edges": {feature: [float(x) for x in values] for feature, values in edges.items()}}
    return PoissonDataset(
        name,
        Polynomial(events.truth.operators, total),
        basis=basis or events.metadata.get("basis", "warsaw"),
        metadata=metadata,
    )
