"""Asimov data, pseudo-experiments and bootstraps: all datasets of a likelihood fluctuated together.

At a point p, coefficients and nuisances,

- binned data are drawn from a normal distribution around the prediction with the covariance of the dataset;
- counts are Poisson numbers around their expectation;
- events come in a Poisson number of copies each, see `datasets.resampling`: nu(c) stays as it is;
- the centre of the constraint of a nuisance, the outcome of an auxiliary measurement, is drawn from a normal
  distribution around the true value of the nuisance with the error of the constraint.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..constraints import Constraint
from ..datasets import GaussianDataset, UnbinnedDataset
from ..errors import InputError
from ..likelihood import Likelihood
from ..polynomial import Point
from .parts import by_name, full_point, joint_of

Draw = Callable[[np.random.Generator], Any]


class Experiment:
    """What pseudo-experiments at a point are drawn from.

    likelihood: whose data are replaced. c: the point, mapping by name or in the order of its parameters;
    nuisances that are not in it are zero. reference: the point that observed events represent, not needed for
    simulated ones.
    Raises InputError for a dataset that cannot be fluctuated and for observed events without a reference.
    """

    def __init__(
        self, likelihood: Likelihood, c: Point | None = None, reference: Point | None = None
    ) -> None:
        self.likelihood, joint = likelihood, joint_of(likelihood)
        self.point = full_point(likelihood, c)
        self.values = by_name(joint.parameters, self.point)
        self._places = joint.dataset_points(self.point)
        self._from = None if reference is None else joint.dataset_points(full_point(likelihood, reference))
        self._draws: list[Draw] | None = None

    def _reference(self, name: str) -> np.ndarray | None:
        return None if self._from is None else np.asarray(self._from[name])

    def _prepare(self) -> list[Draw]:
        draws: list[Draw] = []
        for d in self.likelihood.datasets:
            if isinstance(d, UnbinnedDataset):
                draws.append(d.sampler(self._places[d.name], self._held(d)))
            else:
                draws.append(partial(_method(d, "pseudo"), c=self._places[d.name]))
        return draws

    def _held(self, d: UnbinnedDataset) -> np.ndarray | None:
        """Return the reference for observed events; the weights of simulated ones hold where they hold."""
        return self._reference(d.name) if d.observed else None

    def draw(self, rng: np.random.Generator) -> Likelihood:
        """Return the likelihood of one pseudo-experiment."""
        if self._draws is None:
            self._draws = self._prepare()
        datasets = [draw(rng) for draw in self._draws]
        return self.likelihood.with_datasets(datasets, self._centres(rng))

    def asimov(self) -> Likelihood:
        """Return the likelihood of the data as they are expected."""
        datasets = []
        for d in self.likelihood.datasets:
            place = self._places[d.name]
            if isinstance(d, UnbinnedDataset):
                datasets.append(d.asimov(place, self._held(d)))
            else:
                datasets.append(_method(d, "asimov")(place))
        return self.likelihood.with_datasets(datasets, self._centres(None))

    def pool(self) -> float:
        """Return the least number of effective simulated events per expected one, inf without events."""
        least = np.inf
        for d in self.likelihood.datasets:
            if isinstance(d, UnbinnedDataset):
                w = d.expected_weights(self._places[d.name], self._held(d))
                least = min(least, float(w.sum() / np.sum(w**2)))
        return least

    def _centres(self, rng: np.random.Generator | None) -> dict[str, Constraint | None]:
        constraints = dict(self.likelihood.constraints)
        for name, pair in constraints.items():
            if pair is not None and name in self.values:
                shift = 0.0 if rng is None else float(rng.normal()) * pair[1]
                constraints[name] = (self.values[name] + shift, pair[1])
        return constraints


def _method(dataset: Any, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(dataset, name, None)
    if found is None:
        raise InputError(
            f"dataset {dataset.name!r} of type {type(dataset).__name__} cannot be fluctuated: it has no "
            f"method {name!r}"
        )
    return found


def asimov(likelihood: Likelihood, c: Point | None = None, *, reference: Point | None = None) -> Likelihood:
    """Return the likelihood whose data are those expected at c, default the SM.

    The fit of these data gives c back, up to the difference between the expected yield nu and the sum of the
    events of an unbinned dataset. Arguments and errors as in `Experiment`.
    """
    return Experiment(likelihood, c, reference).asimov()


def pseudo_experiment(
    likelihood: Likelihood, c: Point | None, rng: np.random.Generator, *, reference: Point | None = None
) -> Likelihood:
    """Return the likelihood of one pseudo-experiment at c, all data fluctuated together.

    rng: of numpy; the same one gives the same data. For many of them at one point use `Experiment.draw`,
    which prepares them once. Arguments and errors as in `Experiment`.
    """
    return Experiment(likelihood, c, reference).draw(rng)


def bootstrap(likelihood: Likelihood, rng: np.random.Generator) -> Likelihood:
    """Return the likelihood of the data fluctuated around themselves, one replica as SMEFiT makes them.

    Binned data get a normal fluctuation with their experimental covariance, counts are Poisson numbers with
    the observed ones as means, events come in a Poisson number of copies each, mean their weight, and the
    centres of constraints move by their errors.
    """
    datasets = [_fluctuated(d, rng) for d in likelihood.datasets]
    centres: dict[str, Constraint | None] = dict(likelihood.constraints)
    free = joint_of(likelihood).nuisances
    for name, pair in centres.items():
        if pair is not None and name in free:
            centres[name] = (pair[0] + float(rng.normal()) * pair[1], pair[1])
    return likelihood.with_datasets(datasets, centres)


def _fluctuated(dataset: Any, rng: np.random.Generator) -> Any:
    if not isinstance(dataset, GaussianDataset):
        return _method(dataset, "bootstrap")(rng)
    scale = np.sqrt(np.diag(dataset.sampling_covariance))
    correlation = dataset.sampling_covariance / np.outer(scale, scale)
    values, axes = np.linalg.eigh(correlation)
    noise = axes @ (np.sqrt(np.maximum(values, 0.0)) * rng.standard_normal(len(scale)))
    return dataset.replace(data=dataset.data + scale * noise)
