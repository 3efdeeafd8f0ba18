"""UnbinnedDataset: an exported unbinned measurement, one file, one term of a global fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import DTypeLike

from .. import storage
from ..errors import InputError
from ..events.nuisance import Nuisances
from ..inputfile import fitting
from ..operators import UNITS, incomplete, translation
from ..polynomial import Array, Point, Polynomial, QuadraticForm, SumOfSquares, as_point
from . import unbinned_file
from .extended import ExtendedTerm, log_ratio, scan
from .poisson import PoissonDataset, without_events
from .rates import Component
from .resampling import Source, relative_rates

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["UnbinnedDataset", "log_ratio"]

ARGUMENTS = (
    "name", "ratios", "expected", "weights", "basis", "response", "expected_response", "backgrounds",
    "spread", "replicas", "metadata", "threads",
)  # fmt: skip
KIND = "unbinned dataset"
"""Kind of the files."""


class EventOptions(TypedDict, total=False):
    """What else is known of N events than their ratios; nothing by default.

    response, expected_response: of events and yield to nuisance parameters, see `rates.Component`.
    backgrounds: further components, see `rates.Component`.
    spread: (N, P) standard deviation of the packed ratio coefficients over the ensemble, or None.
    replicas: batch (M, N), the ratios of each of M networks, whose mean or median the ratios are, or None.
    """

    response: Nuisances | None
    expected_response: Nuisances | None
    backgrounds: Sequence[Component]
    spread: Array | None
    replicas: QuadraticForm | None


@dataclass(frozen=True)
class EventParts:
    """`EventOptions` with a value for each."""

    response: Nuisances | None = None
    expected_response: Nuisances | None = None
    backgrounds: Sequence[Component] = ()
    spread: Array | None = None
    replicas: QuadraticForm | None = None


class UnbinnedDataset(ExtendedTerm):
    """Events with their ratio polynomials r(x_e|c), and the expected yield nu(c).

    name: how fits and reports call it.
    ratios: quadratic forms with batch (N,), 1 at the SM: Polynomial or SumOfSquares, kept as they are, in
        single or double precision, in memory or in a mapped file.
    expected: nu(c) in events, batch () or (G,), or the number of events as a form without operators.
    weights: (N,), None for observed data (all 1); fractional for an Asimov sample.
    basis: the name set of the operators (`operators.DATASET_BASES`); coefficients are c/Lambda^2 in TeV^-2.
    metadata: JSON types; `export` records process, energy, luminosity, input scheme, features, seeds.
    threads: at most, for large datasets; None takes OMP_NUM_THREADS or the cores of the process.
    options: response, expected_response, backgrounds, spread and replicas, see `EventOptions`.
    Raises InputError for values, shapes and names that do not fit, for no events, and for weights all zero.
    """

    def __init__(
        self,
        name: str,
        ratios: QuadraticForm,
        expected: QuadraticForm,
        weights: Array | None = None,
        *,
        basis: str = "warsaw",
        metadata: Mapping[str, Any] | None = None,
        threads: int | None = None,
        **options: Unpack[EventOptions],
    ) -> None:
        parts = EventParts(**options)
        spread, replicas = parts.spread, parts.replicas
        if isinstance(ratios, QuadraticForm) and ratios.batch_shape == (0,):
            raise InputError(
                f"dataset {name!r} has no events; check the selection. Where none was observed, that is a "
                "PoissonDataset with one bin of count 0"
            )
        signal = Component(ratios, expected, parts.response, parts.expected_response)
        super().__init__(name, [signal, *parts.backgrounds], weights, basis, threads=threads)
        if not self.weights.any():
            raise InputError(
                f"dataset {name!r}: the weights of all {len(self)} events are zero; check luminosity and "
                "efficiency"
            )
        self.spread = None if spread is None else np.asarray(spread)
        if self.spread is not None and self.spread.shape != (len(self), self._packed):
            raise InputError(
                f"dataset {name!r}: spread has shape {self.spread.shape}, expected that of the packed "
                f"ratios, {(len(self), self._packed)}"
            )
        if self.spread is not None and not np.all(np.isfinite(self.spread)):
            raise InputError(f"dataset {name!r}: spread not finite in some entries; make it anew")
        self.replicas = replicas
        if replicas is not None and (
            len(replicas.batch_shape) != 2
            or replicas.batch_shape[1] != len(self)
            or replicas.operators != self.operators
        ):
            raise InputError(
                f"dataset {name!r}: replicas need the operators of the ratios and batch (M, {len(self)}), "
                f"got ({', '.join(replicas.operators)}) and {replicas.batch_shape}"
            )
        members = () if replicas is None else [replicas[m] for m in range(replicas.batch_shape[0])]
        if not all(scan(member)[0].all() for member in members):
            raise InputError(f"dataset {name!r}: replicas not finite in some entries; make it anew")
        self.metadata: dict[str, Any] = dict(metadata or {})

    @property
    def _packed(self) -> int:
        n = len(self.operators)
        return (n + 1) * (n + 2) // 2

    def __repr__(self) -> str:
        responding = f"; nuisances {', '.join(self.nuisances)}" if self.nuisances else ""
        return f"UnbinnedDataset({self.name!r}, {len(self)} events, {', '.join(self.operators)}{responding})"

    def replace(self, **changes: Any) -> UnbinnedDataset:
        """Return the dataset with some of the arguments of the constructor replaced."""
        kept = {key: getattr(self, key) for key in ARGUMENTS}
        return UnbinnedDataset(**{**kept, **changes})

    def _with(self, names: Sequence[str], transformation: Array, basis: str) -> UnbinnedDataset:
        def new(form: QuadraticForm) -> QuadraticForm:
            return form.align(self.operators).change_basis(names, transformation)

        spread = self.spread
        if spread is not None:  # propagated coefficient by coefficient, without their correlation
            full = np.zeros((len(self.operators) + 1, len(names) + 1))
            full[0, 0], full[1:, 1:] = 1.0, np.abs(transformation)
            spread = Polynomial(self.operators, spread).substitute(names, full).coefficients
        return self.replace(
            ratios=new(self.ratios),
            expected=new(self.expected),
            backgrounds=[
                Component(new(b.ratios), new(b.expected), b.response, b.expected_response)
                for b in self.backgrounds
            ],
            basis=basis,
            spread=spread,
            replicas=None if self.replicas is None else new(self.replicas),
        )

    def in_basis(self, target: str) -> UnbinnedDataset:
        """Return the dataset in the coefficients of another basis; operators unknown there are an error.

        `metadata["incomplete"]` of the result names the new coefficients that also move old ones which this
        dataset does not have (see `operators.incomplete`).
        """
        if target == self.basis:
            return self
        names, matrix = translation(self.operators, self.basis, target)
        dataset = self._with(names, matrix, target)
        dataset.metadata["incomplete"] = incomplete(self.operators, self.basis, target)
        return dataset

    def restrict(self, operators: Sequence[str]) -> UnbinnedDataset:
        """Return the dataset with every operator but these set to zero."""
        names = self.ratios.restrict(operators).operators
        same = [float(a == b) for a in self.operators for b in names]
        return self._with(names, np.reshape(same, (len(self.operators), len(names))), self.basis)

    def replica(self, m: int) -> UnbinnedDataset:
        """Return the dataset with the ratios of one network of the ensemble; m from 0."""
        if self.replicas is None:
            raise InputError(f"dataset {self.name!r} holds no replicas; export it with replicas=True")
        return self.replace(ratios=self.replicas[m], spread=None, replicas=None)

    @property
    def observed(self) -> bool:
        """Whether the events were counted, as those of pseudo-data are: not the expectation at some point.

        `metadata["data"]` says so; where it does not, they are if all weights are whole numbers.
        """
        data = self.metadata.get("data")
        if data in ("observed", "toy", "asimov"):
            return bool(data != "asimov")
        return bool(np.all(self.weights == np.round(self.weights)))

    def _holds_at(self, reference: Point | None) -> Point:
        """Return the point at which the weights are the expectation."""
        if reference is not None:
            return reference
        if self.observed:
            raise InputError(
                f"dataset {self.name!r} holds {len(self)} observed events, not an expectation. Take one of "
                "simulated events (export with pseudo_data='asimov'), or name the point they represent, "
                "reference=best fit: pseudo-data then follow a density estimated from the data"
            )
        at = {name: x for name, x in self.metadata.get("at", {}).items() if x}
        if lost := [name for name in at if name not in self.parameters]:
            raise InputError(
                f"dataset {self.name!r} is Asimov data at a point with {', '.join(lost)}, which it does not "
                "depend on any more; pass reference=the point in the present coefficients"
            )
        return at

    def take(self, index: Array, weights: Array) -> UnbinnedDataset | PoissonDataset:
        """Return the dataset with some of its events, (k,) indices, at other weights (k,).

        What the networks of an ensemble say of each event is left out. Without any event it is a
        PoissonDataset in which nothing was counted.
        """
        if not np.any(weights):
            return without_events(self)
        return self.replace(
            ratios=self.ratios[index],
            weights=weights,
            response=None if self.response is None else self.response[index],
            backgrounds=[
                Component(
                    b.ratios[index],
                    b.expected,
                    None if b.response is None else b.response[index],
                    b.expected_response,
                )
                for b in self.backgrounds
            ],
            spread=None,
            replicas=None,
            metadata={**self.metadata, "data": "toy"},
        )

    def expected_weights(self, c: Point, reference: Point | None = None) -> Array:
        """Return how many events each of them stands for at c, w_e r_e(c)/r_e(reference), (N,).

        c, reference: coefficients and nuisances, mapping by name or (n + K,). The weights of simulated events
        hold at the point of the Asimov data, `metadata["at"]`, which is the SM where there is none: this is
        the default reference. Raises InputError without one for observed events, of an unknown point.
        """
        return np.asarray(self.weights * relative_rates(self, c, self._holds_at(reference)))

    def expected_count(self, c: Point) -> float:
        """Return the expected number of events at c, nu(c) with backgrounds and responses."""
        xp, point, theta = self._split(c)
        return float(self._nu(xp, point, theta))

    def asimov(self, c: Point, reference: Point | None = None) -> UnbinnedDataset:
        """Return the dataset as expected at c, see `expected_weights`."""
        values = np.asarray(as_point(c, self.parameters), dtype=float)
        at = {name: float(x) for name, x in zip(self.parameters, values, strict=True) if x}
        metadata = {**self.metadata, "at": at, "data": "asimov"}
        return self.replace(weights=self.expected_weights(c, reference), metadata=metadata)

    def sampler(
        self, c: Point, reference: Point | None = None
    ) -> Callable[[np.random.Generator], UnbinnedDataset | PoissonDataset]:
        """Return a function that draws pseudo-data at c: Poisson copies of each event, and nu(c) as it is.

        The means of the copies are those of `expected_weights`. Only events with copies are held.
        """
        source = Source.of(self.expected_weights(c, reference))

        def draw(rng: np.random.Generator) -> UnbinnedDataset | PoissonDataset:
            return self.take(*np.unique(source.draw(rng), return_counts=True))

        return draw

    def pseudo(
        self, rng: np.random.Generator, c: Point, reference: Point | None = None
    ) -> UnbinnedDataset | PoissonDataset:
        """Return pseudo-data at c, one draw of `sampler`."""
        return self.sampler(c, reference)(rng)

    def bootstrap(self, rng: np.random.Generator) -> UnbinnedDataset | PoissonDataset:
        """Return the data fluctuated around themselves: every event a Poisson number of times, mean w_e."""
        copies = rng.poisson(self.weights)
        index = np.flatnonzero(copies)
        return self.take(index, copies[index])

    def with_luminosity(self, uncertainty: float, name: str = "luminosity") -> UnbinnedDataset:
        """Return the dataset with one more nuisance: all rates scale with (1 + uncertainty)^theta.

        uncertainty: relative, one standard deviation. name: under which it is shared with other datasets.
        """
        if not 0 < uncertainty < 1 or name in self.nuisances:
            raise InputError(
                f"dataset {self.name!r}: an uncertainty between 0 and 1 of a new name is needed, got "
                f"{uncertainty} and {name!r}"
            )
        rate = np.log1p(uncertainty)

        def scaled(response: Nuisances | None, rows: int) -> Nuisances:
            own = Nuisances((name,), np.full((rows, 1), rate), np.zeros((rows, 1)))
            return own if response is None else response.join(own)

        def groups(form: QuadraticForm) -> int:
            return form.batch_shape[0] if form.batch_shape else 1

        n = len(self)
        return self.replace(
            response=scaled(self.response, n),
            expected_response=scaled(self.expected_response, groups(self.expected)),
            backgrounds=[
                Component(
                    b.ratios,
                    b.expected,
                    scaled(b.response, n),
                    scaled(b.expected_response, groups(b.expected)),
                )
                for b in self.backgrounds
            ],
        )

    def astype(self, dtype: DTypeLike, points: int = 64) -> UnbinnedDataset:
        """Return the dataset with its ratios in another precision, float32 say, which halves its size.

        `metadata["precision"]` records the largest change of -2 log L seen at `points` points that lie up to
        three standard deviations around the SM, as the curvature there has them.
        """
        form = self.ratios
        if isinstance(form, SumOfSquares):
            stored: QuadraticForm = SumOfSquares(form.operators, form.factors.astype(dtype))
        else:
            stored = Polynomial(form.operators, form.dense().coefficients.astype(dtype))
        new = self.replace(ratios=stored)
        curvature = np.diag(self.hessian(np.zeros(len(self.parameters))))
        sigma = np.sqrt(2.0 / np.where(curvature > 0, curvature, np.inf))
        where = np.random.default_rng(0).uniform(-3.0, 3.0, (points, len(sigma))) * sigma
        change = float(np.abs(new.m2logl(where) - self.m2logl(where)).max(initial=0.0))
        new.metadata["precision"] = {"type": str(np.dtype(dtype)), "largest_change": change, "points": points}
        return new

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file with the manifest in its header."""
        arrays, manifest = unbinned_file.pack(self)
        storage.write(path, KIND, arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> UnbinnedDataset:
        """Read a file written by `save`; raise InputError for a damaged file or another unit.

        The numbers stay in the file and are fetched as they are needed; a file larger than memory will do.
        """
        arrays, head = storage.read(path, KIND, mapped=True)
        if head.get("units") != UNITS:
            raise InputError(f"{path} has coefficients in {head.get('units')}, not {UNITS}; convert it first")
        with fitting(path, KIND):
            return cls(**unbinned_file.unpack(arrays, head))
