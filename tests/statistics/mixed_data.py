"""Measurements of every kind, small, from seeds: what the statistics are tested on."""

from __future__ import annotations

import numpy as np

from smeft_unbinned import (
    GaussianDataset,
    Likelihood,
    PoissonDataset,
    Polynomial,
    SumOfSquares,
    UnbinnedDataset,
)
from smeft_unbinned.datasets.rates import Component
from smeft_unbinned.events import Nuisances
from smeft_unbinned.polynomial import size

OPERATORS = ("cHW", "cHq3")


def forms(seed: int, n: int, operators: tuple[str, ...] = OPERATORS, strength: float = 0.15) -> SumOfSquares:
    """Ratios, one at the SM and positive everywhere, batch (n,)."""
    rng = np.random.default_rng(seed)
    rank = len(operators) + 1
    factors = strength * rng.normal(size=(n, rank, rank))
    factors[:, :, 0] = np.eye(rank)[0]
    return SumOfSquares(operators, factors)


def simulated(seed: int = 1, n: int = 3000, expected: float = 300.0) -> UnbinnedDataset:
    """An Asimov sample with as many simulated events, whose yield is their sum."""
    ratios, weights = forms(seed, n), np.full(n, expected / n)
    return UnbinnedDataset("events", ratios, ratios.dense().sum(weights), weights)


def responding(seed: int = 2, n: int = 2000, expected: float = 200.0) -> UnbinnedDataset:
    """The same with a background and two nuisances; the yield is the sum over groups of one event each."""
    rng = np.random.default_rng(seed)
    ratios, weights = forms(seed, n).dense(), np.full(n, expected / n)
    flat = Polynomial((), rng.uniform(0.2, 0.4, (n, 1)))
    scale = Nuisances(("scale",), 0.1 * rng.normal(size=(n, 1)), np.zeros((n, 1)))
    rate = Nuisances(("rate",), np.full((n, 1), 0.05), np.zeros((n, 1)))
    whole = np.asarray(ratios.constant + flat.coefficients[:, 0])
    share = weights / whole  # events of the mixture stand for w events of the SM together
    background = Component(flat, flat * share, rate, rate)
    return UnbinnedDataset(
        "mixture", ratios, ratios * share, weights, response=scale, expected_response=scale,
        backgrounds=[background],
    )  # fmt: skip


def counts() -> PoissonDataset:
    """Four bins with some twenty events each, and a response to the nuisance of the mixture."""
    yields = forms(3, 4, strength=0.4).dense() * np.array([15.0, 20.0, 25.0, 30.0])
    response = Nuisances(("scale",), np.full((4, 1), 0.1), np.full((4, 1), 0.02))
    return PoissonDataset("counts", yields, np.array([14.0, 23.0, 22.0, 31.0]), response=response)


def binned(seed: int = 4, quadratic: float = 0.3, nuisances: bool = True) -> GaussianDataset:
    """Two correlated measurements of three and four points."""
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=(7, size(2)))
    coefficients[:, 3:] *= quadratic
    a = rng.normal(size=(7, 12))
    return GaussianDataset(
        "binned", coefficients[:, 0] + rng.normal(size=7), Polynomial(OPERATORS, coefficients), a @ a.T / 6,
        basis="warsaw", groups=(("first", slice(0, 3)), ("second", slice(3, 7))),
        nuisances={"shape": rng.normal(size=7)} if nuisances else None,
    )  # fmt: skip


def everything() -> Likelihood:
    """Binned, counted and unbinned data with shared nuisances."""
    data = [binned(), counts(), simulated(), responding()]
    return Likelihood(data, constraints={"scale": (0.3, 0.8), "shape": (0.0, 1.2)})


def linear() -> Likelihood:
    """Normally distributed data, linear in two coefficients."""
    return Likelihood([binned(quadratic=0.0, nuisances=False)])
