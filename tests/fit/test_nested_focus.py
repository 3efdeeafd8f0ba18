"""Coordinates of the nested sampler: densities, and posterior and evidence that do not depend on them."""

from __future__ import annotations

import numpy as np
import pytest
from nested_example import HALF, SETTINGS, likelihood
from scipy import integrate, stats

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Polynomial, minimise, sample
from smeft_unbinned.fit import nested_run
from smeft_unbinned.fit.nested_focus import OUTSIDE, Focus
from smeft_unbinned.fit.prior import Prior

pytest.importorskip("ultranest", reason="the nested extra is not installed")


def oblique(core: float = 2.0, half: float = 8.0) -> Focus:
    """A core along oblique axes, off the centre of a flat prior of two parameters and a Gaussian third."""
    bounds = {"a": (-half, half), "b": (-2 * half, 3 * half)}
    prior = Prior.of(("a", "b", "t"), bounds, {"t": (0.5, 2.0)})
    axes = np.array([[1.0, 0.4, 0.0], [0.5, -2.0, 0.1], [0.0, 0.3, 1.5]])
    return Focus.around(prior, np.array([1.0, 3.0, 0.0]), axes, np.tile([-core, core], (3, 1)))


def test_the_prior_density_is_normalised_and_zero_outside() -> None:
    prior = Prior.of(("a", "t"), {"a": (-1.0, 3.0), "t": (0.0, 9.0)}, {"t": (0.5, 2.0)})
    grid = np.linspace(-2, 12, 200_001)
    density = np.exp(prior.log_density(np.column_stack([np.zeros_like(grid), grid])))
    assert integrate.trapezoid(density, grid) == pytest.approx(1 / 4, rel=1e-4)
    own = stats.truncnorm(-0.25, 4.25, loc=0.5, scale=2.0)
    np.testing.assert_allclose(np.exp(prior.log_density(np.array([[0.0, 1.7]]))), own.pdf(1.7) / 4)
    assert np.all(np.isneginf(prior.log_density(np.array([[3.1, 1.0], [0.0, -0.1]]))))


def test_the_weight_is_prior_density_times_jacobian() -> None:
    focus = oblique()
    rng, step = np.random.default_rng(1), 1e-7
    u = rng.uniform(0.01, 0.99, size=(200, 3))
    slopes = [(focus.transform(u + step * e) - focus.transform(u - step * e)) / (2 * step) for e in np.eye(3)]
    jacobian = np.abs(np.linalg.det(np.stack(slopes, axis=2)))
    c = focus.transform(u)
    inside = np.isfinite(focus.log_weight(c))
    assert 0.5 < inside.mean() < 1
    expected = np.log(jacobian) + focus.prior.log_density(c)
    np.testing.assert_allclose(focus.log_weight(c)[inside], expected[inside], rtol=1e-5, atol=1e-5)


def test_the_cube_covers_the_prior_and_most_of_it_the_core() -> None:
    focus = oblique()
    u = np.random.default_rng(2).random((200_000, 3))
    c = focus.transform(u)
    weight = np.exp(focus.log_weight(c))
    error = weight.std() / np.sqrt(len(u))
    assert weight.mean() == pytest.approx(1.0, abs=5 * error)
    for moment, exact in ((c[:, 0], 0.0), (c[:, 1], 4.0), (c[:, 2], 0.5), (c[:, 2] ** 2, 4.25)):
        product = weight * moment
        assert product.mean() == pytest.approx(exact, abs=5 * product.std() / np.sqrt(len(u)))
    assert 1 - focus.outside(c) == pytest.approx(1 - OUTSIDE, abs=0.01)


def test_a_core_that_fills_the_prior_leaves_nothing_outside() -> None:
    prior = Prior.of(("a",), {"a": (-1.0, 2.0)}, {})
    focus = Focus.around(prior, np.zeros(1), np.eye(1), np.array([[-5.0, 5.0]]))
    np.testing.assert_array_equal(focus.shares, [[0.0, 1.0, 0.0]])
    u = np.array([[1e-9], [0.5], [1 - 1e-9]])
    np.testing.assert_allclose(focus.transform(u)[:, 0], [-1.0, 0.5, 2.0], atol=1e-8)
    np.testing.assert_allclose(focus.log_weight(focus.transform(u)), 0.0, atol=1e-12)


