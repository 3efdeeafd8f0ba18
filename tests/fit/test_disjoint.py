"""Intervals in several pieces: against profiles on grids, and against samples of known density."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Polynomial, minimise
from smeft_unbinned.fit.disjoint import disjoint_intervals, hdi
from smeft_unbinned.fit.intervals import union


def double(error: float) -> Likelihood:
    """Minima near a = +-1 of different depth, the second coefficient adjusted to the first."""
    theory = Polynomial(["a", "b"], [[0.0, 0.05, 0, 1.0, 0.0, 0.2], [0.0, 0.3, 1.0, 0, 0, 0.1]])
    d = GaussianDataset("d", [1.0, 0.0], theory, np.diag([error**2, 0.5**2]), basis="warsaw")
    return Likelihood([d])


def crossings(likelihood: Likelihood, i: int, height: float) -> list[float]:
    """Return where the profile on a fine grid of one coefficient crosses a height."""
    grid = np.linspace(-4, 4, 1601)
    values = likelihood.m2logl(np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1))
    above = values.min(axis=1 - i) - height
    k = np.flatnonzero(above[:-1] * above[1:] < 0)
    return list(grid[k] + (grid[1] - grid[0]) * above[k] / (above[k] - above[k + 1]))


@pytest.mark.parametrize(("error", "count"), [(0.1, 2), (0.6, 1)])
def test_pieces_are_where_the_profile_is_low(error: float, count: int) -> None:
    likelihood = double(error)
    result = minimise(likelihood, starts=10)
    for level in (0.68, 0.95):
        height = result.m2logl + stats.chi2.ppf(level, 1)
        for i, name in enumerate(("a", "b")):
            found = disjoint_intervals(likelihood, result, name, level)
            expected = crossings(likelihood, i, height)
            np.testing.assert_allclose(np.ravel(found), expected, atol=2e-3)
    assert len(disjoint_intervals(likelihood, result, "a", 0.95)) == count


def test_a_second_minimum_above_the_level_has_no_piece() -> None:
    theory = Polynomial(["a"], [[0.0, 0.1, 1.0], [0.0, 1.0, 0.0]])
    d = GaussianDataset("d", [1.0, 1.0], theory, np.diag([0.01, 0.25]), basis="warsaw")
    likelihood = Likelihood([d])
    result = minimise(likelihood)
    assert len(result.minima) == 2
    (pair,) = disjoint_intervals(likelihood, result, "a")
    assert pair == pytest.approx(tuple(result.intervals(0.95).loc["a"]))
    higher = disjoint_intervals(likelihood, result, "a", 1 - 1e-6)
    height = result.m2logl + stats.chi2.ppf(1 - 1e-6, 1)
    grid = np.linspace(-3, 3, 60_001)
    rise = d.m2logl(grid[:, None]) - height
    assert len(np.flatnonzero(rise[:-1] * rise[1:] < 0)) == 2 * len(higher)


def test_the_curved_profile_is_followed() -> None:
    """b follows a^2: the way from the minimum to the end is a parabola, and narrow."""
    theory = Polynomial(["a", "b"], [[0, 0, 1.0, -1.0, 0, 0], [0, 1.0, 0, 0, 0, 0]])
    d = GaussianDataset("banana", [0.0, 0.0], theory, np.diag([1e-6, 1.0]), basis="warsaw")
    likelihood = Likelihood([d])
    result = minimise(likelihood, start={"a": 0.5})
    np.testing.assert_allclose(result.intervals(0.95).loc["a"], [-1.959964, 1.959964], rtol=1e-5)
    upper = stats.chi2.ppf(0.95, 1) + 0.25e-6  # of b = a^2 + d with a^2 + 10^6 d^2 = Delta, the largest
    assert disjoint_intervals(likelihood, result, "b")[-1][1] == pytest.approx(upper, abs=1e-7)


def test_mistakes_are_told() -> None:
    likelihood = double(0.1)
    result = minimise(likelihood, levels=())
    with pytest.raises(InputError, match=r"'A' is not a free parameter"):
        disjoint_intervals(likelihood, result, "A")
    with pytest.raises(InputError, match="lies between 0 and 1"):
        disjoint_intervals(likelihood, result, "a", 1.5)
    with pytest.raises(InputError, match="it is of another fit"):
        disjoint_intervals(likelihood, minimise(likelihood.only(["a"]), levels=()), "b")


def test_the_region_of_highest_density_of_two_peaks() -> None:
    """Each of two far Gaussians of half the probability gives its own central interval."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-3, 0.4, 40_000), rng.normal(2, 0.4, 40_000)])
    found = hdi(x, 0.9)
    half = 0.4 * stats.norm.ppf(0.95)
    np.testing.assert_allclose(found, [[-3 - half, -3 + half], [2 - half, 2 + half]], atol=0.05)
    (single,) = hdi(rng.exponential(size=100_000), 0.5)
    assert single == pytest.approx((0.0, np.log(2)), abs=0.03)
    with pytest.raises(InputError, match="finite numbers"):
        hdi([1.0, np.nan])


def test_unions() -> None:
    assert union([(2, 3), (0, 1), (0.5, 2.5), (5, 6)]) == [(0, 3), (5, 6)]
