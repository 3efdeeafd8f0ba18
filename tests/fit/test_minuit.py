"""minimise: closed forms, exact intervals of other shapes, flat directions, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from smeft_unbinned import (
    GaussianDataset,
    InputError,
    Likelihood,
    PoissonDataset,
    Polynomial,
    UnbinnedDataset,
    export,
    minimise,
)
from smeft_unbinned.fit.profile import Ends
from smeft_unbinned.polynomial import size
from smeft_unbinned.processes import toy

SIX = ("cHW", "cHB", "cHWB", "cHq1", "cHq3", "cHu")


def closed_form(d: GaussianDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return best fit and covariance of a linear Gaussian measurement."""
    a, inverse = d.theory.linear, np.linalg.inv(d.covariance)
    covariance = np.linalg.inv(a.T @ inverse @ a)
    return covariance @ a.T @ inverse @ (d.data - d.theory.constant), covariance


def test_a_correlated_linear_fit_is_exact(make_linear) -> None:
    d = make_linear(3, operators=SIX, points=15)
    best, covariance = closed_form(d)
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs(correlation - np.eye(6)).max() > 0.5
    fit = minimise(Likelihood([d]))
    assert fit.valid
    assert fit.messages == ()
    np.testing.assert_allclose([fit.best[n] for n in SIX], best, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-8)
    assert fit.m2logl == pytest.approx(float(d.m2logl(best)), rel=1e-6)
    for level in (0.68, 0.95):
        half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(fit.intervals(level), np.stack([best - half, best + half], 1), atol=2e-3)
        np.testing.assert_allclose(fit.hesse_intervals(level), fit.intervals(level), atol=2e-3)


def test_coefficients_of_very_different_size_are_fitted_alike(make_linear) -> None:
    d = make_linear(4, points=9)
    units = np.array([1e-5, 1.0, 1e4])
    scaled = GaussianDataset(
        "scaled", d.data, d.theory.change_basis(d.operators, np.diag(1 / units)).dense(), d.covariance,
        basis="warsaw",
    )  # fmt: skip
    fit, best = minimise(Likelihood([scaled])), closed_form(d)[0]
    assert fit.valid
    np.testing.assert_allclose([fit.best[n] for n in d.operators] / units, best, rtol=1e-3, atol=1e-4)


def test_intervals_of_a_curved_likelihood_are_its_crossings() -> None:
    """One coefficient with linear and quadratic effect: no parabola, and the interval is asymmetric."""
    yields = Polynomial(["cHW"], [[40.0, 12.0, 3.0], [10.0, 8.0, 6.0]])
    d = PoissonDataset("two bins", yields, [45.0, 17.0])
    fit = minimise(Likelihood([d]))

    def above(x: float, level: float) -> float:
        return float(d.m2logl([x])) - fit.m2logl - stats.chi2(1).ppf(level)

    best = fit.best["cHW"]
    assert best == pytest.approx(optimize.minimize_scalar(lambda x: d.m2logl([x]), (0, 1)).x, abs=1e-4)
    for level in (0.68, 0.95):
        lower, upper = fit.intervals(level).loc["cHW"]
        assert lower == pytest.approx(optimize.brentq(above, best - 1.4, best, (level,)), abs=2e-3)
        assert upper == pytest.approx(optimize.brentq(above, best, best + 5, (level,)), abs=2e-3)
    assert abs((best - lower) / (upper - best) - 1) > 0.05


def test_profile_intervals_profile_the_others(make_unbinned) -> None:
    d = make_unbinned(8, n=100, operators=("cHW", "cHu"))
    fit = minimise(Likelihood([d]))
    for name, other in (("cHW", "cHu"), ("cHu", "cHW")):

        def above(x: float, name: str = name, other: str = other) -> float:
            profile = optimize.minimize_scalar(
                lambda y: d.m2logl({name: x, other: y}), (fit.best[other] - 0.1, fit.best[other] + 0.1)
            )
            return profile.fun - fit.m2logl - stats.chi2(1).ppf(0.95)

        lower, upper = fit.intervals(0.95).loc[name]
        width = upper - lower
        assert above(lower) == pytest.approx(0.0, abs=0.02)
        assert above(upper) == pytest.approx(0.0, abs=0.02)
        assert above(lower - 0.1 * width) > 0.1


def test_fixed_coefficients_leave_the_errors_of_the_others_right(make_linear) -> None:
    """Minuit's own fixing, with an analytic gradient, is known to give wrong errors in silence."""
    d = make_linear(5, operators=SIX, points=15)
    inverse = np.linalg.inv(closed_form(d)[1])
    fit = minimise(Likelihood([d], fixed={"cHWB": 0.3, "cHq1": 0.0}))
    kept = [0, 1, 4, 5]
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(inverse[np.ix_(kept, kept)]), rtol=1e-8)
    half = stats.norm.ppf(0.975) * fit.errors
    np.testing.assert_allclose(fit.intervals(0.95).upper - fit.intervals(0.95).lower, 2 * half, rtol=2e-3)
    assert (fit.best["cHWB"], fit.best["cHq1"]) == (0.3, 0.0)