def test_a_map_is_read_back_from_its_record() -> None:
    focus = oblique()
    again = Focus.read(focus.prior, focus.record())
    u = np.random.default_rng(3).random((10, 3))
    np.testing.assert_array_equal(again.transform(u), focus.transform(u))


def test_principal_axes_save_evaluations_and_change_nothing() -> None:
    target = likelihood()
    exact = minimise(target, levels=())
    results = [sample(target, rotate=r, **SETTINGS) for r in (True, False)]
    rotated, plain = results
    assert rotated.provenance["coordinates"]["kind"] == "principal axes"
    assert plain.provenance["coordinates"] == {"kind": "prior box", "reason": "rotate is off"}
    assert rotated.provenance["ncall"] < 0.7 * plain.provenance["ncall"]
    assert rotated.provenance["prior"] == plain.provenance["prior"]
    volume = 3 * np.log(2 * HALF)
    logz = (
        -0.5 * exact.m2logl + 1.5 * np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(exact.covariance)[1] - volume
    )
    for result in results:
        assert result.logz == pytest.approx(logz, abs=4 * result.logz_error)
        n = result.provenance["ess"]
        for name in target.parameters:
            assert abs(result.samples[name].mean() - exact.best[name]) < 5 * exact.errors[name] / np.sqrt(n)
            assert result.errors[name] == pytest.approx(exact.errors[name], rel=5 / np.sqrt(2 * n))


@pytest.mark.parametrize("shift", [4.0, 12.0])
def test_a_core_at_the_wrong_place_gives_the_same_evidence(shift: float) -> None:
    """The posterior of variance one is at the origin, the core, of half-width three, elsewhere."""
    prior = Prior.of(("a", "b"), {"a": (-20.0, 20.0), "b": (-20.0, 20.0)}, {})
    focus = Focus.around(prior, np.array([shift, 0.0]), np.eye(2), np.array([[-3.0, 3.0], [-3.0, 3.0]]))

    def value(c: np.ndarray) -> np.ndarray:
        return np.asarray(-0.5 * np.sum(c**2, axis=1) + focus.log_weight(c))

    settings = nested_run.Settings(nlive=200, seed=1, frac_remain=0.01)
    outcome = nested_run.run(("a", "b"), value, focus.transform, settings, None, None, False)
    exact = np.log(2 * np.pi) - 2 * np.log(40.0)
    assert outcome["logz"] == pytest.approx(exact, abs=4 * outcome["logzerr"])
    samples = np.asarray(outcome["samples"])
    np.testing.assert_allclose(samples.mean(axis=0), 0.0, atol=5 / np.sqrt(outcome["ess"] / 2))
    np.testing.assert_allclose(samples.std(axis=0), 1.0, atol=5 / np.sqrt(outcome["ess"]))


def squared(value: float = 4.0, error: float = 0.5, half: float = 10.0) -> Likelihood:
    """Two parameters that enter squared only: four minima at +-sqrt(value), each in both."""
    coefficients = np.zeros((2, 6))
    coefficients[0, 3], coefficients[1, 5] = 1.0, 1.0  # a^2 and b^2
    data = GaussianDataset(
        "g", [value, value], Polynomial(("a", "b"), coefficients), error**2 * np.eye(2), basis="other"
    )
    return Likelihood([data], bounds={"a": (-half, half), "b": (-half, half)})


