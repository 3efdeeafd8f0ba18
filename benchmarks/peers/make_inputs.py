"""Write simulated pp -> ZH events as plain arrays, for programs that run in an environment of their own.

python benchmarks/peers/make_inputs.py FOLDER [--events 100000 --test 20000 --operators cHW,cHq3]

FOLDER receives

- train.npz, test.npz: features (N, F), weights (N,) in pb, truth (N, P) with the monomials 1, c_i, c_i c_j
  (i <= j) in order, cross_section (P,) in pb, operators (n,), names (F,);
- sm.npz and, for every term of the ratio, OPERATOR_linear.npz, OPERATOR_quadratic.npz, cross.npz (or
  FIRST_SECOND_cross.npz with more than two operators): features (M, F) of unweighted events that follow
  w (1 + c^k R) with this one term R alone, point (n,) in TeV^-2, cross_section and cross_section_sm in pb;
- points.npy (8, n): points from the Gaussian prior; grid.npy (n, 41): values of each coefficient;
  widths.npy (n,): standard deviations of the prior, all in TeV^-2.

The unweighted samples are drawn from a pool of weighted events that is larger than the sample, so that few
events are repeated in it.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smeft_unbinned import Events
from smeft_unbinned.errors import InputError
from smeft_unbinned.processes import vh
from smeft_unbinned.storage import make_folder, write_bytes

Real = NDArray[np.float64]

POINTS = 8
GRID = 41
LARGEST = 10.0
"""Largest coefficient (TeV^-2) of a linear or quadratic sample."""


class Sample(NamedTuple):
    """Unweighted events of one term: features (M, F), point (n,), sigma in pb, events left out and kept."""

    features: Real
    point: Real
    cross_section: float
    negative_events: int
    negative_share: float
    distinct: int


def monomial(operators: tuple[str, ...], first: str, second: str | None = None) -> int:
    """Return the position of c_first, or of c_first c_second, among the packed monomials."""
    for name in (first, second):
        if name is not None and name not in operators:
            raise InputError(f"unknown coefficient {name!r}; the events have {', '.join(operators)}")
    row = 0 if second is None else operators.index(first) + 1
    column = operators.index(first if second is None else second) + 1
    row, column = min(row, column), max(row, column)
    rows, columns = np.triu_indices(len(operators) + 1)
    return int(np.flatnonzero((rows == row) & (columns == column))[0])


def negative_share(rate: Real) -> float:
    """Return the part of sum |rate| that is negative; rate (N,) includes the weights."""
    return float(np.maximum(-rate, 0.0).sum() / np.abs(rate).sum())


def largest_factor(term: Real, weights: Real, largest: float, share: float = 0.001) -> float:
    """Return the factor f, |f| <= largest, of either sign, that keeps 1 + f R positive as far as asked.

    term: R (N,); weights (N,). Of sixty sizes between largest / 1000 and largest, the largest with at most
    `share` of the rate negative; of two signs with the same size, that of the mean of R.
    Raises InputError if no size qualifies.
    """
    favoured = 1.0 if np.sum(weights * term) >= 0.0 else -1.0
    for size in np.geomspace(largest, largest / 1000.0, 60):
        for sign in (favoured, -favoured):
            if negative_share(weights * (1.0 + sign * size * term)) <= share:
                return float(sign * size)
    raise InputError(
        f"the rate is negative for more than {share:.1%} of it at every size down to {largest / 1000:g}"
    )


def draw(
    events: Events, first: str | None, second: str | None, n: int, *, seed: int, largest: float = LARGEST
) -> Sample:
    """Draw n unweighted events, with replacement, from w (1 + f R) with R one coefficient of the truth.

    first, second: R multiplies c_first (second None) or c_first c_second; both None draws from the SM.
    The factor f is the product of the coefficients at the point: largest^2 for a square, and the largest one
    that keeps the rate positive, see `largest_factor`, for the others. Events of negative rate are left out
    and counted, and sigma is that of the others. Raises InputError without truth or for unknown names.
    """
    if events.truth is None or events.cross_section is None:
        raise InputError("events without truth polynomials cannot be drawn at another point")
    weights, operators = np.asarray(events.weights), events.truth.operators
    point, sigma = np.zeros(len(operators)), float(events.cross_section.constant)
    rate = weights
    if first is not None:
        index = monomial(operators, first, second)
        term = np.asarray(events.truth.coefficients)[:, index]
        if second is None:
            factor = largest_factor(term, weights, largest)
            point[operators.index(first)] = factor
        elif first == second:
            factor, point[operators.index(first)] = largest**2, largest
        else:
            factor = largest_factor(term, weights, largest**2)
            point[operators.index(first)] = np.sign(factor) * np.sqrt(abs(factor))
            point[operators.index(second)] = np.sqrt(abs(factor))
        rate = weights * (1.0 + factor * term)
        sigma += factor * float(np.asarray(events.cross_section.coefficients)[index])
    negative = rate < 0.0
    sigma -= float(rate[negative].sum())
    share, positive = negative_share(rate), np.where(negative, 0.0, rate)
    rows = np.random.default_rng(seed).choice(len(events), n, p=positive / positive.sum())
    features = events.features.to_numpy(float)[rows]
    return Sample(features, point, sigma, int(negative.sum()), share, len(np.unique(rows)))


def terms(operators: tuple[str, ...]) -> dict[str, tuple[str | None, str | None]]:
    """Return by file name the coefficients of every term of the ratio, the SM included."""
    found: dict[str, tuple[str | None, str | None]] = {"sm": (None, None)}
    found |= {f"{name}_linear": (name, None) for name in operators}
    found |= {f"{name}_quadratic": (name, name) for name in operators}
    pairs = [(a, b) for i, a in enumerate(operators) for b in operators[i + 1 :]]
    return found | {("cross" if len(pairs) == 1 else f"{a}_{b}_cross"): (a, b) for a, b in pairs}


def write_arrays(path: Path, **arrays: object) -> None:
    """Write named arrays as one .npz file, none of them of Python objects."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
    write_bytes(path, stream.getvalue())


