"""laplace: posterior and evidence against integrals on grids; the diagnostics where it fails."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from smeft_unbinned import GaussianDataset, InputError, Likelihood, PoissonDataset, Polynomial, minimise
from smeft_unbinned.fit.laplace import laplace
from smeft_unbinned.fit.linear import solve
from smeft_unbinned.fit.proposal import Proposal, effective_size, resample, tail_shape

BOX = {"cHW": (-30.0, 30.0), "cHq3": (-30.0, 30.0), "cHu": (-30.0, 30.0)}


def twin_peaks(error: float, interference: float = 0.05) -> Likelihood:
    """1 + 0.05 a + a^2 measured above the SM: two minima, as far apart in errors as one wishes."""
    form = Polynomial(["a"], [[1.0, interference, 1.0]])
    d = GaussianDataset("g", [3.0], form, [[error**2]], basis="warsaw")
    return Likelihood([d], bounds={"a": (-5.0, 5.0)})


def on_grid(
    likelihood: Likelihood, lower: float, upper: float, n: int = 200_001
) -> tuple[float, float, float]:
    """Mean, standard deviation and log Z of one parameter with a flat prior in a range."""
    x = np.linspace(lower, upper, n)
    value = np.asarray(likelihood.m2logl(x[:, None]))
    density = np.exp(-0.5 * (value - value.min()))
    mean = float(density @ x / density.sum())
    width = float(np.sqrt(density @ (x - mean) ** 2 / density.sum()))
    return mean, width, float(np.log(density.mean()) - 0.5 * value.min())


def test_a_gaussian_is_sampled_as_it_is(make_linear) -> None:
    likelihood = Likelihood([make_linear(1)], bounds=BOX)
    exact, result = solve(likelihood), laplace(likelihood, seed=1)
    assert (result.method, result.valid, result.messages) == ("laplace", True, ())
    ess = result.provenance["ess"]
    assert ess > 0.9 * result.provenance["draws"]
    assert result.provenance["pareto_k"] < 0.3
    assert result.logz == pytest.approx(exact.logz, abs=5 * result.logz_error)
    assert result.logz_error < 0.005
    assert result.samples is not None
    for name in BOX:
        assert abs(result.samples[name].mean() - exact.best[name]) < 5 * exact.errors[name] / np.sqrt(5000)
        assert result.errors[name] == pytest.approx(exact.errors[name], rel=5 / np.sqrt(2 * ess))


def test_bent_posteriors_and_their_evidence_equal_the_integral() -> None:
    yields = Polynomial(["cHW"], [[40.0, 12.0, 3.0], [10.0, 8.0, 6.0]])
    likelihood = Likelihood([PoissonDataset("two bins", yields, [45.0, 17.0])], bounds={"cHW": (-1.0, 1.5)})
    result = laplace(likelihood, n_samples=20_000, seed=2)
    mean, width, logz = on_grid(likelihood, -1.0, 1.5)
    assert result.valid
    assert result.samples["cHW"].mean() == pytest.approx(mean, abs=5 * width / np.sqrt(20_000))
    assert result.errors["cHW"] == pytest.approx(width, rel=0.02)
    assert result.logz == pytest.approx(logz, abs=5 * result.logz_error)
    assert result.best["cHW"] == pytest.approx(minimise(likelihood, levels=()).best["cHW"])


def test_a_constrained_nuisance_is_a_normalised_prior(make_linear) -> None:
    theory = Polynomial(["cHW"], [[10.0, 2.0, 0.1], [5.0, -1.0, 0.05]])
    d = GaussianDataset("d", [11.0, 5.5], theory, np.diag([1.0, 0.5]), basis="warsaw",
                        nuisances={"lumi": [0.5, 0.3]})  # fmt: skip
    likelihood = Likelihood(
        [d], bounds={"cHW": (-2, 3), "lumi": (-1.0, 9.0)}, constraints={"lumi": (0.4, 1.5)}
    )
    result = laplace(likelihood, n_samples=10_000, seed=3)
    c, theta = np.linspace(-2, 3, 1001), np.linspace(-1, 9, 1001)
    points = np.stack(np.meshgrid(c, theta, indexing="ij"), axis=-1)
    prior = stats.norm(0.4, 1.5).pdf(theta) / stats.norm(0.4, 1.5).sf(-1.0) / 5.0
    inner = np.trapezoid(np.exp(-0.5 * d.m2logl(points)) * prior, theta, axis=1)
    assert result.logz == pytest.approx(np.log(np.trapezoid(inner, c)), abs=5 * result.logz_error)
    assert result.nuisances == ("lumi",)
    assert result.provenance["prior"]["lumi"] == {"constraint": [0.4, 1.5], "range": [-1.0, 9.0]}


def test_a_seed_fixes_the_result(make_unbinned) -> None:
    likelihood = Likelihood([make_unbinned(3)])
    a, b, other = (laplace(likelihood, n_samples=300, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(a.samples, b.samples)
    assert a.logz == b.logz
    assert other.logz != a.logz


def test_without_ranges_they_are_guessed_as_for_nested_sampling(make_unbinned) -> None:
    likelihood = Likelihood([make_unbinned(4)], fixed={"cHu": 0.1})
    result = laplace(likelihood, n_samples=200, bounds={"cHW": (-1.0, 1.0)})
    fit = minimise(likelihood, levels=())
    lower, upper = result.provenance["prior"]["cHq3"]
    assert upper - lower == pytest.approx(16 * fit.errors["cHq3"])
    assert result.provenance["prior"]["cHW"] == [-1.0, 1.0]
    assert np.all(result.samples["cHu"] == 0.1)


def test_all_minima_get_their_share() -> None:
    likelihood = twin_peaks(0.5)
    result = laplace(likelihood, n_samples=20_000, seed=1)
    assert result.minima is not None
    assert len(result.minima) == 2
    mean, width, logz = on_grid(likelihood, -5, 5)
    assert result.valid
    assert result.samples["a"].mean() == pytest.approx(mean, abs=5 * width / np.sqrt(20_000))
    assert result.errors["a"] == pytest.approx(width, rel=0.01)
    assert result.logz == pytest.approx(logz, abs=5 * result.logz_error)


def test_a_minimum_that_is_missed_is_seen_in_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one of two peaks unknown, few draws from the tails carry its weight."""
    likelihood = twin_peaks(1.0)

    def one(likelihood: Likelihood, **options: object) -> object:
        return replace(minimise(likelihood, levels=()), minima=None)

    monkeypatch.setattr(sys.modules[laplace.__module__], "minimise", one)
    monkeypatch.setattr(sys.modules[laplace.__module__], "ROUNDS", 1)
    result = laplace(likelihood, n_samples=5_000, seed=1)
    assert not result.valid
    assert "importance sampling is poor: effective sample size" in result.messages[0]
    assert "use sample (ultranest) or nuts" in result.messages[0]


