"""Fits of all networks at once: a loop of single fits, closed forms, combinations, bands, refusals."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from smeft_unbinned import (
    FitResult,
    InputError,
    Likelihood,
    Polynomial,
    SumOfSquares,
    UnbinnedDataset,
    minimise,
)
from smeft_unbinned.errors import NonPositiveRatio
from smeft_unbinned.fit.networks import ReplicaLikelihood
from smeft_unbinned.fit.replicas import (
    ReplicaFits,
    fit_replicas,
    network,
    network_bands,
    with_network_uncertainty,
)
from smeft_unbinned.newton import minimise_over

M = 6
LEVELS = (0.68, 0.95)


def ensemble(
    make_ratios: Callable[..., SumOfSquares],
    seed: int = 1,
    n: int = 60,
    operators: tuple[str, ...] = ("cHW", "cHu"),
    members: int = M,
    name: str = "unbinned",
) -> UnbinnedDataset:
    """Networks that differ from each other by a few per cent of the dependence on the coefficients."""
    rng = np.random.default_rng(seed)
    truth = make_ratios(seed, n, operators)
    factors = np.repeat(truth.factors[None], members, axis=0)
    factors[..., 1:] *= 1.0 + 0.05 * rng.normal(size=(members, n, len(operators) + 1, len(operators)))
    networks = SumOfSquares(operators, factors).dense()
    mean = Polynomial(operators, networks.coefficients.mean(axis=0))
    other = make_ratios(seed + 100, n, operators).dense().sum()
    return UnbinnedDataset(name, mean, other, rng.uniform(0.5, 1.5, n), replicas=networks)


def loop(
    datasets: list[UnbinnedDataset], extra: tuple[object, ...] = (), **options: object
) -> list[FitResult]:
    """The fits of single networks, one by one."""
    members = datasets[0].replicas.batch_shape[0]
    return [
        minimise(Likelihood([*(d.replica(m) for d in datasets), *extra], **options)) for m in range(members)
    ]


def assert_same(fits: ReplicaFits, single: list[FitResult]) -> None:
    """Best fits to 1e-6 of an error, interval ends to 1e-4."""
    assert fits.converged.all()
    for m, one in enumerate(single):
        errors = one.errors
        best = pd.Series(dict(one.best))[errors.index]
        assert np.all(np.abs(fits.best.loc[m, list(errors.index)] - best) < 1e-6 * errors)
        assert fits.m2logl[m] == pytest.approx(one.m2logl, abs=1e-9)
        for level in LEVELS:
            ends = fits.ends[level].loc[m].unstack()[["lower", "upper"]].loc[list(errors.index)]
            far = (ends - one.intervals(level)).abs().max(axis=1)
            assert np.all(far < 1e-4 * errors)


def test_a_batch_equals_a_loop(make_ratios) -> None:
    d = ensemble(make_ratios)
    fits = fit_replicas([d])
    assert fits.best.shape == (M, 2)
    assert fits.messages == ()
    assert_same(fits, loop([d]))
    assert fits.best.std().min() > 1e-3


def test_networks_stored_as_sums_of_squares(make_ratios) -> None:
    factors = np.stack([make_ratios(seed, 50, ("cHW", "cHu"), 0.25).factors for seed in range(4)])
    networks = SumOfSquares(("cHW", "cHu"), factors)
    mean = Polynomial(networks.operators, networks.dense().coefficients.mean(axis=0))
    d = UnbinnedDataset("a", mean, mean.sum(), replicas=networks)
    assert_same(fit_replicas([d]), loop([d]))


def test_two_measurements_with_networks_and_one_without(make_ratios, make_linear) -> None:
    """Network m of one dataset goes with network m of the other; the Gaussian term is common to all."""
    a = ensemble(make_ratios, 1, name="a")
    b = ensemble(make_ratios, 2, operators=("cHu", "cHq3"), name="b")
    g = make_linear(3)
    options = {"fixed": {"cHq3": 0.05}}
    fits = fit_replicas(Likelihood([a, g, b], **options))
    assert_same(fits, loop([a, b], (g,), **options))
    assert fits.datasets == ("a", "b")


def test_nuisances_are_fitted_with_each_network(make_ratios) -> None:
    d = ensemble(make_ratios, members=3).with_luminosity(0.1)
    likelihood = Likelihood([d])
    fits = fit_replicas(likelihood)
    assert list(fits.best) == ["cHW", "cHu", "luminosity"]
    assert_same(fits, loop([d]))
    profiled = fit_replicas(likelihood.profiled())
    np.testing.assert_allclose(profiled.best, fits.best, atol=1e-6)
    joint = network(likelihood, minimise(likelihood))
    alone = network(likelihood.profiled(), minimise(likelihood.profiled()))
    assert list(alone.covariance) == ["cHW", "cHu"]
    np.testing.assert_allclose(
        alone.covariance, joint.covariance.loc[["cHW", "cHu"], ["cHW", "cHu"]], rtol=1e-5
    )


SHIFTS = np.random.default_rng(7).normal(scale=0.05, size=(20, 2))


@pytest.fixture(scope="module")
def shifted() -> tuple[UnbinnedDataset, ReplicaFits]:
    """Linear ratios, a constant yield, and network m sees c + s_m: everything moves by -s_m."""
    linear = np.random.default_rng(5).normal(scale=0.3, size=(80, 2))
    coefficients = np.zeros((len(SHIFTS), 80, 6))
    coefficients[..., 0] = 1.0
    coefficients[..., 1:3] = linear / (1.0 + SHIFTS @ linear.T)[..., None]
    form = np.concatenate([np.ones((80, 1)), linear, np.zeros((80, 3))], axis=1)
    networks, constant = Polynomial(("cHW", "cHu"), coefficients), Polynomial((), [80.0])
    d = UnbinnedDataset("a", Polynomial(("cHW", "cHu"), form), constant, replicas=networks)
    return d, fit_replicas([d])


def test_networks_of_shifted_coefficients_have_shifted_fits(shifted) -> None:
    d, fits = shifted
    central = minimise(Likelihood([d]))
    best = pd.Series(dict(central.best))
    np.testing.assert_allclose(fits.best, best.to_numpy() - SHIFTS, atol=1e-6)
    np.testing.assert_allclose(fits.network_covariance, np.cov(SHIFTS.T), atol=1e-7)
    np.testing.assert_allclose(fits.mean_covariance, np.cov(SHIFTS.T) / 20, atol=1e-8)
    for level in LEVELS:
        for i, name in enumerate(d.operators):
            for side in ("lower", "upper"):
                expected = central.intervals(level).loc[name, side] - SHIFTS[:, i]
                np.testing.assert_allclose(fits.ends[level][name, side], expected, atol=1e-5)
    band = fits.band(0.95, 0.5)
    limits = central.intervals(0.95)
    for i, name in enumerate(d.operators):
        for side in ("lower", "upper"):
            quartiles = limits.loc[name, side] - np.quantile(SHIFTS[:, i], [0.5, 0.75, 0.25])
            row = band.loc[name, [side, f"{side}_from", f"{side}_to"]]
            np.testing.assert_allclose(row, quartiles, atol=1e-5)


def test_a_shift_of_the_linear_coefficient_has_a_closed_form() -> None:
    """N events alike, r = 1 + l c, nu = N (1 + k c): the best fit is 1/k - 1/slope for each l."""
    number, k, slopes = 50.0, 0.4, 0.5 + 0.02 * np.arange(5)
    networks = Polynomial(["cHW"], np.stack([[[1.0, slope, 0.0]] for slope in slopes]))
    expected = Polynomial(["cHW"], [number, number * k, 0.0])
    d = UnbinnedDataset("a", networks[2], expected, [number], replicas=networks)
    fits = fit_replicas([d])
    best = 1.0 / k - 1.0 / slopes
    np.testing.assert_allclose(fits.best["cHW"], best, rtol=1e-8)
    assert fits.network_covariance.loc["cHW", "cHW"] == pytest.approx(np.var(best, ddof=1), rel=1e-7)

    def rise(c: float, slope: float, delta: float) -> float:
        at = 1.0 / k - 1.0 / slope
        return 2.0 * number * (k * (c - at) - np.log((1.0 + slope * c) / (1.0 + slope * at))) - delta

    for level in LEVELS:
        delta = stats.chi2(1).ppf(level)
        for m, slope in enumerate(slopes):
            lower = optimize.brentq(rise, -1.0 / slope + 1e-9, best[m], (slope, delta), xtol=1e-12)
            upper = optimize.brentq(rise, best[m], best[m] + 10.0, (slope, delta), xtol=1e-12)
            np.testing.assert_allclose(fits.ends[level].loc[m], [lower, upper], rtol=1e-7)


def test_derivatives_of_all_networks_are_those_of_each(make_ratios, make_linear) -> None:
    d = ensemble(make_ratios)
    likelihood = ReplicaLikelihood(Likelihood([d, make_linear(3)]))
    p = np.random.default_rng(2).normal(scale=0.1, size=(M, 3))
    assert likelihood.parameters == ("cHW", "cHu", "cHq3")
    single = [Likelihood([d.replica(m), make_linear(3)]) for m in range(M)]
    for method in ("m2logl", "gradient", "hessian"):
        each = np.stack([getattr(one, method)(p[m]) for m, one in enumerate(single)])
        np.testing.assert_allclose(getattr(likelihood, method)(p), each, rtol=1e-10, atol=1e-10)
    index = [3, 0, 3, 5, 0]
    some = likelihood.of(index).m2logl(p[:5])
    np.testing.assert_allclose(some, [single[m].m2logl(p[k]) for k, m in enumerate(index)], rtol=1e-10)
    with pytest.raises(InputError, match=r"6 networks take points of shape \(6, 3\), got \(5, 3\)"):
        likelihood.m2logl(p[:5])


def test_threads_change_nothing(make_ratios, monkeypatch) -> None:
    d = ensemble(make_ratios)
    alone = fit_replicas([d])
    monkeypatch.setattr("smeft_unbinned.engine.blocks.WORTHWHILE", 0.0)
    monkeypatch.setattr("smeft_unbinned.engine.blocks.available", lambda: 3)
    together = fit_replicas([d])
    pd.testing.assert_frame_equal(together.best, alone.best, rtol=1e-10)
    pd.testing.assert_frame_equal(together.ends[0.95], alone.ends[0.95], rtol=1e-10)


def test_a_result_takes_the_spread_of_the_networks(shifted, tmp_path: Path) -> None:
    d, fits = shifted
    central = minimise(Likelihood([d]))
    full = with_network_uncertainty(central, fits)
    np.testing.assert_allclose(full.covariance, central.covariance + np.cov(SHIFTS.T), rtol=1e-5)
    mean = with_network_uncertainty(central, fits, of="mean")
    np.testing.assert_allclose(mean.covariance, central.covariance + np.cov(SHIFTS.T) / 20, rtol=1e-5)
    share = np.sqrt(fits.network_covariance.loc["cHW", "cHW"]) / central.errors["cHW"]
    text = next(m for m in full.messages if "a single network" in m)
    assert "at most" in text
    assert 0.01 < share < 10
    assert any("the mean of 20 networks" in m for m in mean.messages)
    assert full.table()["error"].loc["cHW"] == pytest.approx(np.sqrt(full.covariance.loc["cHW", "cHW"]))
    pd.testing.assert_frame_equal(full.intervals(0.95), central.intervals(0.95))
    full.save(tmp_path / "fit.json")
    record = json.loads((tmp_path / "fit.json").read_text())["provenance"]["network"]
    assert (record["networks"], record["converged"], record["added"]) == (20, 20, "network")
    loaded = FitResult.load(tmp_path / "fit.json")
    np.testing.assert_allclose(loaded.covariance, full.covariance)
    pd.testing.assert_frame_equal(network_bands(loaded)[0.95], fits.band(0.95))
    assert network_bands(central) == {}
    again = network(Likelihood([d]), central)
    np.testing.assert_allclose(again.covariance, full.covariance, rtol=1e-6)


def test_coefficients_of_very_different_size(make_ratios) -> None:
    d = ensemble(make_ratios)
    units = np.array([1e-5, 1e4])

    def scaled(form: Polynomial) -> Polynomial:
        return form.change_basis(form.operators, np.diag(1.0 / units)).dense()

    other = d.replace(ratios=scaled(d.ratios), expected=scaled(d.expected), replicas=scaled(d.replicas))
    fits, plain = fit_replicas([other]), fit_replicas([d])
    np.testing.assert_allclose(fits.best / units, plain.best, atol=1e-6)
    np.testing.assert_allclose(fits.band(0.68).div(units, axis=0), plain.band(0.68), atol=1e-6)


def test_networks_without_an_interval_are_reported(make_ratios, monkeypatch) -> None:
    monkeypatch.setattr("smeft_unbinned.fit.network_ends.STEPS", 1)
    fits = fit_replicas([ensemble(make_ratios)], levels=(0.95,))
    assert fits.converged.all()
    assert fits.ends[0.95].isna().all(axis=None)
    assert fits.band(0.95).isna().all(axis=None)
    assert "networks without a 95% interval of cHW: 0, 1, 2, 3, 4, 5" in fits.messages


def test_a_network_that_does_not_converge_is_reported(make_ratios, monkeypatch) -> None:
    d = ensemble(make_ratios, members=12)
    whole = fit_replicas([d])

    def incomplete(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        y, converged = minimise_over(*arguments)
        y[3] += 0.5
        return y, converged & (np.arange(12) != 3)

    monkeypatch.setattr("smeft_unbinned.fit.replicas.minimise_over", incomplete)
    fits = fit_replicas([d])
    assert fits.messages == ("networks that did not converge and are left out: 3",)
    kept = whole.best.drop(index=3)
    np.testing.assert_allclose(fits.network_covariance, kept.cov(), rtol=1e-6)
    assert fits.ends[0.95].loc[3].isna().all()
    assert fits.band(0.95).notna().all(axis=None)
    assert fits.messages[0] in with_network_uncertainty(minimise(Likelihood([d])), fits).messages
    monkeypatch.setattr("smeft_unbinned.fit.replicas.minimise_over", lambda *_: (whole.best.to_numpy(), NONE))
    assert fit_replicas([d]).messages[0].endswith("left out: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")


NONE = np.zeros(12, dtype=bool)


def test_a_network_that_leaves_a_direction_free_is_reported() -> None:
    """Network 1 does not depend on cHu at all, and no other dataset does."""
    linear = np.random.default_rng(5).normal(scale=0.3, size=(3, 80, 2))
    coefficients = np.zeros((3, 80, 6))
    coefficients[..., 0], coefficients[..., 1:3] = 1.0, linear[0] + 0.01 * linear
    coefficients[1, :, 2] = 0.0
    networks = Polynomial(("cHW", "cHu"), coefficients)
    d = UnbinnedDataset("a", networks[0], Polynomial((), [80.0]), replicas=networks)
    fits = fit_replicas([d])
    assert "networks that leave a direction unconstrained and are left out: 1" in fits.messages
    assert list(fits.converged) == [True, False, True]


def test_networks_without_curvature_have_intervals() -> None:
    """Asimov data and a purely quadratic dependence: -2 log L is of fourth order, and not flat."""
    quadratic = np.random.default_rng(1).exponential(size=(100, 1))
    form = Polynomial(["cHWtil"], np.concatenate([np.ones((100, 1)), np.zeros((100, 1)), quadratic], axis=1))
    twice = Polynomial(["cHWtil"], np.stack([form.coefficients, form.coefficients]))
    d = UnbinnedDataset("a", form, form.sum(), replicas=twice)
    fits = fit_replicas([d])
    assert fits.converged.all()
    edge = optimize.brentq(lambda x: float(d.m2logl([x])) - stats.chi2(1).ppf(0.95), 0.01, 5)
    np.testing.assert_allclose(fits.ends[0.95], [[-edge, edge]] * 2, rtol=1e-6)


def test_networks_with_ratios_that_are_not_positive_are_named() -> None:
    networks = Polynomial(["cHW"], np.stack([[[1.0, slope, 0.0]] for slope in (-0.3, -0.9, -1.0)]))
    d = UnbinnedDataset(
        "a", networks[0], Polynomial(["cHW"], [50.0, -100.0, 25.0]), [1e-9], replicas=networks
    )
    fits = fit_replicas([d], levels=())
    assert "networks with ratios that are not positive at their best fit: 1, 2" in fits.messages
    assert any("counted as a large penalty" in m for m in fits.messages)
    with pytest.raises(NonPositiveRatio, match="dataset 'a', network 1: 1 ratios are not positive"):
        fit_replicas(Likelihood([d], strict=True), minimise(Likelihood([d])))


def test_what_cannot_be_fitted_is_refused(make_ratios, make_unbinned) -> None:
    d = ensemble(make_ratios)
    with pytest.raises(InputError, match=r"no dataset holds replicas \(unbinned\); export an ensemble with"):
        fit_replicas([make_unbinned(1)])
    other = ensemble(make_ratios, 2, members=4, name="other")
    with pytest.raises(
        InputError, match="the same number of replicas, two at least, got unbinned: 6, other: 4"
    ):
        fit_replicas([d, other])
    one = d.replace(replicas=d.replicas[:1])
    with pytest.raises(InputError, match="two at least, got unbinned: 1"):
        fit_replicas([one])
    with pytest.raises(InputError, match="lies between 0 and 1"):
        fit_replicas([d], levels=(1.0,))
    central = minimise(Likelihood([d]))
    bad = dataclasses.replace(central, valid=False, messages=("Minuit did not converge",))
    with pytest.raises(InputError, match="but it did not converge; Minuit did not converge"):
        fit_replicas([d], bad)
    with pytest.raises(InputError, match="but it has no cHu"):
        fit_replicas([d], minimise(Likelihood([d]).only(["cHW"])))
    fits = fit_replicas([d], central, levels=(0.9,))
    with pytest.raises(InputError, match=r"no ends at level 0.95 \(have: 0.9\)"):
        fits.band(0.95)
    with pytest.raises(InputError, match="lies between 0 and 1"):
        fits.band(0.9, confidence=1.2)
    with pytest.raises(InputError, match="one of network, mean, got 'median'"):
        with_network_uncertainty(central, fits, of="median")
    full = with_network_uncertainty(central, fits)
    with pytest.raises(InputError, match="have been added already"):
        with_network_uncertainty(full, fits)
    with pytest.raises(InputError, match="have no cHu; fit the likelihood of this result"):
        with_network_uncertainty(central, fit_replicas(Likelihood([d]).only(["cHW"])))
    failed = dataclasses.replace(
        fits, converged=fits.converged & (fits.converged.index == 2), messages=("x",)
    )
    with pytest.raises(InputError, match="only 1 of 6 networks converged: x"):
        with_network_uncertainty(central, failed)
