"""The versions of a measurement: unbinned, shape alone, learned, and binned, all made of the same events.

The data are those expected at one point, so that -2 log L of each version is known to be lowest there, but
for a network. With q = -2 log L relative to that point and N(c) the expected number of events,

    exact     2 [N(c) - N - sum_e w_e log r_e(c)],
    rate      2 [N(c) - N - N log(N(c)/N)],
    shape     the difference of the two, which is `exact` minimised over a free normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..datasets import GaussianDataset, PoissonDataset, UnbinnedDataset
from ..datasets.poisson import sum_in_bins
from ..errors import InputError
from ..events import Events
from ..export import export
from ..polynomial import Array, Point, Polynomial
from .binning import cells_of
from .parabola import parabola
from .sample import Sample
from .schemes import Scheme

Real = NDArray[np.float64]
Data: TypeAlias = "UnbinnedDataset | PoissonDataset | GaussianDataset | ShapeOnly"

EXACT, SHAPE, NETWORK, RATE = "exact", "shape only", "network", "rate"
LEAST = 5.0
"""Expected events below which a bin is not Gaussian."""
ENOUGH = 10.0
"""Effective simulated events per bin below which a version comes with a note."""


class ShapeOnly:
    """-2 log L of events at a free normalisation: that of the events less that of their number."""

    def __init__(self, events: UnbinnedDataset, number: PoissonDataset) -> None:
        self.events, self.number = events, number
        self.name, self.basis, self.operators = events.name, events.basis, events.operators
        self.metadata = events.metadata

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L, zero at the SM, at c (..., n): shape (...)."""
        return self.events.m2logl(c) - self.number.m2logl(c)

    def gradient(self, c: Point) -> Array:
        """Return its first derivatives, (..., n)."""
        return self.events.gradient(c) - self.number.gradient(c)

    def hessian(self, c: Point) -> Array:
        """Return its second derivatives, (..., n, n)."""
        return self.events.hessian(c) - self.number.hessian(c)

    def restrict(self, operators: Sequence[str]) -> ShapeOnly:
        """Return the same with every operator but these set to zero."""
        return ShapeOnly(self.events.restrict(operators), self.number.restrict(operators))

    def in_basis(self, target: str) -> ShapeOnly:
        """Return the same in another basis."""
        return ShapeOnly(self.events.in_basis(target), self.number.in_basis(target))


@dataclass(frozen=True, eq=False)
class Version:
    """One way to read the events.

    name: of the version. kind: "unbinned", "shape", "poisson" or "gaussian". terms: of card.TERMS.
    dataset: its likelihood. known: whether it is lowest at the point of the data, as all but networks are.
    form: ratios that the likelihood sees, batch (N,). index: bin of each event (N,), -1 for none.
    share: (N,), by what the weights are multiplied. bins: how many, None for unbinned. family: see `Scheme`.
    networks: the data with the ratios of every network, None without. binning: what the bins are, JSON types.
    """

    name: str
    kind: str
    terms: str
    dataset: Data
    form: Polynomial
    known: bool = True
    index: NDArray[np.int64] | None = None
    share: Real | None = None
    bins: int | None = None
    family: str = ""
    networks: UnbinnedDataset | None = None
    binning: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def restricted(self, operators: Sequence[str]) -> Data:
        """Return the dataset with every operator but these set to zero."""
        data: Data = restrict(self.dataset, operators)
        return data


def restrict(dataset: Any, operators: Sequence[str]) -> Any:
    """Return a dataset of any kind with every operator but these set to zero."""
    if not isinstance(dataset, GaussianDataset):
        return dataset.restrict(operators)
    return GaussianDataset(
        dataset.name, dataset.data, dataset.theory.restrict(operators).dense(), dataset.covariance,
        basis=dataset.basis, metadata=dataset.metadata,
    )  # fmt: skip


def versions_of(
    sample: Sample, schemes: Sequence[Scheme], terms: Sequence[str], estimator: Any = None
) -> list[Version]:
    """Return all versions in all orders of the rates.

    Raises InputError for schemes that the events do not fit, for Gaussian bins with too few events, and where
    neither the exact ratio nor a network is there.
    """
    if not sample.exact and estimator is None:
        raise InputError(
            "the truth of these events is a label of the event before the detector, so that no unbinned "
            "likelihood can be made of it; give a model, or train one"
        )
    quadratic = [*_unbinned(sample), *_network(sample, estimator)]
    quadratic += [_binned(scheme, sample, estimator) for scheme in schemes]
    return [v if order == "quadratic" else linear(v, sample) for order in terms for v in quadratic]


def linear(version: Version, sample: Sample) -> Version:
    """Return a version with -2 log L to second order in linear rates: a parabola, of Fisher information."""
    score = effective_score(version, sample)
    weights = sample.weights if version.share is None else sample.weights * version.share
    slope = (score * weights[:, None]).T @ score @ sample.at
    if not version.known:  # where the network's rates and those of the data differ
        rate = sample.weights * (1.0 + sample.score @ sample.at)
        slope = rate @ score - sample.weights @ sample.score
    dataset = parabola(
        version.name, sample.operators, (score * weights[:, None]).T @ score, slope, version.dataset.basis
    )
    return Version(
        version.name, version.kind, "linear", dataset, version.form, version.known, version.index,
        version.share, version.bins, version.family, None, version.binning, version.notes,
    )  # fmt: skip