def test_dependent_coefficients_are_reported(make_linear) -> None:
    fit = minimise(Likelihood([make_linear(6)], dependent={"cHu": {"cHW": 2.0}}))
    assert fit.best["cHu"] == pytest.approx(2 * fit.best["cHW"])
    assert fit.operators == ("cHW", "cHq3")


def test_the_start_does_not_change_the_result(make_unbinned) -> None:
    likelihood = Likelihood([make_unbinned(9)])
    a, b = minimise(likelihood), minimise(likelihood, start={"cHW": 0.3, "cHu": -0.2})
    assert dict(a.best) == pytest.approx(dict(b.best), abs=1e-3)
    assert b.provenance["start"] == {"cHW": 0.3, "cHq3": 0.0, "cHu": -0.2}
    assert a.provenance["bounds"] == {}


def flat(scale: float = 1.0) -> GaussianDataset:
    """A measurement of cHW + 2 cHu and of cHq3 only."""
    theory = np.zeros((3, size(3)))
    theory[:, 1:4] = scale * np.array([[1, 0, 2], [2, 0, 4], [0, 1, 0]])
    return GaussianDataset(
        "flat", np.ones(3), Polynomial(["cHW", "cHq3", "cHu"], theory), np.eye(3), basis="warsaw"
    )


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e4])
def test_a_flat_direction_is_reported_and_named(scale: float) -> None:
    fit = minimise(Likelihood([flat(scale)]))
    assert not fit.valid
    assert any(m.startswith("no dataset constrains cHW - 0.5 cHu: a flat direction") for m in fit.messages)
    text = next(m for m in fit.messages if "flat" in m)
    assert "cHW" in text
    assert "cHu" in text
    assert "cHq3" not in text
    assert fit.covariance.isna().all(axis=None)
    assert minimise(Likelihood([flat(scale)]).only(["cHW", "cHq3"])).valid


def test_a_coefficient_without_effect_is_refused() -> None:
    theory = Polynomial(["cHW", "cHu"], np.array([[0, 1.0, 0, 0, 0, 0]]))
    d = GaussianDataset("a", [1.0], theory, [[1.0]], basis="warsaw")
    with pytest.raises(InputError, match=r"no dataset constrains cHu: .*fix it or remove it from the fit"):
        minimise(Likelihood([d]))


def test_purely_quadratic_asimov_data_have_intervals_without_curvature() -> None:
    """-2 log L is of fourth order at the SM: no covariance, yet a well-defined interval."""
    q = np.random.default_rng(1).exponential(size=(100, 1))
    ratios = Polynomial(["cHWtil"], np.concatenate([np.ones((100, 1)), np.zeros((100, 1)), q], axis=1))
    d = UnbinnedDataset("a", ratios, ratios.sum())
    fit = minimise(Likelihood([d]))
    assert fit.valid
    assert "the curvature vanishes along cHWtil" in fit.messages[0]
    assert fit.covariance.isna().all(axis=None)
    edge = optimize.brentq(lambda x: float(d.m2logl([x])) - stats.chi2(1).ppf(0.95), 0.01, 5)
    np.testing.assert_allclose(fit.intervals(0.95).loc["cHWtil"], [-edge, edge], atol=1e-3)


def test_ratios_that_turn_negative_are_reported() -> None:
    """A yield that falls faster than the logarithm's continuation rises pulls the fit where r < 0."""
    ratios = Polynomial(["cHW"], [[1.0, -1.0, 0.0]])
    d = UnbinnedDataset("a", ratios, Polynomial(["cHW"], [50.0, -100.0, 25.0]), [1e-9])
    fit = minimise(Likelihood([d]), levels=())
    assert fit.best["cHW"] == pytest.approx(1.8, rel=1e-3)
    assert "1 events have a ratio that is not positive at the best fit" in fit.messages


class Broken:
    """A dataset of somebody else whose likelihood is not defined at the SM."""

    name, operators, basis = "broken", ("cHW",), "warsaw"

    def m2logl(self, c: np.ndarray) -> np.ndarray:
        return np.full(np.shape(c)[:-1], np.nan)

    def in_basis(self, target: str) -> Broken:
        return self

    gradient = hessian = m2logl


def test_a_likelihood_that_is_not_finite_at_the_start_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"-2 log L is nan at the start point \(cHW = 0\); choose another start"
    ):
        minimise(Likelihood([Broken()]))


@pytest.mark.parametrize("level", [0.0, 1.0, 2, -0.5])
def test_levels_lie_between_zero_and_one(make_linear, level: float) -> None:
    with pytest.raises(InputError, match="lies between 0 and 1"):
        minimise(Likelihood([make_linear()]), levels=(0.68, level))


def test_an_unknown_start_names_the_nearest(make_linear) -> None:
    with pytest.raises(InputError, match=r"unknown operator 'cHw'.*Did you mean 'cHW'"):
        minimise(Likelihood([make_linear()]), start={"cHw": 1.0})


