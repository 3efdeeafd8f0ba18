"""What plain Minuit gets wrong in silence with an analytic Hessian, and that fits here do not.

The first tests fail on the day that iminuit is repaired: then look again at what has to be avoided.
"""

from __future__ import annotations

import numpy as np
import pytest
from iminuit import Minuit

from smeft_unbinned import GaussianDataset, Likelihood, minimise
from smeft_unbinned.polynomial import Polynomial, size

NAMES = ("cHW", "cHq3", "cHu", "cHB")


@pytest.fixture
def linear() -> GaussianDataset:
    """A correlated linear measurement of four coefficients."""
    rng = np.random.default_rng(0)
    coefficients = np.zeros((9, size(4)))
    coefficients[:, 1:5] = rng.normal(size=(9, 4)) + 1.5 * rng.normal(size=(9, 1))
    return GaussianDataset(
        "linear", rng.normal(size=9), Polynomial(NAMES, coefficients), np.eye(9), basis="warsaw"
    )


def plain(likelihood: Likelihood) -> Minuit:
    """Return Minuit as one would first write it, with both derivatives."""
    minuit = Minuit(
        lambda c: float(likelihood.m2logl(c)), np.zeros(4), name=NAMES,
        grad=lambda c: np.asarray(likelihood.gradient(c)),
        hessian=lambda c: np.asarray(likelihood.hessian(c)),
    )  # fmt: skip
    minuit.errordef, minuit.strategy = Minuit.LEAST_SQUARES, 1
    return minuit


def exact_errors(d: GaussianDataset, free: list[int]) -> np.ndarray:
    a = d.theory.linear[:, free]
    return np.sqrt(np.diag(np.linalg.inv(a.T @ a)))


def test_plain_minuit_is_wrong_with_a_fixed_parameter_and_says_it_is_right(linear: GaussianDataset) -> None:
    minuit = plain(Likelihood([linear]))
    minuit.fixed["cHq3"] = True
    minuit.migrad()
    assert minuit.valid
    assert minuit.accurate
    ratio = np.array(minuit.errors)[[0, 2, 3]] / exact_errors(linear, [0, 2, 3])
    assert np.abs(ratio - 1).max() > 0.2


def test_plain_minuit_is_wrong_with_limits(linear: GaussianDataset) -> None:
    minuit = plain(Likelihood([linear]))
    for name in NAMES:
        minuit.limits[name] = (-5, 5)
    minuit.migrad()
    exact = exact_errors(linear, [0, 1, 2, 3])
    assert not minuit.valid or np.abs(np.array(minuit.errors) / exact - 1).max() > 1e-3


def test_a_fixed_coefficient_is_taken_out(linear: GaussianDataset) -> None:
    fit = minimise(Likelihood([linear], fixed={"cHq3": 0.0}))
    assert fit.valid
    np.testing.assert_allclose(fit.errors, exact_errors(linear, [0, 2, 3]), rtol=1e-8)
    np.testing.assert_allclose(fit.intervals(0.95), fit.hesse_intervals(0.95), rtol=1e-6, atol=1e-8)


def test_ranges_do_not_change_the_errors(linear: GaussianDataset) -> None:
    likelihood = Likelihood([linear], bounds=dict.fromkeys(NAMES, (-5.0, 5.0)))
    for bounded in (False, True):
        fit = minimise(likelihood, bounded=bounded)
        assert fit.valid
        assert fit.messages == ()
        np.testing.assert_allclose(fit.errors, exact_errors(linear, [0, 1, 2, 3]), rtol=1e-8)
        np.testing.assert_allclose(fit.intervals(0.68), fit.hesse_intervals(0.68), rtol=1e-3, atol=1e-5)
