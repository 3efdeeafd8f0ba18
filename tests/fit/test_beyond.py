"""Intervals whose profile changes branches, where -2 log L has one minimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from smeft_unbinned import GaussianDataset, Likelihood, Polynomial, minimise
from smeft_unbinned.fit import intervals

DELTA = 2.2
"""At which the branch of the minimum ends at a = 0.828, and the other one reaches to 0.883."""


def bent() -> Likelihood:
    """(b^2 - 1)^2 + ((a + 0.8 b - 0.8)/0.8)^2 + (a/0.7)^2: one minimum, two valleys over b near a = 0.8."""
    coefficients = np.zeros((3, 6))
    coefficients[0, 5] = 1.0  # b^2
    coefficients[1, [1, 2]] = 1.0, 0.8
    coefficients[2, 1] = 1.0
    errors = np.diag([1.0, 0.8, 0.7]) ** 2
    form = Polynomial(("a", "b"), coefficients)
    return Likelihood([GaussianDataset("bent", [1.0, 0.8, 0.0], form, errors, basis="other")])


def profile(likelihood: Likelihood, a: float) -> float:
    """The lowest value over b, by brute force."""
    b = np.linspace(-2, 2, 2001)
    return float(np.min(likelihood.m2logl(np.column_stack([np.full_like(b, a), b]))))


def test_an_interval_reaches_to_where_every_branch_has_risen(monkeypatch: pytest.MonkeyPatch) -> None:
    likelihood = bent()
    level = float(stats.chi2.cdf(DELTA, 1))
    fit = minimise(likelihood, levels=[level])
    assert len(fit.minima) == 1
    expected = optimize.brentq(lambda a: profile(likelihood, a) - fit.m2logl - DELTA, 0.84, 1.1)
    assert fit.intervals(level).upper["a"] == pytest.approx(expected, abs=1e-4)
    monkeypatch.setattr(intervals, "beyond", lambda *arguments: arguments[4])
    followed = minimise(likelihood, levels=[level]).intervals(level)
    assert followed.upper["a"] < expected - 0.03  # what following one branch finds
    assert followed.lower["a"] == pytest.approx(fit.intervals(level).lower["a"])


def test_linear_ends_stay_as_they_are(make_linear) -> None:
    likelihood = Likelihood([make_linear()])
    fit = minimise(likelihood, levels=[0.95])
    half = fit.errors * np.sqrt(stats.chi2.ppf(0.95, 1))
    best = np.array([fit.best[n] for n in fit.errors.index])
    np.testing.assert_allclose(fit.intervals(0.95).upper, best + half, rtol=1e-7, atol=1e-9)
