"""Bins, optimal edges, influences, the shape, and parabolas, each against something independent."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest
from known_events import LUMINOSITY, two, uniform
from numpy.typing import NDArray

from smeft_unbinned import Events, GaussianDataset, Likelihood, PoissonDataset
from smeft_unbinned.comparison.binning import cells_of, equal_cells
from smeft_unbinned.comparison.influence import influence, width_influence
from smeft_unbinned.comparison.optimal import best_cuts, optimal_edges
from smeft_unbinned.comparison.parabola import linearised
from smeft_unbinned.comparison.sample import Sample
from smeft_unbinned.comparison.schemes import parse_schemes
from smeft_unbinned.comparison.versions import Version, versions_of
from smeft_unbinned.statistics import fisher

Real = NDArray[np.float64]
ALL = [
    "rate",
    {"equal": ["x", "y"], "n": 3},
    {"equal": "x", "n": 4, "likelihood": "gaussian"},
    {"optimal": "x", "n": 3},
]


def sample(events: Events, at: tuple[float, ...] = (0.0, 0.0)) -> Sample:
    return Sample(events, events.operators, LUMINOSITY, 1.0, np.array(at), 0)


def test_equal_bins_are_equal() -> None:
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=5000), rng.exponential(size=5000), rng.uniform(0.5, 2.0, 5000)
    cells = equal_cells([x, y], w, 5)
    share = np.bincount(cells, w) / w.sum()
    assert share.size == 25
    assert share == pytest.approx(1 / 25, abs=2.0 / w.sum() * 2)
    for k in range(4):  # cells of the first feature do not interleave
        assert x[cells // 5 == k].max() < x[cells // 5 == k + 1].min()
    exact = np.bincount(equal_cells([rng.permutation(1000).astype(float)], np.ones(1000), 10))
    assert list(exact) == [100] * 10


def test_best_cuts_are_those_of_all_that_there_are() -> None:
    rng = np.random.default_rng(3)
    place, others = rng.integers(0, 9, 400), rng.integers(0, 2, 400)
    white, weights = rng.normal(size=(400, 2)) + 0.2 * place[:, None], rng.uniform(0.5, 1.5, 400)

    def gain(cuts: tuple[int, ...]) -> float:
        cell = others * 10 + np.searchsorted(cuts, place, side="right")
        return sum(
            float(np.sum((weights[cell == b] @ white[cell == b]) ** 2) / weights[cell == b].sum())
            for b in np.unique(cell)
        )

    best = max(combinations(range(1, 9), 3), key=gain)
    found, kept = best_cuts(place, others, white, weights, 9, 4)
    assert tuple(found) == best
    assert kept == pytest.approx(gain(best), rel=1e-12)


def kept(
    inner: Mapping[str, tuple[float, ...]], features: Mapping[str, Real], score: Real, weights: Real
) -> float:
    """Return the share of information that bins keep, summed over the coefficients."""
    cell = sum(9**k * np.searchsorted(inner[f], features[f], side="right") for k, f in enumerate(inner))
    info = sum(
        np.outer(v, v) / weights[cell == b].sum()
        for b in np.unique(cell)
        for v in [weights[cell == b] @ score[cell == b]]
    )
    return float(np.trace(np.linalg.solve((score * weights[:, None]).T @ score, info)))


def test_optimal_edges_in_two_features_keep_more_than_even_ones() -> None:
    s = sample(two())
    features = {"x": s.events.features["x"].to_numpy(), "y": s.events.features["y"].to_numpy()}
    edges = optimal_edges(features, s.score, s.weights, 3)

    even = {f: tuple(np.quantile(v, [1 / 3, 2 / 3])) for f, v in features.items()}
    assert all(len(inner) == 2 and inner[0] < inner[1] for inner in edges.values())
    assert kept(even, features, s.score, s.weights) < kept(edges, features, s.score, s.weights) < 2.0


@pytest.mark.parametrize("seed", range(6))
def test_optimal_edges_in_two_features_are_the_best_there_are(seed: int) -> None:
    """Random scores in every cell: from even bins alone a quarter of these end at a local maximum."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 7, size=(2, 300))
    features = {"x": places[0].astype(float), "y": places[1].astype(float)}
    weights, score = rng.uniform(0.5, 1.5, 300), rng.normal(size=(7, 7, 2))[places[0], places[1]]
    every = list(combinations([float(k) for k in range(1, 7)], 2))
    best = max(kept({"x": x, "y": y}, features, score, weights) for x in every for y in every)
    found = optimal_edges(features, score, weights, 3)
    assert kept(found, features, score, weights) == pytest.approx(best, rel=1e-12)


def test_optimal_bins_are_judged_on_the_other_half() -> None:
    s = sample(two())
    (scheme,) = parse_schemes([{"optimal": ["x"], "n": 4}])
    index, share, _ = cells_of(scheme, s)
    assert np.sum(index < 0) == len(s.weights) // 2
    assert np.array_equal(index < 0, share == 0.0)
    assert np.sum(s.weights * share) == pytest.approx(s.weights.sum(), rel=1e-12)