def write_array(path: Path, array: Real) -> None:
    """Write one array as .npy file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    write_bytes(path, stream.getvalue())


def write_events(path: Path, events: Events) -> None:
    """Write features, weights, truth and sigma(c) of weighted events."""
    assert events.truth is not None
    assert events.cross_section is not None
    write_arrays(
        path,
        features=events.features.to_numpy(float),
        names=list(events.features.columns),
        weights=events.weights,
        truth=events.truth.coefficients,
        operators=list(events.truth.operators),
        cross_section=events.cross_section.coefficients,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--test", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=100_000, help="events of each unweighted sample")
    parser.add_argument("--pool", type=int, default=1_000_000, help="weighted events to draw them from")
    parser.add_argument("--tail", type=float, default=3.0, help="oversampling of high masses in the pool")
    parser.add_argument("--operators", default="cHW,cHq3")
    parser.add_argument("--widths", default="0.3,0.1", help="standard deviations of the prior, TeV^-2")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    operators = tuple(options.operators.split(","))
    widths = np.array([float(w) for w in options.widths.split(",")])
    if len(widths) != len(operators):
        raise InputError(f"{len(operators)} operators need as many widths, got {options.widths}")
    folder: Path = options.folder
    make_folder(folder)
    for name, n, seed in (
        ("train", options.events, options.seed),
        ("test", options.test, options.seed + 1000),
    ):
        events = vh.generate(n, operators=operators, seed=seed, unweighted=False)
        write_events(folder / f"{name}.npz", events)
    pool = vh.generate(
        options.pool, operators=operators, seed=options.seed + 2000, unweighted=False, tail=options.tail
    )
    assert pool.cross_section is not None
    for i, (name, (first, second)) in enumerate(terms(operators).items()):
        sample = draw(pool, first, second, options.sample, seed=options.seed + 3000 + i)
        write_arrays(
            folder / f"{name}.npz",
            features=sample.features,
            names=list(pool.features.columns),
            operators=list(operators),
            point=sample.point,
            cross_section=sample.cross_section,
            cross_section_sm=float(pool.cross_section.constant),
        )
        print(
            f"{name:16s} at {dict(zip(operators, sample.point.round(4).tolist(), strict=True))}: "
            f"sigma {sample.cross_section:.5g} pb, {sample.distinct} distinct events of {options.sample}, "
            f"left out {sample.negative_events} of {len(pool)} ({sample.negative_share:.2e} of the rate)"
        )
    rng = np.random.default_rng(options.seed + 4000)
    write_array(folder / "points.npy", rng.normal(size=(POINTS, len(operators))) * widths)
    write_array(folder / "grid.npy", np.linspace(-0.5, 0.5, GRID) * widths[:, None])
    write_array(folder / "widths.npy", widths)


if __name__ == "__main__":
    main()
