"""nuts: posterior moments against closed forms and grids; its coordinates and diagnostics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smeft_unbinned import FitResult, GaussianDataset, InputError, Likelihood
from smeft_unbinned.fit.chains import split_rhat
from smeft_unbinned.fit.linear import solve
from smeft_unbinned.fit.nuts import nuts
from smeft_unbinned.fit.unbounded import Coordinates

NAMES = ("cHW", "cHq3", "cHu")


def bounded(make_linear) -> tuple[Likelihood, float]:
    """A Gaussian in three coefficients, of which the range of the first begins at the best fit."""
    likelihood = Likelihood([make_linear(1)])
    best = solve(likelihood, n_samples=1).best["cHW"]
    return Likelihood([make_linear(1)], bounds={"cHW": (best, best + 30.0)}), best


@pytest.fixture(scope="module")
def posterior(make_linear) -> FitResult:
    pytest.importorskip("blackjax", reason="the nuts extra is not installed")
    import jax

    before = jax.numpy.ones(1).dtype
    likelihood, _ = bounded(make_linear)
    result = nuts(likelihood, n_samples=4_000, warmup=300, seed=1)
    assert jax.numpy.ones(1).dtype == before  # double precision is on inside only
    return result


def test_moments_are_those_of_the_half_normal(posterior: FitResult, make_linear) -> None:
    _, best = bounded(make_linear)
    exact = solve(Likelihood([make_linear(1)]), n_samples=1)
    sigma = exact.errors
    slope = exact.covariance["cHW"] / sigma["cHW"]  # of the others along with cHW, per error of cHW
    shift = np.sqrt(2 / np.pi)  # mean of a half-normal; its variance is 1 - 2/pi
    assert posterior.samples is not None
    assert posterior.valid, posterior.messages
    for name in NAMES:
        mean = exact.best[name] + shift * slope[name]
        width = np.sqrt(sigma[name] ** 2 - (2 / np.pi) * slope[name] ** 2)
        ess = posterior.provenance["ess"][name]
        assert abs(posterior.samples[name].mean() - mean) < 5 * width / np.sqrt(ess)
        assert posterior.errors[name] == pytest.approx(width, rel=5 / np.sqrt(ess))
    assert posterior.samples["cHW"].min() >= best
    half = stats.kstest((posterior.samples["cHW"][::8] - best) / sigma["cHW"], stats.halfnorm.cdf)
    assert half.pvalue > 1e-3


def test_diagnostics_are_recorded(posterior: FitResult) -> None:
    p = posterior.provenance
    assert posterior.method == "nuts"
    assert posterior.logz is None
    assert len(posterior.samples) == 4000
    assert set(p["rhat"]) == set(p["ess"]) == set(NAMES)
    assert max(p["rhat"].values()) < 1.02
    assert min(p["ess"].values()) > 500
    assert p["divergences"] < 40
    assert p["gradients"] > 4 * (75 + 300)
    assert len(p["step_sizes"]) == p["chains"] == 4
    assert p["prior"]["cHq3"] == [-np.inf, np.inf]
    assert any("cuts into the posterior of cHW" in m for m in posterior.messages)


class Untraceable(GaussianDataset):
    """A dataset of which jax cannot trace the value."""

    def m2logl(self, c: object) -> np.ndarray:
        return np.asarray(super().m2logl(np.asarray(c)))


def test_a_dataset_that_jax_cannot_trace_is_named(make_linear) -> None:
    pytest.importorskip("blackjax", reason="the nuts extra is not installed")
    d = make_linear(1)
    other = Untraceable("mine", d.data, d.theory, d.covariance, basis="warsaw")
    with pytest.raises(
        InputError, match=r"jax cannot trace -2 log L of the datasets mine .*sample or laplace"
    ):
        nuts(Likelihood([other]))


@pytest.mark.parametrize("options", [{"n_samples": 3}, {"chains": 0}, {"warmup": 0}, {"seed": -1}])
def test_bad_options_are_refused(make_linear, options) -> None:
    pytest.importorskip("blackjax", reason="the nuts extra is not installed")
    with pytest.raises(InputError, match="nuts needs at least 4 samples per chain"):
        nuts(Likelihood([make_linear(1)]), **options)


def test_coordinates_go_forth_and_back_with_their_jacobian() -> None:
    lower, upper = np.array([-1.0, -np.inf, 2.0]), np.array([3.0, np.inf, 2.5])
    hessian = np.array([[50.0, 3.0, 0.0], [3.0, 2.0, 0.1], [0.0, 0.1, 1e-9]])
    place = Coordinates.at(lower, upper, np.array([2.9, 1.0, 7.0]), hessian)
    z = np.random.default_rng(0).normal(size=(5, 3))
    c, log_jacobian = place.forward(z)
    assert np.all((c[:, [0, 2]] > lower[[0, 2]]) & (c[:, [0, 2]] < upper[[0, 2]]))
    np.testing.assert_allclose(place.backward(c), z, atol=1e-8)
    step = 1e-6
    numeric = []
    for point in z:
        rows = [
            (place.forward(point + step * e)[0] - place.forward(point - step * e)[0]) / (2 * step)
            for e in np.eye(3)
        ]
        numeric.append(np.linalg.slogdet(np.array(rows))[1])
    np.testing.assert_allclose(np.diff(log_jacobian), np.diff(numeric), atol=1e-6)


def test_without_ranges_the_coordinates_whiten() -> None:
    a = np.random.default_rng(1).normal(size=(6, 4))
    hessian = 2 * a.T @ a
    none = np.full(4, np.inf)
    far = Coordinates.at(np.full(4, -1e3), np.full(4, 1e3), np.arange(4.0), hessian)
    assert not far.bounded.any()
    place = Coordinates.at(-none, none, np.arange(4.0), hessian)
    np.testing.assert_allclose(place.root.T @ (hessian / 2) @ place.root, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(place.forward(np.zeros(4))[0], np.arange(4.0))


def test_rhat_sees_chains_that_disagree_and_drift() -> None:
    rng = np.random.default_rng(2)
    good = rng.normal(size=(4, 500, 2))
    assert split_rhat(good).max() < 1.01
    apart = good + np.array([0, 0, 0, 2.0])[:, None, None] * np.array([1.0, 0.0])
    assert split_rhat(apart)[0] > 1.2
    assert split_rhat(apart)[1] < 1.01
    wide = good * np.array([1, 1, 1, 4.0])[:, None, None]  # same means
    assert split_rhat(wide).min() > 1.05
    drift = good + np.linspace(-1, 1, 500)[None, :, None]
    assert split_rhat(drift).min() > 1.1
