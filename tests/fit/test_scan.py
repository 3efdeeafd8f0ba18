"""Scans and contours against closed forms and brute-force grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from smeft_unbinned import FitResult, GaussianDataset, InputError, Likelihood, Polynomial, minimise
from smeft_unbinned.fit.level_curves import level_curves
from smeft_unbinned.fit.scan import contour, scan

NAMES = ("cHW", "cHq3", "cHu")


def gaussian(rows: dict[tuple[str, ...], list[float]], data: list[float], names=NAMES) -> GaussianDataset:
    """Points with unit errors, predictions by monomials of the names."""
    pairs = [(), *((n,) for n in names)] + [
        (a, b) for i, a in enumerate(names) for b in names[i:]
    ]  # the order of the coefficients of a Polynomial
    coefficients = np.zeros((len(data), len(pairs)))
    for monomial, column in rows.items():
        coefficients[:, pairs.index(monomial)] = column
    return GaussianDataset("g", data, Polynomial(names, coefficients), np.eye(len(data)), basis="warsaw")


@pytest.fixture(scope="module")
def linear(make_linear) -> tuple[Likelihood, FitResult]:
    likelihood = Likelihood([make_linear(3)])
    return likelihood, minimise(likelihood, levels=())


@pytest.fixture(scope="module")
def islands() -> Likelihood:
    """Two minima in cHW, at -1 and near 1.2, of different height, and correlations with the others."""
    rows = {
        ("cHW", "cHW"): [8.0, 0.0, 0.0, 0.0],
        ("cHW",): [-1.6, 0.4, 0.0, 0.6],
        ("cHq3",): [0.0, 0.0, 1.0, 1.5],
        ("cHu",): [0.0, 0.0, 0.7, -1.0],
        ("cHq3", "cHq3"): [0.0, 0.0, 0.3, 0.0],
        ("cHu", "cHu"): [0.0, 0.0, 0.0, 0.2],
    }
    return Likelihood([gaussian(rows, [9.6, -0.3, 0.2, 0.4])])


def brute(likelihood: Likelihood, held: dict[str, float]) -> float:
    """The lowest -2 log L at held values, by descents from many starts."""
    others = [n for n in likelihood.parameters if n not in held]

    def value(x: np.ndarray) -> float:
        return float(likelihood.m2logl({**held, **dict(zip(others, x, strict=True))}))

    starts = np.random.default_rng(0).normal(scale=2.0, size=(4, len(others)))
    return min(float(optimize.minimize(value, x, tol=1e-12).fun) for x in starts)


def test_a_parabola_for_a_linear_measurement(linear: tuple[Likelihood, FitResult]) -> None:
    likelihood, result = linear
    for name in NAMES:
        frame = scan(likelihood, name, result=result)
        parabola = (frame["value"] - result.best[name]) ** 2 / result.covariance.loc[name, name]
        np.testing.assert_allclose(frame["delta"], parabola, atol=1e-9)
        np.testing.assert_allclose(frame["m2logl"] - result.m2logl, parabola, atol=1e-9)
        assert frame["converged"].all()
        slope = result.covariance[name] / result.covariance.loc[name, name]
        for other in set(NAMES) - {name}:
            line = result.best[other] + slope[other] * (frame["value"] - result.best[name])
            np.testing.assert_allclose(frame[other], line, atol=1e-7)
    fixed = scan(likelihood, "cHW", [0.3, 0.1], kind="individual")
    np.testing.assert_array_equal(fixed["value"], [0.1, 0.3])
    np.testing.assert_allclose(fixed["m2logl"], [likelihood.m2logl({"cHW": x}) for x in (0.1, 0.3)])


def test_a_profile_follows_the_lowest_of_several_minima(islands: Likelihood) -> None:
    for name in NAMES:
        frame = scan(islands, name, 11)
        expected = [brute(islands, {name: x}) for x in frame["value"]]
        np.testing.assert_allclose(frame["m2logl"], expected, atol=1e-6)
    frame = scan(islands, "cHq3", 15)
    assert frame["cHW"].max() - frame["cHW"].min() > 1.5  # the curve passes from one minimum to the other


def test_a_scan_finds_further_minima_by_its_neighbours(islands: Likelihood) -> None:
    fit = minimise(islands, levels=())
    best = pd.DataFrame([fit.best]).assign(m2logl=fit.m2logl)
    one = replace(fit, minima=best)  # knows of a single one
    frame = scan(islands, "cHW", np.linspace(-1.6, 1.8, 30), result=one)
    expected = [brute(islands, {"cHW": x}) for x in frame["value"]]
    np.testing.assert_allclose(frame["m2logl"], expected, atol=1e-6)


def test_nuisances_are_profiled_in_both_kinds(make_linear) -> None:
    plain = make_linear(4)
    shift = np.linspace(-1, 1, len(plain))
    with_nuisance = GaussianDataset(
        "n", plain.data, plain.theory, plain.covariance, basis="warsaw", nuisances={"scale": shift}
    )
    folded = GaussianDataset(
        "n", plain.data, plain.theory, plain.covariance + np.outer(shift, shift), basis="warsaw"
    )
    for kind in ("profile", "individual"):
        a = scan(Likelihood([with_nuisance]), "cHW", [-0.5, 0.0, 0.7], kind=kind)
        b = scan(Likelihood([folded]), "cHW", [-0.5, 0.0, 0.7], kind=kind)
        np.testing.assert_allclose(a["delta"], b["delta"], atol=1e-8)
        assert "scale" in a
    assert scan(Likelihood([with_nuisance]), "scale", 3)["delta"].min() == pytest.approx(0.0, abs=1e-9)


def test_contours_of_a_linear_measurement_are_ellipses(linear: tuple[Likelihood, FitResult]) -> None:
    likelihood, result = linear
    for pair, levels in ((["cHW", "cHu"], (0.5, 0.95)), (["cHq3", "cHW"], (0.68,))):
        found = contour(likelihood, *pair, levels=levels, result=result)
        inverse = np.linalg.inv(result.covariance.loc[pair, pair])
        for level, curves in found.items():
            assert len(curves) == 1
            assert list(curves[0].columns) == pair
            d = curves[0].to_numpy() - [result.best[n] for n in pair]
            height = np.einsum("ni,ij,nj->n", d, inverse, d)
            np.testing.assert_allclose(height, stats.chi2.ppf(level, 2), rtol=1e-6)
            np.testing.assert_array_equal(d[0], d[-1])
            area = 0.5 * abs(np.sum(d[:-1, 0] * d[1:, 1] - d[1:, 0] * d[:-1, 1]))
            exact = np.pi * stats.chi2.ppf(level, 2) / np.sqrt(np.linalg.det(inverse))
            assert area == pytest.approx(exact, rel=0.01)


def inside(points: np.ndarray, curves: list[pd.DataFrame]) -> np.ndarray:
    """Whether points (n, 2) are within an odd number of curves."""
    odd = np.zeros(len(points), dtype=bool)
    for curve in curves:
        a, b = curve.to_numpy()[:-1], curve.to_numpy()[1:]
        x, y = points[:, :1], points[:, 1:]
        crosses = (a[:, 1] > y) != (b[:, 1] > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
        odd ^= np.sum(crosses & (x < at), axis=1) % 2 == 1
    return odd


def check_region(
    likelihood: Likelihood, a: str, b: str, level: float, box: list[list[float]], count: int
) -> None:
    """Compare contours with a grid in the plane of the only two parameters."""
    curves = contour(likelihood, a, b, (level,))[level]
    assert len(curves) == count
    grid = np.stack(np.meshgrid(*(np.linspace(*ends, 250) for ends in box)), axis=-1).reshape(-1, 2)
    values = np.asarray(likelihood.m2logl(grid))
    lowest = minimise(likelihood, levels=()).m2logl
    height = values - lowest - stats.chi2.ppf(level, 2)
    wrong = inside(grid, curves) != (height < 0)
    assert (height < 0).sum() > 500
    assert wrong.sum() < 0.02 * (height < 0).sum()  # between a curve and its chords
    for curve in curves:
        on = likelihood.m2logl(curve.to_numpy()) - lowest
        np.testing.assert_allclose(on, stats.chi2.ppf(level, 2), rtol=1e-5)


def test_islands_have_a_curve_each() -> None:
    rows = {("a", "a"): [8.0, 0.0], ("a",): [-0.8, 0.0], ("b",): [0.0, 3.0]}
    likelihood = Likelihood([gaussian(rows, [7.5, 0.6], ("a", "b"))])
    check_region(likelihood, "a", "b", 0.68, [[-1.5, 1.5], [-0.8, 1.2]], 2)


def test_a_ring_has_an_outer_and_an_inner_curve() -> None:
    rows = {("a", "a"): [8.0, 0.0], ("b", "b"): [8.0, 0.0], ("a",): [0.0, 0.2], ("b",): [0.0, 0.1]}
    likelihood = Likelihood([gaussian(rows, [8.0, 0.3], ("a", "b"))])
    check_region(likelihood, "a", "b", 0.95, [[-1.5, 1.5], [-1.5, 1.5]], 2)


def test_a_region_need_not_be_seen_from_its_minimum() -> None:
    rows = {("b",): [6.0, 0.0], ("a", "a"): [6.0, 0.0], ("a",): [0.0, 1.6]}  # b = -a^2, bent around
    likelihood = Likelihood([gaussian(rows, [0.0, 0.2], ("a", "b"))])
    check_region(likelihood, "a", "b", 0.95, [[-1.9, 2.1], [-4.6, 0.9]], 1)


def test_a_region_of_two_branches_has_sharp_corners() -> None:
    """Two discs of equal size, one for t = 1 and one for t = -1, that overlap a little."""
    rows = {
        ("t", "t"): [80.0, 0.0, 0.0],
        ("a",): [0.0, 1.0, 0.0],
        ("t",): [0.0, -1.45, 0.0],
        ("b",): [0.0, 0.0, 1.0],
    }
    likelihood = Likelihood([gaussian(rows, [80.0, 0.0, 0.0], ("a", "b", "t"))])
    curves = contour(likelihood, "a", "b", (0.68,))[0.68]
    assert len(curves) == 1
    xy = curves[0].to_numpy()
    area = 0.5 * abs(np.sum(xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1]))
    r = np.sqrt(stats.chi2.ppf(0.68, 2))
    lens = 2 * r**2 * np.arccos(1.45 / r) - 2 * 1.45 * np.sqrt(r**2 - 1.45**2)
    assert area == pytest.approx(2 * np.pi * r**2 - lens, rel=0.01)
    distance = np.minimum(*(np.hypot(xy[:, 0] - centre, xy[:, 1]) for centre in (1.45, -1.45)))
    np.testing.assert_allclose(distance, r, rtol=1e-3)


def test_the_others_of_a_contour_are_at_their_lowest(islands: Likelihood) -> None:
    curves = contour(islands, "cHq3", "cHu", (0.68,))[0.68]
    lowest = minimise(islands, levels=()).m2logl
    for curve in curves:
        for row in curve.iloc[::9].to_dict("records"):
            height = brute(islands, {str(k): float(v) for k, v in row.items()}) - lowest
            assert height == pytest.approx(stats.chi2.ppf(0.68, 2), abs=1e-5)


def test_a_posterior_contour_is_that_of_the_density(linear: tuple[Likelihood, FitResult]) -> None:
    likelihood, result = linear
    pair = ["cHW", "cHu"]
    mean, covariance = [result.best[n] for n in NAMES], result.covariance.to_numpy()
    drawn = np.random.default_rng(2).multivariate_normal(mean, covariance, size=20_000)
    sampled = FitResult(
        "laplace",
        result.best,
        result.covariance,
        result.m2logl,
        True,
        samples=pd.DataFrame(drawn, columns=NAMES),
    )
    (curve,) = contour(likelihood, *pair, (0.68,), result=sampled, kind="posterior")[0.68]
    share = inside(sampled.samples[pair].to_numpy(), [curve]).mean()
    assert share == pytest.approx(0.68, abs=0.01)
    d = curve.to_numpy() - [result.best[n] for n in pair]
    radius = np.sqrt(np.einsum("ni,ij,nj->n", d, np.linalg.inv(result.covariance.loc[pair, pair]), d))
    np.testing.assert_allclose(radius, np.sqrt(stats.chi2.ppf(0.68, 2)), rtol=0.08)
    assert radius.mean() == pytest.approx(np.sqrt(stats.chi2.ppf(0.68, 2)), rel=0.03)


def test_level_curves_close_at_the_edge_and_keep_islands_apart() -> None:
    x = np.linspace(-2, 2, 81)
    circle = 1.0 - (x[:, None] ** 2 + x[None, :] ** 2)
    (curve,) = level_curves(x, x, circle, 0.0)
    np.testing.assert_allclose(np.hypot(*curve.T), 1.0, rtol=1e-3)
    np.testing.assert_array_equal(curve[0], curve[-1])
    two = np.maximum(circle, 0.5 - ((x[:, None] - 1.9) ** 2 + (x[None, :] - 1.9) ** 2))
    assert len(level_curves(x, x, two, 0.0)) == 2
    ring = -np.abs(np.hypot(x[:, None], x[None, :]) - 1.0) + 0.3
    assert len(level_curves(x, x, ring, 0.0)) == 2
    saddle = x[:, None] * x[None, :]
    assert all((c[0] == c[-1]).all() for c in level_curves(x, x, saddle, 1e-9))
    assert level_curves(x, x, circle, 2.0) == []


def test_what_cannot_be_scanned_is_refused(linear: tuple[Likelihood, FitResult], make_linear) -> None:
    likelihood, result = linear
    with pytest.raises(InputError, match=r"'chw' is not a free parameter of the fit. Did you mean 'cHW'"):
        scan(likelihood, "chw", result=result)
    with pytest.raises(InputError, match="kind is one of profile, individual, got 'both'"):
        scan(likelihood, "cHW", kind="both")
    with pytest.raises(InputError, match="values of a scan must be finite numbers"):
        scan(likelihood, "cHW", [0.1, np.nan], result=result)
    with pytest.raises(InputError, match="at least two points, got 1"):
        scan(likelihood, "cHW", 1, result=result)
    with pytest.raises(InputError, match="the result is of another fit"):
        scan(likelihood.only(["cHW"]), "cHW", result=result)
    with pytest.raises(InputError, match="two different parameters, got cHW twice"):
        contour(likelihood, "cHW", "cHW", result=result)
    with pytest.raises(InputError, match="level of an interval lies between 0 and 1"):
        contour(likelihood, "cHW", "cHu", (95.0,), result=result)
    with pytest.raises(InputError, match="a posterior contour needs a result with samples"):
        contour(likelihood, "cHW", "cHu", result=result, kind="posterior")
    bounded = {("a",): [1.0, 0.0], ("b", "b"): [0.0, 0.05]}
    half = GaussianDataset(
        "h", [0.0, 0.0], gaussian(bounded, [0.0, 0.0], ("a", "b")).theory, np.eye(2), basis="warsaw"
    )
    assert len(contour(Likelihood([half]), "a", "b", (0.68,))[0.68]) == 1
