"""What the columns of a table mean: which are features, and which make up the weights and polynomials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from ..polynomial import Polynomial, size
from . import morphing
from .assembly import Benchmarks, Point, Weighting, assemble, finite, normalise
from .events import Events

Features = Sequence[str] | Mapping[str, str] | None


class LayoutOptions(TypedDict, total=False):
    """What the columns of a table mean.

    features: columns, or {feature: column}; default every numeric column that is not a weight.
    points: {weight column: {operator: value in TeV^-2}}, weights that are inverted to polynomials.
    polynomial: {monomial: column} with monomials '1', 'cHW', 'cHW^2', 'cHW*cHB', those left out being zero.
        With '1' the coefficients are absolute (pb), without it relative to the SM weight.
    operators: those to keep.
    nominal: column that multiplies every weight; alone, it is the SM weight, and without any weights all
        events count the same.
    """

    features: Features
    points: Mapping[str, Point] | None
    polynomial: Mapping[str, str] | None
    operators: Sequence[str] | None
    nominal: str | None


@dataclass(frozen=True)
class Columns:
    """`LayoutOptions` with a value for each."""

    features: Features = None
    points: Mapping[str, Point] | None = None
    polynomial: Mapping[str, str] | None = None
    operators: Sequence[str] | None = None
    nominal: str | None = None


@dataclass(frozen=True)
class Layout:
    """The meaning of columns: features {name: column}, weights at benchmarks or polynomial coefficients.

    benchmarks: the points of the weight columns.
    terms: the monomial in `operators` of each polynomial column.
    relative: the polynomial columns are ratios to the SM weight, for which the first term stands.
    nominal: a column that multiplies all weights.
    """

    features: dict[str, str]
    weights: tuple[str, ...] = ()
    benchmarks: Benchmarks | None = None
    operators: tuple[str, ...] = ()
    terms: tuple[int, ...] = ()
    relative: bool = False
    nominal: str | None = None

    @property
    def unweighted(self) -> bool:
        """Whether nothing says what an event's weight is, so that all count the same."""
        return self.nominal is None and (self.relative or not self.weights)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is needed, once."""
        extra = () if self.nominal is None else (self.nominal,)
        return tuple(dict.fromkeys((*self.features.values(), *self.weights, *extra)))

    def split(
        self, block: Mapping[str, np.ndarray], source: str, first: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return features (N, F) and weights (N, W), nominal weight included, of a block of events.

        Without weight columns W is one, the nominal weight or 1. Raises InputError naming the first event and
        column that is not finite.
        """
        n = len(next(iter(block.values())))
        features = _stack([block[c] for c in self.features.values()], n)
        weights = _stack([block[c] for c in self.weights], n)
        finite(features, list(self.features), "feature", source, first)
        finite(weights, self.weights, "weight", source, first)
        nominal = np.ones((n, 1))
        if self.nominal is not None:
            nominal = block[self.nominal][:, None]
            finite(nominal, [self.nominal], "weight", source, first)
        lead = nominal if self.relative or not self.weights else np.empty((n, 0))
        weights = np.concatenate([lead, weights * nominal], axis=1)
        return features, finite(weights, [*[""] * lead.shape[1], *self.weights], "weight", source, first)

    def events(
        self,
        features: np.ndarray,
        weights: np.ndarray,
        source: str,
        weighting: Weighting,
    ) -> Events:
        """Return Events from what `split` returned."""
        frame = pd.DataFrame(features, columns=list(self.features))
        if not len(frame):
            raise InputError(f"{source} holds no events")
        if self.benchmarks is not None:
            return assemble(frame, weights, self.benchmarks, source, weighting)
        about = dict(weighting.metadata or {})
        sm, truth = weights[:, 0], None
        if self.terms:
            where = list(self.terms)
            try:
                kept = morphing.positive(weights[:, where.index(0)], weighting.non_positive)
            except InputError as error:
                raise InputError(f"{source}: {error}") from None
            sm = weights[kept, where.index(0)]
            packed = np.zeros((len(sm), size(len(self.operators))))
            with np.errstate(over="ignore"):
                packed[:, where] = weights[kept] / sm[:, None]
            frame, truth = frame[kept], Polynomial(self.operators, packed)
            about["events_dropped"] = int(np.sum(~kept))
        sm = normalise(sm, weighting.cross_section_pb, source)
        return Events(frame, truth, sm, metadata=about)