def test_all_of_several_minima_are_sampled() -> None:
    target = squared()
    result = sample(target, nlive=400, seed=2)
    x = np.linspace(-10, 10, 400_001)
    one = integrate.trapezoid(np.exp(-0.5 * ((x**2 - 4) / 0.5) ** 2), x) / 20
    offset = 0.5 * 2 * (4 / 0.5) ** 2  # -2 log L is zero where both are zero
    assert result.logz == pytest.approx(2 * np.log(one) + offset, abs=4 * result.logz_error)
    signs = np.sign(result.samples[["a", "b"]])
    shares = signs.value_counts(normalize=True)
    assert len(shares) == 4
    np.testing.assert_allclose(shares, 0.25, atol=0.08)
    np.testing.assert_allclose(result.samples.abs().mean(), 2.0, atol=0.02)


@pytest.mark.parametrize(("half", "kind"), [(20.0, "principal axes"), (5.0, "prior box")])
def test_a_bent_valley_is_sampled_to_its_ends(half: float, kind: str) -> None:
    """b = -a^2 to 0.05, a normal: a core around the minimum would leave most of it to few live points."""
    coefficients = np.zeros((2, 6))
    coefficients[0, 2] = coefficients[0, 3] = coefficients[1, 1] = 1.0
    data = GaussianDataset(
        "g", [0.0, 0.0], Polynomial(("a", "b"), coefficients), np.diag([0.05**2, 1.0]), basis="other"
    )
    bounds = {"a": (-half, half), "b": (-(half**2), half)}
    result = sample(Likelihood([data], bounds=bounds), nlive=50, seed=1)
    assert result.provenance["coordinates"]["kind"] == kind
    spread, n = result.samples.std(), result.provenance["ess"]
    assert spread["a"] == pytest.approx(1.0, rel=5 / np.sqrt(2 * n))
    assert spread["b"] == pytest.approx(np.sqrt(2 + 0.05**2), rel=5 * np.sqrt(14 / (4 * n)))


def test_a_prior_that_cuts_the_posterior_is_kept() -> None:
    target = likelihood()
    exact = minimise(target, levels=())
    bounds = {"a": (exact.best["a"] - 0.3 * exact.errors["a"], 15.0)}
    result = sample(target, bounds=bounds, nlive=200, seed=1)
    assert result.samples["a"].min() >= bounds["a"][0]
    alone = stats.truncnorm(-0.3, 1e3, loc=exact.best["a"], scale=exact.errors["a"])
    n = result.provenance["ess"]
    assert abs(result.samples["a"].mean() - alone.mean()) < 5 * exact.errors["a"] / np.sqrt(n)
    assert any("cuts into the posterior of a;" in m for m in result.messages)


def test_a_minimum_outside_the_prior_is_named() -> None:
    target = likelihood()
    exact = minimise(target, levels=())
    low = exact.best["a"] + 2.0 * exact.errors["a"]
    result = sample(target, bounds={"a": (low, 15.0)}, nlive=50, frac_remain=0.5)
    message = next(m for m in result.messages if "is outside the prior" in m)
    assert f"a is {exact.best['a']:.4g} there" in message
    assert "the best inside is 4 higher" in message


def test_a_prior_far_from_the_minimum_is_refused() -> None:
    target = likelihood()
    with pytest.raises(InputError, match=r"excludes the minimum .*a is .* its range \[30, 40\]; .*widen"):
        sample(target, bounds={"a": (30.0, 40.0)})
    result = sample(target, bounds={"a": (30.0, 40.0)}, rotate=False, nlive=50, frac_remain=0.5)
    assert any("cuts into the posterior of a" in m for m in result.messages)


def test_where_nothing_can_be_minimised_the_prior_box_is_searched() -> None:
    coefficients = np.array([[0.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    data = GaussianDataset("g", [1.0], Polynomial(("a", "b"), coefficients), np.eye(1), basis="other")
    target = Likelihood([data], bounds={"a": (-3.0, 3.0), "b": (-3.0, 3.0)})
    result = sample(target, nlive=100, seed=1)
    assert result.provenance["coordinates"]["kind"] == "prior box"
    total = result.samples.sum(axis=1)
    assert abs(total.mean() - 0.96) < 0.2
    assert np.corrcoef(result.samples.T)[0, 1] < -0.7