def effective_score(version: Version, sample: Sample) -> Real:
    """Return d log(rate)/dc at the SM of each event as a version sees it, (N, n): in bins, their mean."""
    score = np.asarray(version.form.linear, dtype=float)
    if version.kind == "shape":
        return np.asarray(score - sample.weights @ score / sample.weights.sum())
    if version.index is None or version.share is None:
        return score
    inside, weights = version.index >= 0, sample.weights * version.share
    rate = np.bincount(version.index[inside], weights[inside])
    result = np.zeros_like(score)
    for k in range(score.shape[1]):
        slope = np.bincount(version.index[inside], (weights * score[:, k])[inside])
        result[inside, k] = (slope / rate)[version.index[inside]]
    return result


def _restricted_events(sample: Sample) -> Events:
    return Events(sample.events.features, sample.truth, sample.events.weights, None, sample.events.metadata)


def _common(sample: Sample) -> dict[str, Any]:
    return {
        "luminosity": sample.luminosity, "efficiency": sample.efficiency, "at": sample.point,
        "seed": sample.seed,
    }  # fmt: skip


def _unbinned(sample: Sample) -> Iterator[Version]:
    if not sample.exact:
        return
    dataset = export(None, _restricted_events(sample), name=EXACT, **_common(sample))
    # rates and yields are of the same events, whose fluctuation therefore shifts no fit
    dataset.metadata["notes"] = []
    number = _poisson(RATE, sample, np.zeros(len(sample.weights), dtype=np.int64), sample.weights)
    shape = ShapeOnly(dataset.replace(name=SHAPE), number)
    yield Version(EXACT, "unbinned", "quadratic", dataset, sample.truth)
    yield Version(SHAPE, "shape", "quadratic", shape, sample.truth)


def _network(sample: Sample, estimator: Any) -> Iterator[Version]:
    if estimator is None:
        return
    several = getattr(estimator, "members", 1) > 1
    whole = export(estimator, sample.events, name=NETWORK, replicas=several, **_common(sample))
    missing = [name for name in sample.operators if name not in whole.operators]
    if missing:
        raise InputError(
            f"the model does not know {', '.join(missing)}; it knows {', '.join(whole.operators)}. "
            "Leave them out of operators, or train another"
        )
    dataset = whole.restrict(sample.operators)
    central = dataset.replace(replicas=None, spread=None)
    yield Version(
        NETWORK, "unbinned", "quadratic", central, dataset.ratios.dense(), known=False,
        networks=dataset if several else None,
    )  # fmt: skip


def _poisson(name: str, sample: Sample, index: NDArray[np.int64], weights: Real) -> PoissonDataset:
    """Return the counts expected at the point of the data, given the bin and weight of each event (N,)."""
    events = Events(sample.events.features, sample.truth, weights)
    yields = sum_in_bins(events, index, int(index.max()) + 1)
    basis = sample.events.metadata.get("basis", "warsaw")
    return PoissonDataset(name, yields, np.asarray(yields.evaluate(sample.at)), basis=basis)


def _binned(scheme: Scheme, sample: Sample, estimator: Any) -> Version:
    index, share, about = cells_of(scheme, sample, estimator)
    weights = sample.weights * share
    poisson = _poisson(scheme.name, sample, index, weights)
    dataset: Data = poisson
    if scheme.likelihood == "gaussian":
        dataset = _gaussian(poisson)
    inside = index >= 0
    sums = [np.bincount(index[inside], x[inside]) for x in (weights, weights**2)]
    poor = int(np.sum(sums[0] ** 2 < ENOUGH * sums[1]))
    notes = (
        f"{poor} of {len(sums[0])} bins hold fewer than {ENOUGH:g} effective simulated events, which makes "
        "them look more sensitive than they are",
    )
    return Version(
        scheme.name, scheme.likelihood, "quadratic", dataset, sample.truth, True, index, share, len(poisson),
        scheme.family, None, about, notes if poor else (),
    )  # fmt: skip


def _gaussian(counts: PoissonDataset) -> GaussianDataset:
    """Return counts with the variance of their expectation; refuse bins with too few of them."""
    few = np.flatnonzero(counts.counts < LEAST)
    if few.size:
        raise InputError(
            f"{counts.name}: {few.size} of {len(counts)} bins expect fewer than {LEAST:g} events, the first "
            f"({counts.counts[few[0]]:.3g} events) is bin {few[0]}, which is not Gaussian; take likelihood: "
            "poisson, or fewer and wider bins"
        )
    return GaussianDataset(
        counts.name, counts.counts, counts.yields, np.diag(counts.counts), basis=counts.basis
    )
