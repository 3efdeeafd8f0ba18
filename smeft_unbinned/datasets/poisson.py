"""PoissonDataset: counts in bins, each bin's expected content a quadratic form in c."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import storage
from ..errors import InputError, nearest
from ..events import Events
from ..events.nuisance import Nuisances
from ..inputfile import fitting
from ..operators import UNITS, incomplete, translation
from ..polynomial import Array, Point, Polynomial, QuadraticForm
from . import unbinned_file
from .extended import ExtendedTerm, check_form
from .rates import Component
from .resampling import relative_rates

KIND = "poisson dataset"
"""Kind of the files."""


class PoissonDataset(ExtendedTerm):
    """2 sum_b [nu_b(c) - n_b log nu_b(c)], zero at the SM.

    yields: nu_b(c) in events, batch (B,), positive at the SM.
    counts: (B,) observed events per bin; None means the SM expectation (Asimov).
    basis: the name set of the operators (`operators.DATASET_BASES`); coefficients are c/Lambda^2 in TeV^-2.
    response: of the bins to nuisance parameters, B rows: nu_b exp(sum_k theta_k D_bk + theta_k^2 D_bkk).
    metadata: JSON types; what the bins are and where yields and counts come from.
    """

    def __init__(
        self,
        name: str,
        yields: QuadraticForm,
        counts: Array | None = None,
        *,
        basis: str = "warsaw",
        response: Nuisances | None = None,
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
        expected = self.yields.sum() if response is None else self.yields
        counts = sm if counts is None else counts
        super().__init__(name, [Component(self.yields / sm, expected, response, response)], counts, basis)
        self.metadata: dict[str, Any] = dict(metadata or {})

    def __repr__(self) -> str:
        return f"PoissonDataset({self.name!r}, {len(self)} bins, {', '.join(self.operators)})"

    @property
    def counts(self) -> NDArray[np.float64]:
        """Observed events per bin, (B,)."""
        return self.weights

    def contents(self, c: Point) -> NDArray[np.float64]:
        """Return the expected events per bin at c, (B,), coefficients and nuisances.

        Raises InputError where one is negative.
        """
        nu = self.yields.constant * relative_rates(self, c)
        return np.asarray(nu)

    def with_counts(self, counts: Array) -> PoissonDataset:
        """Return the dataset with other counts, (B,)."""
        return PoissonDataset(
            self.name, self.yields, counts, basis=self.basis, response=self.response, metadata=self.metadata
        )

    def asimov(self, c: Point) -> PoissonDataset:
        """Return the dataset whose counts are those expected at c."""
        return self.with_counts(self.contents(c))

    def pseudo(self, rng: np.random.Generator, c: Point) -> PoissonDataset:
        """Return pseudo-data at c: Poisson counts."""
        return self.with_counts(rng.poisson(self.contents(c)))

    def bootstrap(self, rng: np.random.Generator) -> PoissonDataset:
        """Return the data fluctuated around themselves: Poisson counts with the observed ones as means."""
        return self.with_counts(rng.poisson(self.counts))

    def _with(self, yields: QuadraticForm, basis: str) -> PoissonDataset:
        return PoissonDataset(
            self.name, yields, self.counts, basis=basis, response=self.response, metadata=self.metadata
        )

    def in_basis(self, target: str) -> PoissonDataset:
        """Return the dataset in the coefficients of another basis; operators unknown there are an error.

        `metadata["incomplete"]` of the result names the new coefficients that also move old ones which this
        dataset does not have (see `operators.incomplete`).
        """
        if target == self.basis:
            return self
        names, matrix = translation(self.operators, self.basis, target)
        dataset = self._with(self.yields.change_basis(names, matrix), target)
        dataset.metadata["incomplete"] = incomplete(self.operators, self.basis, target)
        return dataset

    def restrict(self, operators: Sequence[str]) -> PoissonDataset:
        """Return the dataset with every operator but these set to zero."""
        return self._with(self.yields.restrict(operators), self.basis)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file with the manifest in its header."""
        arrays = {"yields": self.yields.coefficients, "counts": self.counts}
        if self.response is not None:
            arrays |= {"response.linear": self.response.linear, "response.quadratic": self.response.quadratic}
        manifest = {
            "name": self.name,
            "operators": list(self.operators),
            "basis": self.basis,
            "units": UNITS,
            "Lambda": "1 TeV",
            "nuisances": list(self.nuisances),
            "metadata": self.metadata,
        }
        storage.write(path, KIND, arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PoissonDataset:
        """Read a file written by `save`; raise InputError for a damaged file or another unit."""
        arrays, head = storage.read(path, KIND)
        if head.get("units") != UNITS:
            raise InputError(f"{path} has coefficients in {head.get('units')}, not {UNITS}; convert it first")
        with fitting(path, KIND):
            names, response = tuple(head.get("nuisances", ())), None
            if names:
                response = Nuisances(names, arrays["response.linear"], arrays["response.quadratic"])
            return cls(
                head["name"],
                Polynomial(head["operators"], arrays["yields"]),
                arrays["counts"],
                basis=head["basis"],
                response=response,
                metadata=unbinned_file.metadata_of(head),
            )


def without_events(term: ExtendedTerm) -> PoissonDataset:
    """Return the likelihood of a term in which nothing was counted: a bin of count 0 per group of yields."""
    yields = term._yield
    response = None
    if yields.linear is not None and yields.quadratic is not None:
        response = Nuisances(term.nuisances, yields.linear, yields.quadratic)
    return PoissonDataset(
        term.name, yields.form, np.zeros(len(yields.form)), basis=term.basis, response=response,
        metadata=getattr(term, "metadata", {}),
    )  # fmt: skip


def bin_index(features: pd.DataFrame, edges: Mapping[str, Sequence[float]]) -> NDArray[np.int64]:
    """Return the cell of each row of a frame (N, F) in the grid of the edges, (N,); -1 outside.

    edges: increasing bin edges by feature, lower ones inside a bin; cells count with the last feature
    fastest. Raises InputError for an unknown feature and for edges that do not increase.
    """
    index = np.zeros(len(features), dtype=np.int64)
    inside = np.ones(len(features), dtype=bool)
    for feature, values in edges.items():
        b = np.asarray(values, dtype=float)
        if b.ndim != 1 or b.size < 2 or not np.all(b[1:] > b[:-1]):
            raise InputError(f"edges of {feature!r} must increase and be at least two, got {list(values)}")
        if feature not in features:
            known = ", ".join(map(str, features.columns))
            raise InputError(
                f"unknown feature {feature!r}; known are {known}.{nearest(feature, features.columns)}"
            )
        where = np.searchsorted(b, features[feature].to_numpy(dtype=float), side="right") - 1
        inside &= (where >= 0) & (where < b.size - 1)
        index = index * (b.size - 1) + where
    return np.where(inside, index, -1)


def sum_in_bins(events: Events, index: NDArray[np.int64], bins: int, scale: float = 1.0) -> Polynomial:
    """Return the yields nu_b(c) of events with truth, batch (bins,), given the bin of each event (N,).

    scale: expected events per pb. Events of index -1 count nowhere. Raises InputError without truth.
    """
    if events.truth is None:
        raise InputError("binning needs events with truth polynomials")
    kept = index >= 0
    weights = scale * np.asarray(events.weights)[kept]
    total = np.zeros((bins, events.truth.coefficients.shape[1]))
    np.add.at(total, index[kept], events.truth.coefficients[kept] * weights[:, None])
    return Polynomial(events.truth.operators, total)


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
    cells = bin_index(events.features, edges)
    inside = cells >= 0
    if not inside.any():
        raise InputError(f"none of the {len(events)} events lies inside the edges of {', '.join(edges)}")
    filled, index = np.unique(cells[inside], return_inverse=True)
    cells[inside] = index
    metadata = {
        "edges": {feature: [float(x) for x in values] for feature, values in edges.items()},
        "sources": list(events.sources),
    }
    return PoissonDataset(
        name,
        sum_in_bins(events, cells, filled.size, scale),
        basis=basis or events.metadata.get("basis", "warsaw"),
        metadata=metadata,
    )