@pytest.mark.parametrize("at", [(0.0, 0.0), (0.3, -0.2)])
def test_influence_is_the_derivative_by_the_weight(at: tuple[float, float]) -> None:
    events = two(300)
    points = np.array([[0.5, 0.1], [-0.4, 0.7]])

    def values(weights: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        # edges of bins are those of the first sample: the weights must not move them
        moved = sample(Events(events.features, events.truth, weights), at)
        result = {}
        for v in base:
            again = remade(v, moved)
            d = again.dataset
            c0 = np.array(at)
            result[v.name, v.terms] = np.asarray(d.m2logl(points)) - float(d.m2logl(c0))
        return result

    first = sample(events, at)
    base = versions_of(first, parse_schemes(ALL), ("linear", "quadratic"))
    w, e = np.asarray(events.weights), 17
    step = 1e-4 * w[e]
    up, down = values(w + step * (np.arange(300) == e)), values(w - step * (np.arange(300) == e))
    for version in base:
        key = (version.name, version.terms)
        slope = (up[key] - down[key]) / (2 * step * 1000.0 * LUMINOSITY)
        found = influence(version, first, points)[:, e]
        assert found == pytest.approx(slope, rel=2e-4, abs=1e-7), key


def remade(version: Version, moved: Sample) -> Version:
    """Return the version of events with other weights, in the same bins."""
    from smeft_unbinned.comparison import versions as module

    if version.index is None:
        found = [v for v in versions_of(moved, (), (version.terms,)) if v.name == version.name]
        return found[0]
    poisson = module._poisson(version.name, moved, version.index, moved.weights * version.share)
    dataset = module._gaussian(poisson) if version.kind == "gaussian" else poisson
    again = module.Version(
        version.name, version.kind, "quadratic", dataset, moved.truth, True, version.index, version.share
    )
    return again if version.terms == "quadratic" else module.linear(again, moved)


def test_an_end_moves_as_the_influence_says() -> None:
    """Ends of an interval of the rate in closed form, before and after one weight has changed."""
    events = uniform(50, offset=1.0)

    def end(weights: np.ndarray) -> float:
        n = 1000.0 * LUMINOSITY * weights
        return float(np.sqrt(3.84 * n.sum()) / (n @ (1.0 + events.features["x"].to_numpy())))

    w, e = np.asarray(events.weights), 40
    step = 1e-5 * w[e] * (np.arange(50) == e)
    slope = 2.0 * (end(w + step) - end(w - step)) / (2 * 1000.0 * LUMINOSITY * step[e])
    s = Sample(events, ("c",), LUMINOSITY, 1.0, np.zeros(1), 0)
    rate = next(v for v in versions_of(s, parse_schemes(["rate"]), ("linear",)) if v.name == "rate")
    c = end(w)
    ends = np.array([[-c], [c]])
    slopes = 2.0 * 3.84 / np.array([-c, c])
    assert width_influence(rate, s, ends, slopes, np.zeros(1))[e] == pytest.approx(slope, rel=1e-5)


def test_shape_is_the_minimum_over_a_free_normalisation() -> None:
    exact, shape = versions_of(sample(two(), (0.1, 0.0)), (), ("quadratic",))
    free = exact.dataset.with_luminosity(0.1, "norm")
    profiled = Likelihood([free], constraints={"norm": None}).profiled()
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2))
    assert shape.dataset.m2logl(points) == pytest.approx(profiled.m2logl(points), rel=1e-8, abs=1e-8)
    assert shape.dataset.gradient(points) == pytest.approx(profiled.gradient(points), rel=1e-6, abs=1e-6)
    assert shape.dataset.hessian(points) == pytest.approx(profiled.hessian(points), rel=1e-6, abs=1e-5)


def test_parabola_has_slope_and_information_of_the_counts() -> None:
    base = versions_of(sample(two()), parse_schemes([{"equal": "x", "n": 5}]), ("quadratic",))[-1].dataset
    assert isinstance(base, PoissonDataset)
    counts = base.pseudo(np.random.default_rng(1), {"a": 0.1})
    line = linearised(counts)
    zero = np.zeros(2)
    assert line.gradient(zero) == pytest.approx(counts.gradient(zero), rel=1e-9)
    assert line.hessian(zero) == pytest.approx(2.0 * fisher(Likelihood([counts])).total, rel=1e-9)
    assert line.hessian(np.ones(2)) == pytest.approx(line.hessian(zero), rel=1e-12)


def test_linearised_gaussian_loses_its_quadratic_terms_alone(make_linear: object) -> None:
    d = make_linear()  # type: ignore[operator]
    quadratic = d.theory.coefficients.copy()
    quadratic[:, len(d.operators) + 1 :] = 1.0
    bent = GaussianDataset(
        d.name, d.data, type(d.theory)(d.operators, quadratic), d.covariance, basis=d.basis
    )
    c = np.full(len(d.operators), 0.3)
    assert float(linearised(bent).m2logl(c)) == pytest.approx(float(d.m2logl(c)), rel=1e-12)
