"""Fits inside ranges: against SciPy's bounded minimisers, and profiles on grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from smeft_unbinned import GaussianDataset, Likelihood, Polynomial, minimise

NAMES = ("a", "b", "c")


@pytest.fixture
def curved() -> GaussianDataset:
    """Eight points with linear and quadratic terms in three coefficients."""
    rng = np.random.default_rng(3)
    coefficients = rng.normal(size=(8, 10)) * np.array([1.0] + 3 * [1.0] + 6 * [0.15])
    data = coefficients[:, 0] + rng.normal(size=8) + 1.0
    return GaussianDataset("curved", data, Polynomial(NAMES, coefficients), 0.5 * np.eye(8), basis="warsaw")


def scipy_minimum(likelihood: Likelihood, box: list[tuple[float, float]]) -> optimize.OptimizeResult:
    starts = np.random.default_rng(0).uniform(*np.array(box).T, size=(20, 3))
    found = [
        optimize.minimize(
            lambda c: float(likelihood.m2logl(c)), s, jac=lambda c: likelihood.gradient(c),
            bounds=box, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10},
        )
        for s in starts
    ]  # fmt: skip
    return min(found, key=lambda r: r.fun)


def test_a_minimum_outside_a_range_is_told_and_a_bounded_fit_stays_inside(curved: GaussianDataset) -> None:
    free = minimise(Likelihood([curved]))
    high = free.best["a"] - 1.5 * free.errors["a"]
    box = [(high - 2.0, high), (-10.0, 10.0), (-10.0, 10.0)]
    likelihood = Likelihood([curved], bounds=dict(zip(NAMES, box, strict=True)))
    told = minimise(likelihood)
    assert dict(told.best) == pytest.approx(dict(free.best), abs=1e-6)
    assert any(m.startswith("the prior range of a, (") and "excludes the minimum" in m for m in told.messages)
    inside = minimise(likelihood, bounded=True)
    expected = scipy_minimum(likelihood, box)
    assert inside.valid
    assert inside.best["a"] == high
    assert inside.m2logl == pytest.approx(expected.fun, abs=1e-7)
    np.testing.assert_allclose([inside.best[n] for n in NAMES], expected.x, atol=1e-5)
    assert any(f"a is at the end {high:g} of its range" in m for m in inside.messages)
    assert np.isnan(inside.errors["a"])
    part = likelihood.hessian(expected.x)[1:, 1:]
    np.testing.assert_allclose(
        inside.covariance.loc[["b", "c"], ["b", "c"]], 2 * np.linalg.inv(part), rtol=1e-4
    )


def test_the_interval_inside_ranges_is_that_of_the_bounded_profile(curved: GaussianDataset) -> None:
    free = minimise(Likelihood([curved]))
    high = free.best["a"] + 0.3 * free.errors["a"]
    box = [(high - 4.0, high), (-10.0, 10.0), (-10.0, 10.0)]
    fit = minimise(Likelihood([curved], bounds=dict(zip(NAMES, box, strict=True))), bounded=True)
    assert fit.intervals(0.95).loc["a", "upper"] == pytest.approx(high, abs=1e-9)

    def profile(x: float) -> float:
        runs = [
            optimize.minimize(
                lambda z: float(curved.m2logl([z[0], x, z[1]])), start, method="L-BFGS-B",
                jac=lambda z: curved.gradient([z[0], x, z[1]])[[0, 2]], bounds=[box[0], box[2]],
                options={"ftol": 1e-15, "gtol": 1e-10},
            ).fun
            for start in ([fit.best["a"], fit.best["c"]], [high, 0.0])
        ]  # fmt: skip
        return min(runs) - fit.m2logl - stats.chi2.ppf(0.95, 1)

    for end in fit.intervals(0.95).loc["b"]:
        assert profile(end) == pytest.approx(0.0, abs=1e-4)


def test_every_coefficient_at_an_end() -> None:
    data = GaussianDataset("g", [3.0], Polynomial(["a"], [[1, 0.5, 1.0]]), [[0.04]], basis="warsaw")
    fit = minimise(Likelihood([data], bounds={"a": (-1.0, 1.0)}), bounded=True)
    assert (fit.valid, fit.best["a"]) == (True, 1.0)
    edge = optimize.brentq(
        lambda x: float(data.m2logl([x]) - data.m2logl([1.0])) - stats.chi2.ppf(0.68, 1), 0.5, 1.0
    )
    np.testing.assert_allclose(fit.intervals(0.68).loc["a"], [edge, 1.0], atol=1e-6)
