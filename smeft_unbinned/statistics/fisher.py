"""Fisher information: which measurement constrains which coefficient, and which directions are constrained.

The expected information at a point is the mean of the outer product of the derivatives of log L,

    J^T V^-1 J           for normally distributed data with the prediction t, J = dt/dp,
    sum_b nu'_b nu'_b/nu_b         for counts,
    sum_e w_e r'_e r'_e/r_e^2      for events, w_e the expected number of events that each stands for,

and 1/error^2 for the constraint of a nuisance parameter. They add up over datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..datasets import GaussianDataset, PoissonDataset, UnbinnedDataset
from ..datasets.extended import ExtendedTerm
from ..datasets.resampling import information
from ..directions import in_words
from ..errors import InputError
from ..likelihood import Likelihood
from ..polynomial import Point
from .flat import FLAT, free_directions, in_units, spectrum
from .parts import by_name, full_point, groups, joint_of, unique

SPLITS = ("additive", "conditional")
CONSTRAINTS = "constraints"


@dataclass(frozen=True, eq=False)
class Fisher:
    """Expected Fisher information at a point; coefficients in TeV^-2, so information in TeV^4.

    operators: the coefficients. parameters: with the nuisances after them, p in number.
    point: by name. parts: (p, p) by measurement, in the order of the datasets; those of additive splits sum
    up to the whole. total: (p, p), of everything. split: how correlated measurements share their information.
    """

    operators: tuple[str, ...]
    parameters: tuple[str, ...]
    point: Mapping[str, float]
    parts: Mapping[str, np.ndarray]
    total: np.ndarray
    split: str

    def __repr__(self) -> str:
        return f"Fisher({len(self.operators)} coefficients, {len(self.parts)} measurements)"

    @property
    def matrix(self) -> pd.DataFrame:
        """The whole information, frame (p, p)."""
        return pd.DataFrame(self.total, list(self.parameters), list(self.parameters))

    @property
    def information(self) -> pd.DataFrame:
        """What each measurement says about each parameter alone: diagonals, one column per part."""
        columns = {name: np.diag(part) for name, part in self.parts.items()}
        return pd.DataFrame(columns, index=list(self.parameters))

    @property
    def table(self) -> pd.DataFrame:
        """The same in percent of the sum over measurements: every row sums to 100.

        NaN where nothing is known about a parameter at this point. Shares of correlated measurements may be
        negative in additive splits.
        """
        absolute = self.information
        total = absolute.sum(axis=1)
        return 100.0 * absolute.div(total.where(total > 0), axis=0)

    @cached_property
    def coefficients(self) -> np.ndarray:
        """The information on the coefficients when nuisances are fitted too, (n, n): a Schur complement."""
        n = len(self.operators)
        own, mixed, rest = self.total[:n, :n], self.total[:n, n:], self.total[n:, n:]
        if not rest.size:
            return own
        return np.asarray(own - mixed @ np.linalg.pinv(rest, hermitian=True) @ mixed.T)

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """The directions of the coefficients without information, in words."""
        return tuple(in_words(row, self.operators) for row in free_directions(self.coefficients))

    @property
    def covariance(self) -> pd.DataFrame:
        """The covariance to be expected, frame (p, p). Raises InputError, naming flat directions."""
        free = free_directions(self.total)
        if len(free):
            text = "; ".join(in_words(row, self.parameters) for row in free)
            raise InputError(
                f"the Fisher information has no inverse: no dataset constrains the direction {text}; fix one "
                "coefficient of each, or take a point where quadratic terms constrain it"
            )
        scale = 1.0 / np.sqrt(np.diag(self.total))
        inverse = np.linalg.inv(self.total * np.outer(scale, scale)) * np.outer(scale, scale)
        return pd.DataFrame(0.5 * (inverse + inverse.T), list(self.parameters), list(self.parameters))

    @property
    def errors(self) -> pd.DataFrame:
        """Expected errors by coefficient: `individual`, the others fixed, and `marginal`, inf where flat."""
        own = np.diag(self.total)[: len(self.operators)]
        with np.errstate(divide="ignore"):
            individual = 1.0 / np.sqrt(np.maximum(own, 0.0))
        return pd.DataFrame(
            {"individual": individual, "marginal": self._marginal()}, index=list(self.operators)
        )

    def _marginal(self) -> np.ndarray:
        d, values, vectors = in_units(self.coefficients)
        kept, free = values > FLAT, free_directions(self.coefficients)
        errors = np.sqrt((vectors[:, kept] ** 2 / values[kept]).sum(axis=1)) / d
        touched = np.abs(free).max(axis=0, initial=0.0) > 1e-6 if len(free) else np.zeros(len(d), dtype=bool)
        return np.where(touched, np.inf, errors)

    @property
    def eigen(self) -> pd.DataFrame:
        """Eigenvectors of `coefficients` in rows, best constrained first: the eigenvalue, then components."""
        values, vectors = spectrum(self.coefficients)
        frame = pd.DataFrame(vectors.T, self._labels(), list(self.operators))
        frame.insert(0, "eigenvalue", values)
        return frame

    def _labels(self) -> list[str]:
        return [f"PC{i + 1}" for i in range(len(self.operators))]

    def principal_components(self, leading: int = 4) -> pd.DataFrame:
        """Return one row per eigenvector of the information on the coefficients, best constrained first.

        eigenvalue (TeV^4) and error (TeV^-2, inf where flat); direction: its `leading` largest components in
        words, and fraction: how much of its length squared they are; measurement: what says most about it,
        and
        share: how much that is of the whole, in percent.
        """
        values, vectors = spectrum(self.coefficients)
        n, rows = len(self.operators), []
        for value, v in zip(values, vectors.T, strict=True):
            flat = value == 0.0
            kept = np.argsort(-np.abs(v), kind="stable")[:leading]
            shown = np.zeros_like(v)
            shown[kept] = v[kept]
            own = {name: float(v @ part[:n, :n] @ v) for name, part in self.parts.items()}
            best, total = max(own, key=lambda name: own[name]), sum(own.values())
            rows.append(
                {
                    "eigenvalue": value,
                    "error": np.inf if flat else value**-0.5,
                    "direction": in_words(shown, self.operators),
                    "fraction": float(np.sum(v[kept] ** 2)),
                    "measurement": "none" if flat else best,
                    "share": np.nan if flat else 100.0 * own[best] / total,
                }
            )
        return pd.DataFrame(rows, index=self._labels())


def fisher(
    likelihood: Likelihood,
    c: Point | None = None,
    *,
    split: str = "additive",
    reference: Point | None = None,
) -> Fisher:
    """Return the expected Fisher information at c, default the SM, by measurement.

    c: mapping by name or in the order of the parameters; nuisances left out are zero.
    split: how the measurements of one binned dataset, whose uncertainties may be correlated, share the
        information. "additive" gives measurement i the symmetric part of J_i^T (V^-1 J)_i: the sum is that of
        the whole, and a share may be negative where the measurement serves to know the error of another.
        "conditional" gives J_i^T (V^-1)_ii J_i, as SMEFiT's tables do: what i would add if the fluctuations
        of all others were known. These do not add up to `total`; the rows of `table` still sum to 100.
    reference: the point that observed events represent. Without it they are taken to represent c itself, as
        they do at the best fit; simulated events are reweighted to c from where their weights hold.
    Datasets of other kinds than those of this package count with their curvature, half the Hessian.
    Raises InputError for an unknown split and what `Experiment` refuses.
    """
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    joint = joint_of(likelihood)
    point = full_point(likelihood, c)
    places = joint.dataset_points(point)
    base = None if reference is None else joint.dataset_points(full_point(likelihood, reference))
    named: list[tuple[str, np.ndarray]] = []
    total = np.zeros((len(joint.parameters), len(joint.parameters)))
    for d, jacobian in zip(joint.datasets, joint.jacobians(point).values(), strict=True):
        place = np.asarray(places[d.name])
        whole, own = _dataset(d, place, None if base is None else np.asarray(base[d.name]), split)
        total += jacobian.T @ whole @ jacobian
        named += [(name, jacobian.T @ part @ jacobian) for name, part in own]
    held = {n: pair[1] ** -2 for n, pair in joint.constraints.items() if pair and n in joint.nuisances}
    if held:
        term = np.diag([held.get(name, 0.0) for name in joint.parameters])
        named.append((CONSTRAINTS, term))
        total += term
    parts = dict(zip(unique([name for name, _ in named]), (part for _, part in named), strict=True))
    return Fisher(joint.operators, joint.parameters, by_name(joint.parameters, point), parts, total, split)


def _dataset(
    d: Any, place: np.ndarray, reference: np.ndarray | None, split: str
) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Return the information of a dataset on its own parameters, and that of its measurements by name."""
    if isinstance(d, GaussianDataset):
        return _gaussian(d, place, split)
    if isinstance(d, ExtendedTerm):
        matrix = information(d, place, _weights(d, place, reference))
    else:
        matrix = 0.5 * np.asarray(d.hessian(place))
    return matrix, [(d.name, matrix)]


def _weights(d: ExtendedTerm, place: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
    if isinstance(d, PoissonDataset):
        return d.contents(place)
    if isinstance(d, UnbinnedDataset):
        own = (place if reference is None else reference) if d.observed else None
        return np.asarray(d.expected_weights(place, own))
    return d.weights


def _gaussian(
    d: GaussianDataset, place: np.ndarray, split: str
) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    k = len(d.operators)
    slope = np.concatenate([np.asarray(d.theory.gradient(place[:k])), d.shifts.T], axis=1)  # (n, k + K)
    solved = np.linalg.solve(d.covariance, slope)
    whole = slope.T @ solved
    own = []
    inverse = np.linalg.inv(d.covariance) if split == "conditional" else None
    for name, rows in groups(d):
        half = slope[rows].T @ (solved[rows] if inverse is None else inverse[rows, rows] @ slope[rows])
        own.append((name, 0.5 * (half + half.T)))
    return 0.5 * (whole + whole.T), own