def _stack(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    return np.stack(columns, axis=1).astype(float) if columns else np.empty((n, 0))


def make_layout(available: Sequence[str], numeric: Sequence[str], source: str, columns: Columns) -> Layout:
    """Return the layout that the options of a user describe.

    available: columns that exist; numeric: those of them that default features may be.
    Raises InputError for a column that does not exist, naming the nearest, and contradicting options.
    """
    features, points, polynomial = columns.features, columns.points, columns.polynomial
    operators, nominal = columns.operators, columns.nominal
    if points is not None and polynomial is not None:
        raise InputError("pass points= (weights at points) or polynomial= (coefficients), not both")
    benchmarks = None
    weights: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    terms: tuple[int, ...] = ()
    if points is not None:
        benchmarks = Benchmarks.parse(points, operators, source)
        weights = benchmarks.labels
        used: Sequence[str] = [*points]
    elif polynomial is not None:
        names, terms, weights = _polynomial(polynomial, operators, source)
        used = [*polynomial.values()]
    else:
        used = []
    if isinstance(features, str):
        raise InputError(
            f"features must be a list of columns or a mapping, got the single string {features!r}"
        )
    if features is None:
        chosen = {c: c for c in numeric if c not in used and c != nominal}
    else:
        chosen = dict(features) if isinstance(features, Mapping) else {f: f for f in features}
    for column in (*chosen.values(), *weights, *(() if nominal is None else (nominal,))):
        if column not in available:
            known = ", ".join(available[:20]) + (", ..." if len(available) > 20 else "")
            raise InputError(
                f"{source}: unknown column {column!r}; known are {known}.{nearest(str(column), available)}"
            )
    if not chosen:
        raise InputError(f"{source}: no column is left for the features; name them with features=")
    relative = bool(terms) and 0 not in terms
    return Layout(chosen, weights, benchmarks, names, (0, *terms) if relative else terms, relative, nominal)


def _polynomial(
    polynomial: Mapping[str, str], operators: Sequence[str] | None, source: str
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """Return operators, number of the monomial and column of each entry of {monomial: column}."""
    split = {text: _factors(text) for text in polynomial}
    known = tuple(dict.fromkeys(f for factors in split.values() for f in factors))
    names = known if operators is None else tuple(operators)
    for name in names:
        if name not in known:
            raise InputError(
                f"{source}: no monomial holds operator {name!r}; they hold {', '.join(known)}."
                f"{nearest(name, known)}"
            )
    if not names:
        raise InputError("polynomial= names no operator; write monomials as '1', 'cHW', 'cHW^2', 'cHW*cHB'")
    rows, columns = np.triu_indices(len(names) + 1)
    number = {(int(i), int(j)): a for a, (i, j) in enumerate(zip(rows, columns, strict=True))}
    terms: dict[int, str] = {}
    for text, factors in split.items():
        if all(f in names for f in factors):
            i, j = sorted([0, 0, *(names.index(f) + 1 for f in factors)])[-2:]
            if number[i, j] in terms:
                raise InputError(f"polynomial= gives the monomial {text!r} twice")
            terms[number[i, j]] = polynomial[text]
    return names, tuple(terms), tuple(terms.values())


def _factors(text: str) -> list[str]:
    """Return the operators of a monomial such as 'cHW*cHB', 'cHW^2' or '1'."""
    factors: list[str] = []
    for part in str(text).replace(" ", "").split("*"):
        name, _, power = part.partition("^")
        if part != "1":
            factors += [name] * (2 if power == "2" else 1)
        if not name or power not in ("", "2") or len(factors) > 2:
            raise InputError(
                f"cannot read the monomial {text!r}; write '1', 'cHW', 'cHW^2' or 'cHW*cHB', at most "
                "quadratic"
            )
    return factors