def test_provenance_says_what_was_fitted(make_unbinned, tmp_path) -> None:
    make_unbinned(1).save(tmp_path / "d")
    loaded = UnbinnedDataset.load(tmp_path / "d")
    p = minimise(Likelihood([loaded], fixed={"cHu": 0.0}, bounds={"cHW": (-1, 1)}), levels=()).provenance
    assert {"smeft-unbinned", "iminuit", "numpy", "scipy"} == set(p["versions"])
    assert p["datasets"]["unbinned"]["checksums"] == loaded.metadata["checksums"]
    assert loaded.metadata["checksums"]["weights"]
    assert (p["basis"], p["units"], p["fixed"], p["bounds"]) == (
        "warsaw",
        "TeV^-2",
        {"cHu": 0.0},
        {"cHW": [-1, 1]},
    )


def test_a_coefficient_that_moves_more_than_the_data_know_is_named(make_unbinned) -> None:
    """SMEFiT's O3pq moves cHq1 and cHq3; data trained on cHq3 alone are told apart from complete ones."""
    half = make_unbinned(1, operators=("cHW", "cHq3")).in_basis("smefit")
    note = "unbinned takes no account of cHq1, which O3pq moves too"
    assert note in minimise(Likelihood([half])).messages
    assert minimise(Likelihood([half], ["OpW"])).messages == ()
    whole = make_unbinned(1, operators=("cHW", "cHq1", "cHq3")).in_basis("smefit")
    assert note not in minimise(Likelihood([whole])).messages


def test_the_deeper_of_two_minima_is_found() -> None:
    """1 + 0.3 a + a^2 is nearly symmetric: a second bin decides, against the side on which the SM lies."""
    coefficients = np.array([[1, 0.3, 1.0], [1, 0.2, 0.0]])
    data = GaussianDataset("g", [3.0, 0.6], Polynomial(["a"], coefficients), 0.04 * np.eye(2), basis="warsaw")
    result = minimise(Likelihood([data]))
    grid = np.linspace(-3, 3, 60_001)
    values = data.m2logl(grid[:, None])
    assert result.best["a"] == pytest.approx(grid[np.argmin(values)], abs=1e-3)
    inside = grid[values < values.min() + stats.chi2.ppf(0.95, 1)]
    np.testing.assert_allclose(result.intervals(0.95).loc["a"], [inside[0], inside[-1]], atol=1e-3)


def test_equal_minima_are_told() -> None:
    """An operator without interference and an excess: the SM is a saddle between two minima."""
    form = Polynomial(["a"], np.array([[1, 0.0, 1.0]]))
    data = GaussianDataset("g", [3.0], form, 0.04 * np.eye(1), basis="warsaw")
    result = minimise(Likelihood([data]))
    assert abs(result.best["a"]) == pytest.approx(np.sqrt(2), rel=1e-5)
    assert any("1 more minima within 95%" in m for m in result.messages)


def test_newton_and_minos_find_the_same_ends(make_unbinned, monkeypatch) -> None:
    likelihood = Likelihood([make_unbinned(3)])
    newton = minimise(likelihood).intervals(0.95)
    nothing = Ends(np.full((6, 3), np.nan), np.zeros(6, dtype=bool))
    monkeypatch.setattr("smeft_unbinned.fit.intervals.interval_ends", lambda *arguments: nothing)
    monkeypatch.setattr("smeft_unbinned.fit.intervals.follow", lambda *arguments: None)
    minos = minimise(likelihood).intervals(0.95)
    np.testing.assert_allclose(newton, minos, rtol=2e-3, atol=1e-4)


def test_an_interval_around_a_minimum_without_curvature() -> None:
    """A coefficient that enters squared alone: -2 log L rises with its fourth power."""
    events = toy.generate(5000, seed=5)
    likelihood = Likelihood([export(None, events, None, 1.0 / float(np.sum(events.weights)))])
    found = minimise(likelihood).intervals(0.95).loc["theta"]
    end = optimize.brentq(lambda t: float(likelihood.m2logl([t])) - 3.841458820694124, 0.01, 1.0)
    np.testing.assert_allclose([found["lower"], found["upper"]], [-end, end], rtol=1e-6)


def test_an_interval_reaches_over_to_another_minimum() -> None:
    """Two minima a = +-1 with a valley between them that is lower than the level."""
    names = ("a", "b")
    theory = Polynomial(names, [[0.0, 0, 0, 1.0, 0.0, 0.2], [0.0, 0.3, 1.0, 0, 0, 0]])
    d = GaussianDataset("d", [1.0, 0.0], theory, np.diag([0.6**2, 0.5**2]), basis="warsaw")
    likelihood = Likelihood([d])
    result = minimise(likelihood)
    assert len(result.messages) >= 1
    grid = np.linspace(-4, 4, 801)
    values = likelihood.m2logl(np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)) - result.m2logl
    for i, name in enumerate(names):
        profile = values.min(axis=1 - i)
        inside = profile < 3.841459
        start = int(np.argmin(np.abs(grid - result.best[name])))
        left, right = start, start
        while inside[left - 1]:
            left -= 1
        while inside[right + 1]:
            right += 1
        found = result.intervals(0.95).loc[name]
        assert found["lower"] == pytest.approx(grid[left], abs=0.012)
        assert found["upper"] == pytest.approx(grid[right], abs=0.012)
