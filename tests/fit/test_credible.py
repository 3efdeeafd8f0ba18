"""Intervals from samples against those of known densities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from smeft_unbinned.fit.credible import central, highest, unions


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 40_000
    left = rng.random(n) < 0.3
    return pd.DataFrame(
        {
            "normal": rng.normal(1.0, 2.0, n),
            "exponential": rng.exponential(1.0, n),
            "two": np.where(left, rng.normal(-5.0, 0.4, n), rng.normal(3.0, 0.4, n)),
            "fixed": np.full(n, 0.25),
        }
    )


@pytest.mark.parametrize("level", [0.3, 0.68, 0.95])
def test_single_intervals_are_those_of_the_density(samples: pd.DataFrame, level: float) -> None:
    short, middle = highest(samples, level), central(samples, level)
    np.testing.assert_allclose(middle.loc["normal"], stats.norm(1, 2).interval(level), atol=0.06)
    np.testing.assert_allclose(middle.loc["exponential"], stats.expon.interval(level), atol=0.06)
    np.testing.assert_allclose(short.loc["exponential"], [0.0, -np.log(1 - level)], atol=0.06)
    x = samples["normal"]
    inside = (x >= short.loc["normal", "lower"]) & (x <= short.loc["normal", "upper"])
    assert inside.mean() == pytest.approx(level, abs=1e-3)
    assert np.ptp(short.loc["normal"]) <= np.ptp(middle.loc["normal"])
    assert np.ptp(short.loc["fixed"]) == 0.0


@pytest.mark.parametrize("level", [0.5, 0.68, 0.95])
def test_unions_are_the_regions_of_highest_density(samples: pd.DataFrame, level: float) -> None:
    frame = unions(samples, level)
    np.testing.assert_allclose(frame.loc[("normal", 0)], stats.norm(1, 2).interval(level), atol=0.15)
    assert len(frame.loc["normal"]) == 1
    np.testing.assert_allclose(frame.loc[("fixed", 0)], 0.25)

    def density(x: float) -> float:
        return float(0.3 * stats.norm.pdf(x, -5, 0.4) + 0.7 * stats.norm.pdf(x, 3, 0.4))

    def outside(height: float) -> float:  # probability where the density is above a height, less the level
        total = 0.0
        for weight in (0.3, 0.7):
            peak = weight / 0.4 / np.sqrt(2 * np.pi)
            if height < peak:
                total += weight * (2 * stats.norm.cdf(np.sqrt(2 * np.log(peak / height))) - 1)
        return float(total - level)

    height = optimize.brentq(outside, 1e-6, 0.69)
    expected = [
        (centre - 0.4 * z, centre + 0.4 * z)
        for centre, weight in ((-5.0, 0.3), (3.0, 0.7))
        if (peak := weight / 0.4 / np.sqrt(2 * np.pi)) > height
        for z in [np.sqrt(2 * np.log(peak / height))]
    ]
    found = frame.loc["two"]
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=0.08)
    assert density(found.iloc[-1, 0]) == pytest.approx(height, rel=0.2)
