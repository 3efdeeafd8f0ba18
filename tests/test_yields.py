"""Yields in groups against the direct sum over simulated events, and closed forms of their cumulants."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, InputError, Polynomial, SumOfSquares
from smeft_unbinned.events import Nuisances
from smeft_unbinned.yields import direct_yield, group, yields

OPERATORS = ("cHW", "cHq3")
NAMES = ("scale", "tilt", "efficiency")


def sample(n: int = 3000, seed: int = 0, strength: float = 0.2) -> tuple[Events, Nuisances]:
    """Events whose ratios and responses grow with one latent energy, with much noise on each."""
    rng = np.random.default_rng(seed)
    energy = rng.exponential(1.0, n)
    factors = 0.3 * rng.normal(size=(n, 3, 3)) * (0.3 + energy)[:, None, None]
    factors[:, :, 0] = np.eye(3)[0]
    truth = SumOfSquares(OPERATORS, factors).dense()
    events = Events(pd.DataFrame({"energy": energy}), truth, rng.uniform(0.5, 1.5, n) / n)
    linear = np.stack([energy, np.log(0.2 + energy), rng.normal(size=n)], axis=1)
    return events, Nuisances(NAMES, strength * linear, 0.2 * strength * np.sin(linear))


def points(seed: int = 5, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)), rng.normal(size=(count, 3))


def total(expected: Polynomial, response: Nuisances, c: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """nu(c, theta) of groups at points (D, n), (D, K), written out."""
    factors = np.exp(theta @ response.linear.T + theta**2 @ response.quadratic.T)
    return np.asarray((expected.evaluate(c) * factors).sum(axis=1))


def test_the_direct_sum_is_what_it_says() -> None:
    events, nuisances = sample(200)
    value = sum(
        w * float(r.evaluate({"cHW": 0.3, "cHq3": -0.2})) * np.exp(0.7 * d[0] + 0.49 * q[0] - d[2] + q[2])
        for w, r, d, q in zip(
            np.asarray(events.weights), events.truth, nuisances.linear, nuisances.quadratic, strict=True
        )
    )
    c, theta = {"cHW": 0.3, "cHq3": -0.2}, {"scale": 0.7, "efficiency": -1.0}
    assert direct_yield(events, nuisances, c, theta, 3.0) == pytest.approx(3.0 * value)
    assert direct_yield(events, nuisances, np.zeros((4, 2)), theta).shape == (4,)


@pytest.mark.parametrize("groups", [3000, 5000])
def test_as_many_groups_as_events_are_exact(groups: int) -> None:
    events, nuisances = sample()
    c, theta = points()
    expected, response = yields(events, nuisances, 10.0, groups=groups)
    assert expected.batch_shape == (3000,)
    np.testing.assert_allclose(
        total(expected, response, c, theta), direct_yield(events, nuisances, c, theta, 10.0), rtol=1e-12
    )


def test_the_error_falls_with_the_number_of_groups() -> None:
    events, nuisances = sample(strength=0.1)
    c, theta = points()
    exact = direct_yield(events, nuisances, c, theta)
    errors = []
    for groups in (1, 10, 100, 1000):
        expected, response = yields(events, nuisances, groups=groups)
        assert len(expected) == len(response) == groups
        errors.append(np.abs(total(expected, response, c, theta) / exact - 1).max())
    assert errors[0] > 10 * errors[1] > 20 * errors[2] > 100 * errors[3]
    assert errors[3] < 1e-3


def test_no_shift_is_exact_for_any_coefficients() -> None:
    events, nuisances = sample()
    c, _ = points()
    expected, _ = yields(events, nuisances, 2.0, groups=7)
    np.testing.assert_allclose(
        expected.evaluate(c).sum(axis=1), 2.0 * np.asarray(events.cross_section.evaluate(c)), rtol=1e-12
    )


def test_slope_and_curvature_at_the_sm_are_exact() -> None:
    events, nuisances = sample()
    expected, response = yields(events, nuisances, groups=5)
    w, h, zero = np.asarray(events.weights), 1e-4, np.zeros((1, 2))
    for k in range(3):
        step = h * np.eye(3)[[k]]
        up, middle, down = (total(expected, response, zero, s)[0] for s in (step, 0 * step, -step))
        d, q = nuisances.linear[:, k], nuisances.quadratic[:, k]
        assert (up - down) / (2 * h) == pytest.approx(w @ d, rel=1e-6)
        assert (up - 2 * middle + down) / h**2 == pytest.approx(w @ (d**2 + 2 * q), rel=1e-4)


def test_what_is_left_out_is_the_covariance_of_different_nuisances() -> None:
    """Gaussian responses: log of the mean response is theta . m + theta V theta / 2 exactly."""
    rng = np.random.default_rng(3)
    n = 200_000
    mixing = np.array([[0.2, 0.0], [0.15, 0.1]])
    d = rng.normal(size=(n, 2)) @ mixing.T
    ones = Polynomial(("c",), np.tile([1.0, 0.0, 0.0], (n, 1)))
    events = Events(pd.DataFrame({"x": d[:, 0]}), ones, np.full(n, 1 / n))
    nuisances = Nuisances(("a", "b"), d, np.zeros((n, 2)))
    theta = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]])
    exact = np.log(direct_yield(events, nuisances, np.zeros(1), theta))
    covariance = (mixing @ mixing.T)[0, 1]
    left_out = []
    for groups in (1, 50):
        found = np.log(total(*yields(events, nuisances, groups=groups), np.zeros((3, 1)), theta))
        left_out.append(exact - found)
    np.testing.assert_allclose(left_out[0], [covariance, -covariance, 0.0], atol=1e-3)
    assert np.abs(left_out[1]).max() < covariance / 15


def test_groups_are_a_partition_and_the_same_each_time() -> None:
    events, nuisances = sample(500)
    members = group(events, nuisances, 60)
    assert len(members) == 60
    assert np.array_equal(np.sort(np.concatenate(members)), np.arange(500))
    assert all(np.array_equal(a, b) for a, b in zip(members, group(events, nuisances, 60), strict=True))


def test_events_that_are_the_same_make_one_group() -> None:
    events, nuisances = sample(8)
    index = np.repeat(np.arange(8), 30)
    copies, responses = events[index], nuisances[index]
    c, theta = points()
    expected, response = yields(copies, responses, groups=100)
    assert len(expected) == 8
    np.testing.assert_allclose(
        total(expected, response, c, theta), direct_yield(copies, responses, c, theta), rtol=1e-9
    )


def test_negative_weights_are_kept_apart_and_summed() -> None:
    events, nuisances = sample(strength=0.1)
    weights = np.asarray(events.weights) * np.where(np.random.default_rng(1).random(3000) < 0.2, -1.0, 1.0)
    signed = Events(events.features, events.truth, weights)
    assert all(len(set(np.sign(weights[index]))) == 1 for index in group(signed, nuisances, 30))
    c, theta = points()
    found = total(*yields(signed, nuisances, groups=300), c, theta)
    np.testing.assert_allclose(found, direct_yield(signed, nuisances, c, theta), rtol=0.01)


def test_many_coefficients_and_idle_nuisances() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"c{i}" for i in range(12))
    factors = 0.1 * rng.normal(size=(400, 2, 13)) * rng.exponential(size=(400, 1, 1))
    factors[:, :, 0] = [1.0, 0.0]
    events = Events(pd.DataFrame({"x": rng.normal(size=400)}), SumOfSquares(names, factors).dense())
    luminosity = Nuisances(("lumi", "idle"), np.tile([0.02, 0.0], (400, 1)), np.zeros((400, 2)))
    c, theta = rng.normal(size=(5, 12)), rng.normal(size=(5, 2))
    expected, response = yields(events, luminosity, groups=20)
    np.testing.assert_allclose(  # a common response factorises, whatever the groups
        total(expected, response, c, theta),
        np.asarray(events.cross_section.evaluate(c)) * np.exp(0.02 * theta[:, 0]),
        rtol=1e-12,
    )


def test_refusals() -> None:
    events, nuisances = sample(50)
    with pytest.raises(InputError, match="truth polynomials"):
        yields(Events(events.features), nuisances)
    with pytest.raises(InputError, match="responses of 49 events for 50 events"):
        yields(events, nuisances[:49])
    with pytest.raises(InputError, match="scale"):
        yields(events, nuisances, 0.0)
    with pytest.raises(InputError, match="number of groups"):
        yields(events, nuisances, groups=0)
    with pytest.raises(InputError, match="Did you mean 'tilt'"):
        direct_yield(events, nuisances, {"cHW": 1.0}, {"tilts": 1.0})
