"""-2 log L of all networks of an ensemble: one function, of which every point belongs to a network.

Network m has a -2 log L_m of its own, with the ratios of network m in every unbinned dataset that holds
replicas, and all other terms as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets import UnbinnedDataset
from ..engine import blocks
from ..errors import InputError, NonPositiveRatio
from ..likelihood import Likelihood
from ..polynomial import Array, Point, as_point, size

Floats = NDArray[Any]


class NetworkTerm:
    """A dataset of which the k-th point belongs to network index[k]; the protocol of datasets, for numpy.

    members: the dataset with each of the M networks. Points are (K, n), with K as long as the index.
    """

    def __init__(self, members: Sequence[UnbinnedDataset], index: NDArray[np.intp], strict: bool) -> None:
        first = members[0]
        self.name, self.basis, self.metadata = first.name, first.basis, first.metadata
        self.operators, self.nuisances = first.operators, first.nuisances
        self.parameters = first.parameters
        self._members, self._index, self._strict = members, index, strict
        order = np.argsort(index, kind="stable")
        self._groups = np.split(order, np.flatnonzero(np.diff(index[order])) + 1)

    @property
    def penalised(self) -> int:
        """How many ratios that are not positive were met so far, over all networks."""
        return sum(d.penalised for d in self._members)

    def _each(self, method: str, c: Point) -> Floats:
        points = np.asarray(as_point(c, self.parameters), dtype=float)
        first, groups = self._members[0], self._groups
        work = float(len(first)) * size(len(first.operators)) * len(points)

        def worker() -> Any:
            def one(part: slice) -> tuple[NDArray[np.intp], Floats]:
                rows = groups[part.start]
                return rows, self._evaluate(int(self._index[rows[0]]), method, points[rows])

            return one

        found = blocks.run(worker, len(groups), 1, blocks.available() if work > blocks.WORTHWHILE else 1)
        rows, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
        ordered = np.empty_like(values)
        ordered[rows] = values
        return ordered

    def _evaluate(self, m: int, method: str, points: Floats) -> Floats:
        member = self._members[m]
        before = member.penalised
        values = np.asarray(getattr(member, method)(points))
        if self._strict and (count := member.penalised - before):
            raise NonPositiveRatio(
                f"dataset {self.name!r}, network {m}: {count} ratios are not positive on the way to the "
                "minimum; leave strict off for a finite penalty"
            )
        return values

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L of each point with its network, (K,), zero at the SM."""
        return self._each("m2logl", c)

    def gradient(self, c: Point) -> Array:
        """Return the first derivatives, (K, n)."""
        return self._each("gradient", c)

    def hessian(self, c: Point) -> Array:
        """Return the second derivatives, (K, n, n)."""
        return self._each("hessian", c)

    def non_positive(self, c: Point) -> int:
        """Return how many events have a rate that is not positive at one point, with the first network."""
        return self._members[int(self._index[0])].non_positive(c)

    def in_basis(self, target: str) -> NetworkTerm:
        """Return the same in another basis."""
        return NetworkTerm([d.in_basis(target) for d in self._members], self._index, self._strict)


def count_networks(likelihood: Likelihood) -> dict[str, int]:
    """Return how many networks each dataset with replicas holds, the same number of at least two.

    Raises InputError where no dataset holds any, and where their numbers do not fit.
    """
    held = {d.name: getattr(d, "replicas", None) for d in likelihood.datasets}
    counts = {name: int(form.batch_shape[0]) for name, form in held.items() if form is not None}
    listing = ", ".join(f"{name}: {count}" for name, count in counts.items())
    if not counts:
        names = ", ".join(held)
        raise InputError(f"no dataset holds replicas ({names}); export an ensemble with replicas=True")
    if len(set(counts.values())) > 1 or min(counts.values()) < 2:
        raise InputError(
            f"datasets need the same number of replicas, two at least, got {listing}; export ensembles "
            "of one size, or drop those of some with replace(replicas=None)"
        )
    return counts


class ReplicaLikelihood:
    """-2 log L_m(p_m) of M networks, each at a point of its own.

    likelihood: of datasets among which at least one holds replicas, as many as any other that does: replica
        m of one goes with replica m of the others. A profiled likelihood is taken with its nuisances free.
    Raises InputError where no dataset holds replicas, where their numbers differ, and for fewer than two.
    """

    def __init__(self, likelihood: Likelihood) -> None:
        self.likelihood: Likelihood = getattr(likelihood, "joint", likelihood)
        self.parameters = self.likelihood.parameters
        counts = count_networks(self.likelihood)
        self.members = next(iter(counts.values()))
        self.datasets = tuple(counts)
        threads = 1 if self.members >= blocks.available() else None
        self._parts = [self._split(d, threads) if d.name in counts else d for d in self.likelihood.datasets]

    def _split(self, dataset: Any, threads: int | None) -> list[UnbinnedDataset]:
        return [dataset.replica(m).replace(threads=threads) for m in range(self.members)]

    def of(self, index: Sequence[int] | NDArray[np.intp]) -> Likelihood:
        """Return the likelihood of points (K, p) of which the k-th belongs to network index[k]."""
        which = np.asarray(index, dtype=np.intp)
        whole = self.likelihood
        terms = [NetworkTerm(d, which, whole.strict) if isinstance(d, list) else d for d in self._parts]
        return Likelihood(
            terms,
            whole.operators,
            fixed=whole.fixed,
            dependent=whole.dependent,
            constraints=whole.constraints,
            evolution=whole.evolution,
            allow_overlap=whole.allow_overlap,
        )

    def _all(self, p: Array) -> tuple[Likelihood, Floats]:
        points = np.asarray(p, dtype=float)
        if points.shape != (self.members, len(self.parameters)):
            raise InputError(
                f"{self.members} networks take points of shape {(self.members, len(self.parameters))}, got "
                f"{points.shape}; of([m, ...]) takes any"
            )
        return self.of(np.arange(self.members)), points

    def m2logl(self, p: Array) -> Floats:
        """Return -2 log L_m(p_m), (M,), at points (M, p); zero at the SM."""
        likelihood, points = self._all(p)
        return np.asarray(likelihood.m2logl(points))

    def gradient(self, p: Array) -> Floats:
        """Return the first derivatives, (M, p)."""
        likelihood, points = self._all(p)
        return np.asarray(likelihood.gradient(points))

    def hessian(self, p: Array) -> Floats:
        """Return the second derivatives, (M, p, p)."""
        likelihood, points = self._all(p)
        return np.asarray(likelihood.hessian(points))
