"""The small fits of toys, against finite differences and against Minuit."""

from __future__ import annotations

import known
import numpy as np
import pytest

from smeft_unbinned import Likelihood, Polynomial, UnbinnedDataset, minimise
from smeft_unbinned.diagnostics.toyfits import Toy, descend, fit

SCALE = np.array([0.2, 0.3])


def make(seed: int, count: int = 300, expected: float = 290.0) -> tuple[Toy, Likelihood]:
    ratios = known.ratio(known.sample(count, seed).features)
    nu = known.rate() * expected
    toy = Toy(ratios.coefficients, nu.coefficients, SCALE)
    return toy, Likelihood([UnbinnedDataset("toy", ratios, nu)])


def test_values_and_derivatives() -> None:
    toy, likelihood = make(1)
    y = np.array([0.7, -1.1])
    value, gradient, hessian = toy.derivatives(y)
    assert value == pytest.approx(float(likelihood.m2logl(y * SCALE)))
    assert toy.values(y[None])[0] == pytest.approx(value)
    step = 1e-5
    for i, unit in enumerate(np.eye(2)):
        up, down = toy.derivatives(y + step * unit), toy.derivatives(y - step * unit)
        assert gradient[i] == pytest.approx((up[0] - down[0]) / (2 * step), rel=1e-6)
        np.testing.assert_allclose(hessian[i], (up[1] - down[1]) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_minima_are_those_of_minuit(seed: int) -> None:
    toy, likelihood = make(seed)
    true = np.array([0.5, -0.5])
    result = fit(toy, true, np.zeros((1, 2)))
    whole = minimise(likelihood)
    at_truth = float(likelihood.m2logl(true * SCALE))
    assert result.converged
    assert result.joint == pytest.approx(at_truth - whole.m2logl, abs=1e-5)
    np.testing.assert_allclose(result.best * SCALE, [whole.best[n] for n in known.OPERATORS], atol=1e-4)
    np.testing.assert_allclose(result.errors * SCALE, whole.errors, rtol=1e-3)
    for i, name in enumerate(known.OPERATORS):
        fixed = Likelihood(likelihood.datasets, fixed={name: true[i] * SCALE[i]})
        assert result.profiles[i] == pytest.approx(minimise(fixed).m2logl - whole.m2logl, abs=1e-5)


def quadratic(slope: float, square: float, count: float) -> Toy:
    """One event kind, r = 1 + slope c + square c^2 in all of `count` events, 100 expected at the SM."""
    ratios = np.tile([1.0, slope, square], (int(count), 1))
    return Toy(ratios, 100 * np.array([1.0, slope, square]), np.ones(1))


def test_a_start_on_a_saddle_is_left() -> None:
    toy = quadratic(0.0, 1.0, 144)  # nu = 100 (1 + c^2) meets 144 events at c = +-sqrt(0.44)
    minimum = descend(toy, np.zeros(1), np.arange(1))
    assert minimum.converged
    assert abs(minimum.y[0]) == pytest.approx(np.sqrt(0.44), rel=1e-4)


def test_mirror_minima_are_found_from_candidates() -> None:
    """r is one at c = 0 and at c = -l/q: with a second event kind that decides, the far one is lower."""
    near = np.tile([1.0, 2.0, 1.0], (100, 1))
    decides = np.tile([1.0, -0.1, 0.0], (10, 1))
    toy = Toy(np.concatenate([near, decides]), 110 * np.array([1.0, 2.0, 1.0]), np.ones(1))
    start = descend(toy, np.zeros(1), np.arange(1))
    far = fit(toy, np.zeros(1), np.array([[-2.0]]))
    assert start.y[0] > -1 > far.best[0]
    scan = np.linspace(-3, 1, 40_001)[:, None]
    assert far.best[0] == pytest.approx(float(scan[np.argmin(toy.values(scan)), 0]), abs=2e-4)


def test_negative_ratios_push_the_fit_away() -> None:
    ratios = np.tile([1.0, 1.0, 0.0], (50, 1))
    ratios[:20, 1] = -1.0
    toy = Toy(ratios, np.array([50.0, 10.0, 0.0]), np.ones(1))
    result = fit(toy, np.zeros(1), np.array([[3.0], [-3.0]]))
    assert result.converged
    assert np.all(Polynomial(("a",), ratios).evaluate(result.best) > 0)
    scan = np.linspace(-0.99, 0.99, 20_001)[:, None]
    assert result.joint == pytest.approx(-float(toy.values(scan).min()), abs=1e-6)
