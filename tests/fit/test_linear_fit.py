"""solve: the exact Gaussian solution against equations with many digits, its evidence, flat directions."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp
from scipy import stats

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Polynomial, minimise
from smeft_unbinned.fit.linear import is_quadratic, solve
from smeft_unbinned.polynomial import size

NAMES = ("cHW", "cHq3", "cHu")


def normal_equations(d: GaussianDataset, names: tuple[str, ...] = NAMES) -> tuple[np.ndarray, np.ndarray]:
    """Best fit and covariance with 40 digits."""
    with mp.workdps(40):
        a = mp.matrix(np.asarray(d.theory.linear)[:, [d.operators.index(n) for n in names]].tolist())
        weight = mp.matrix(d.covariance.tolist()) ** -1
        covariance = (a.T * weight * a) ** -1
        residual = mp.matrix((d.data - np.asarray(d.theory.constant)).tolist())
        best = covariance * (a.T * weight * residual)
        return np.array(best.tolist(), dtype=float)[:, 0], np.array(covariance.tolist(), dtype=float)


def dataset(linear: list[list[float]], data: list[float], names: tuple[str, ...] = NAMES) -> GaussianDataset:
    theory = np.zeros((len(linear), size(len(names))))
    theory[:, 1 : len(names) + 1] = linear
    return GaussianDataset("d", data, Polynomial(names, theory), np.eye(len(data)), basis="warsaw")


def test_best_fit_covariance_and_value_are_those_of_the_normal_equations(make_linear) -> None:
    d = make_linear(1)
    result = solve(Likelihood([d]))
    best, covariance = normal_equations(d)
    np.testing.assert_allclose([result.best[n] for n in NAMES], best, rtol=1e-11)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-11)
    assert result.m2logl == pytest.approx(float(d.chi2(best) - d.chi2(np.zeros(3))), rel=1e-11)
    assert (result.method, result.valid, result.messages) == ("linear", True, ())


def test_nearly_degenerate_coefficients_of_unlike_size_keep_their_digits() -> None:
    """The Fisher matrix has a condition of 10^10 after scaling: inverted as it is, six digits are left."""
    rng = np.random.default_rng(0)
    linear = rng.normal(size=(9, 3)) * [1.0, 1.0, 1e-6]
    linear[:, 1] = linear[:, 0] + 2e-5 * linear[:, 1]
    d = dataset(linear.tolist(), rng.normal(size=9).tolist())
    result = solve(Likelihood([d]))
    assert result.provenance["condition"] > 1e9
    best, covariance = normal_equations(d)
    sigma = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(([result.best[n] for n in NAMES] - best) / sigma, 0.0, atol=1e-9)
    np.testing.assert_allclose((result.covariance - covariance) / np.outer(sigma, sigma), 0.0, atol=1e-9)


def test_samples_are_those_of_the_gaussian_and_of_the_seed(make_linear) -> None:
    likelihood = Likelihood([make_linear(2)], dependent={"cHu": {"cHW": -2.0}})
    result = solve(likelihood, n_samples=20_000, seed=3)
    assert result.samples is not None
    pull = (result.samples[["cHW", "cHq3"]] - [result.best[n] for n in ("cHW", "cHq3")]).to_numpy()
    square = np.einsum("si,ij,sj->s", pull, np.linalg.inv(result.covariance), pull)
    assert stats.kstest(square, stats.chi2(2).cdf).pvalue > 1e-3
    np.testing.assert_allclose(result.samples["cHu"], -2 * result.samples["cHW"])
    again, other = solve(likelihood, n_samples=20_000, seed=3), solve(likelihood, n_samples=20_000, seed=4)
    np.testing.assert_array_equal(again.samples, result.samples)
    assert not np.array_equal(other.samples, result.samples)


def test_intervals_are_exact_at_any_level(make_linear) -> None:
    d = make_linear(3)
    result = solve(Likelihood([d]), n_samples=10, levels=(0.5,))
    assert list(result.stored_intervals) == [0.5]
    best, covariance = normal_equations(d)
    for level in (0.5, 0.9):
        half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(np.diag(covariance))
        found = result.intervals(level).loc[list(NAMES)]
        np.testing.assert_allclose(found, np.column_stack([best - half, best + half]), rtol=1e-9)


def test_the_evidence_is_the_integral_over_the_box_and_the_prior_of_the_nuisance() -> None:
    theory = np.array([[10.0, 2.0, 0.0], [5.0, -1.0, 0.0]])
    d = GaussianDataset("d", [11.0, 5.5], Polynomial(["cHW"], theory), np.diag([1.0, 0.5]), basis="warsaw",
                        nuisances={"lumi": [0.5, 0.3]})  # fmt: skip
    likelihood = Likelihood([d], bounds={"cHW": (-15.0, 20.0)}, constraints={"lumi": (0.4, 1.5)})
    result = solve(likelihood, n_samples=100)

    c, theta = np.linspace(-5, 6, 441), np.linspace(-10, 11, 421)  # the rule is exact to all digits shown
    points = np.stack(np.meshgrid(c, theta, indexing="ij"), axis=-1)
    density = np.exp(-0.5 * d.m2logl(points)) * stats.norm(0.4, 1.5).pdf(theta) / 35.0
    z = density.sum() * (c[1] - c[0]) * (theta[1] - theta[0])
    assert result.logz == pytest.approx(np.log(z), abs=1e-6)
    assert result.logz_error == 0.0
    assert result.nuisances == ("lumi",)


def test_a_profiled_nuisance_gives_the_covariance_that_includes_it() -> None:
    theory = np.array([[10.0, 2.0, 0.0], [5.0, -1.0, 0.0], [7.0, 0.5, 0.0]])
    shift = np.array([0.5, 0.3, -0.2])
    form = Polynomial(["cHW"], theory)
    explicit = GaussianDataset("d", [11.0, 5.5, 6.8], form, np.eye(3), basis="warsaw", nuisances={"k": shift})
    hidden = GaussianDataset(
        "d", explicit.data, explicit.theory, np.eye(3) + np.outer(shift, shift), basis="warsaw"
    )
    profiled, plain = (
        solve(x, n_samples=5) for x in (Likelihood([explicit]).profiled(), Likelihood([hidden]))
    )
    assert profiled.parameters == ("cHW",)
    assert profiled.best["cHW"] == pytest.approx(plain.best["cHW"], rel=1e-12)
    np.testing.assert_allclose(profiled.covariance, plain.covariance, rtol=1e-12)
    assert profiled.m2logl == pytest.approx(plain.m2logl, rel=1e-9)


def test_without_all_ranges_there_is_no_evidence_and_a_cut_is_told(make_linear) -> None:
    d = make_linear(4)
    assert solve(Likelihood([d], bounds={"cHW": (-50, 50)})).logz is None
    best, covariance = normal_equations(d)
    sigma = np.sqrt(np.diag(covariance))
    box = {n: (x - 20 * s, x + 20 * s) for n, x, s in zip(NAMES, best, sigma, strict=True)}
    whole = solve(Likelihood([d], bounds=box))
    half = solve(Likelihood([d], bounds={**box, "cHW": (best[0], best[0] + 40 * sigma[0])}))
    assert whole.messages == ()
    assert "cuts into the posterior of cHW (50% outside)" in half.messages[0]
    assert half.logz == pytest.approx(whole.logz - np.log(2), abs=5 * half.logz_error)
    assert half.logz_error == pytest.approx(0.01, rel=0.1)
    far = solve(Likelihood([d], bounds={**box, "cHW": (best[0] + 30 * sigma[0], best[0] + 70 * sigma[0])}))
    assert far.logz is None
    assert any("none of the samples lies inside" in m for m in far.messages)


def test_what_is_quadratic_is_told_by_its_structure(make_linear, make_unbinned) -> None:
    assert is_quadratic(Likelihood([make_linear(1), make_linear(2, name="more")]))
    assert not is_quadratic(Likelihood([make_linear(1), make_unbinned(2)]))
    bent = np.zeros((3, size(2)))
    bent[:, 1:3] = np.random.default_rng(0).normal(size=(3, 2))
    bent[:, 4] = 0.1  # cHW cHu
    mixed = GaussianDataset("d", np.ones(3), Polynomial(["cHW", "cHu"], bent), np.eye(3), basis="warsaw")
    assert not is_quadratic(Likelihood([mixed]))
    fixed = Likelihood([mixed], fixed={"cHu": 2.0})  # then it is linear, with a slope that depends on cHu
    assert is_quadratic(fixed)
    assert solve(fixed).best["cHW"] == pytest.approx(minimise(fixed, levels=()).best["cHW"], rel=1e-4)
    with pytest.raises(InputError, match=r"not quadratic .*use minimise, laplace or sample"):
        solve(Likelihood([mixed]))


class Wrong(GaussianDataset):
    """A dataset whose -2 log L is not what its theory says."""

    def m2logl(self, c: object) -> np.ndarray:
        return np.asarray(super().m2logl(c)) * 1.001


def test_structure_alone_is_not_believed(make_linear) -> None:
    d = make_linear(1)
    wrong = Wrong("wrong", d.data, d.theory, d.covariance, basis="warsaw")
    assert not is_quadratic(Likelihood([wrong]))


def test_flat_directions_are_named() -> None:
    linear = [[1.0, 0.0, -2.0, 0.0], [2.0, 1.0, -4.0, 0.3], [0.5, 3.0, -1.0, 0.9]]
    d = dataset(linear, [1.0, 2.0, 3.0], names=("cHW", "cHq3", "cHu", "cHd"))
    with pytest.raises(InputError, match="no dataset constrains") as error:
        solve(Likelihood([d]))
    text = str(error.value)
    assert "cHW + 0.5 cHu" in text
    assert "cHd - 0.3 cHq3" in text
    assert "flat directions" in text
    assert solve(Likelihood([d]).only(["cHW", "cHq3"]), n_samples=1).valid


def test_fewer_points_than_coefficients_and_idle_ones_are_refused() -> None:
    d = dataset([[1.0, 2.0, 0.0]], [1.0])
    with pytest.raises(InputError, match=r"no dataset constrains cHu: .*does not depend on it"):
        solve(Likelihood([d]))
    with pytest.raises(InputError, match=r"no dataset constrains cHW - 0\.5 cHq3: flat direction of"):
        solve(Likelihood([d]).only(["cHW", "cHq3"]))


@pytest.mark.parametrize("options", [{"n_samples": 0}, {"seed": -1}, {"levels": (1.0,)}])
def test_bad_options_are_refused(make_linear, options) -> None:
    with pytest.raises(InputError):
        solve(Likelihood([make_linear(1)]), **options)