def test_adaptation_repairs_a_poor_start(make_linear, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a proposal twice too narrow and off by two errors the moments of the draws lead back."""
    likelihood = Likelihood([make_linear(5)], bounds=BOX)
    exact = solve(likelihood)
    off = np.array([exact.best[n] for n in exact.parameters]) + 2 * exact.errors.to_numpy()
    wrong = Proposal.around(off[None], 0.25 * exact.covariance.to_numpy()[None], np.ones(1))
    monkeypatch.setattr(sys.modules[laplace.__module__], "start", lambda *arguments: wrong)
    result = laplace(likelihood, seed=1)
    first, *later = result.provenance["rounds"]
    assert first < 0.1 * result.provenance["draws"]
    assert later[-1] > 0.4 * result.provenance["draws"]
    assert result.logz == pytest.approx(exact.logz, abs=5 * result.logz_error)


def test_a_box_without_the_minimum_is_told(make_linear) -> None:
    likelihood = Likelihood([make_linear(1)], bounds=BOX)
    best, error = (getattr(solve(likelihood), x)["cHW"] for x in ("best", "errors"))
    result = laplace(likelihood, bounds={"cHW": (best + 0.2 * error, best + 3 * error)})
    assert any("lies outside of the prior box" in m for m in result.messages)
    assert any("cuts into the posterior of cHW" in m for m in result.messages)
    assert result.best["cHW"] >= best + 0.2 * error
    assert result.samples["cHW"].min() >= best + 0.2 * error
    with pytest.raises(InputError, match="the prior box excludes it"):
        laplace(likelihood, bounds={"cHW": (29.9, 30.0)}, draws=500)


def test_no_curvature_is_refused() -> None:
    form = Polynomial(["a"], [[1.0, 0.0, 1.0]])
    d = GaussianDataset("g", [1.0], form, [[0.04]], basis="warsaw")
    with pytest.raises(InputError, match=r"no positive curvature at its minimum.*use sample or nuts"):
        laplace(Likelihood([d], bounds={"a": (-3.0, 3.0)}))


@pytest.mark.parametrize("options", [{"n_samples": 0}, {"draws": 5}, {"seed": -1}, {"bounds": {"x": (0, 1)}}])
def test_bad_options_are_refused(make_linear, options) -> None:
    with pytest.raises(InputError):
        laplace(Likelihood([make_linear(1)]), **options)


@pytest.mark.parametrize("shape", [0.1, 0.5, 1.0])
def test_the_tail_of_pareto_weights_is_found(shape: float) -> None:
    rng = np.random.default_rng(3)
    found = [tail_shape(stats.genpareto(shape).rvs(20_000, random_state=rng)) for _ in range(10)]
    assert np.mean(found) == pytest.approx(shape, abs=0.08)


def test_effective_size_and_resampling() -> None:
    rng = np.random.default_rng(0)
    assert effective_size(np.ones(7)) == pytest.approx(7)
    assert effective_size(np.array([1.0, 0, 0])) == 1
    assert effective_size(np.zeros(3)) == 0
    weights = rng.exponential(size=50)
    counts = np.bincount(resample(rng, weights, 1000), minlength=50)
    assert np.all(np.abs(counts - 1000 * weights / weights.sum()) < 1)


def test_the_density_of_the_proposal_is_that_of_its_draws() -> None:
    """Moments of a Gaussian by importance sampling from a mixture of two components."""
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    proposal = Proposal.around(np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([covariance] * 2), np.ones(2))
    points = proposal.draw(np.random.default_rng(1), 40_000)
    target = stats.multivariate_normal([1.0, 0.5], covariance)
    weights = np.exp(target.logpdf(points) - proposal.log_density(points))
    assert weights.mean() == pytest.approx(1.0, abs=0.03)
    np.testing.assert_allclose(weights @ points / weights.sum(), [1.0, 0.5], atol=0.05)
