"""Samples drawn from events with truth: their distributions, cross sections, seeds, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from event_writers import points_for
from scipy.stats import chi2

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import Events, Samples
from smeft_unbinned.events.separate import draw_independent, draw_samples
from smeft_unbinned.polynomial import Polynomial

NAMES = ("a", "b")
SIZE = 20_000


@pytest.fixture(scope="module")
def events() -> Events:
    """Weighted events whose label is a function of the feature x, with an exact cross section of its own."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0.0, 1.0, 3_000)
    factors = np.stack([np.ones_like(x), 0.5 * x, 0.3 - 0.2 * x], axis=-1)
    second = np.stack([np.zeros_like(x), 0.4 * x, 0.5 * np.ones_like(x)], axis=-1)
    matrix = factors[:, :, None] * factors[:, None, :] + second[:, :, None] * second[:, None, :]
    truth = Polynomial.from_matrix(NAMES, matrix)
    weights = rng.uniform(0.1, 2.0, len(x)) * 1e-3
    sigma = truth.sum(weights) * 1.01
    return Events(pd.DataFrame({"x": x, "y": x**2}), truth, weights, sigma, {"process": "line"})


def by_hand(events: Events, c: dict[str, float], terms: str) -> np.ndarray:
    """The rate of each event, written out."""
    one, a, b, aa, ab, bb = np.asarray(events.truth.coefficients).T
    x, y = c.get("a", 0.0), c.get("b", 0.0)
    rates = {"linear": a * x + b * y, "quadratic": aa * x**2 + bb * y**2, "cross": ab * x * y}
    return one + (sum(rates.values()) if terms == "full" else rates[terms])


@pytest.mark.parametrize(
    ("point", "terms"),
    [
        ({}, "full"),
        ({"a": 2.0, "b": -0.7}, "full"),
        ({"a": 1.5}, "linear"),
        ({"b": 2.5}, "quadratic"),
        ({"a": 1.0, "b": 2.0}, "cross"),
    ],
)
def test_histograms_are_those_of_reweighted_events(events: Events, point, terms: str) -> None:
    samples = draw_samples(events, [point], SIZE, 3, terms=terms)
    drawn = samples.at(point, terms)
    rate = events.weights * by_hand(events, point, terms)
    edges = np.linspace(0.0, 1.0, 21)
    expected = SIZE * np.histogram(events.column("x"), edges, weights=rate)[0] / rate.sum()
    counts = np.histogram(drawn.column("x"), edges)[0]
    value = float(np.sum((counts - expected) ** 2 / expected))
    assert chi2.ppf(1e-3, 19) < value < chi2.ppf(1 - 1e-3, 19)
    assert drawn.truth is None
    assert np.unique(drawn.weights).size == 1
    exact = 1.01 * rate.sum()
    assert drawn.weights.sum() == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(drawn.column("y"), drawn.column("x") ** 2)
    about = drawn.metadata
    assert (about["terms"], about["point"], about["process"]) == (terms, point, "line")
    assert about["drawn"]["effective_events"] == pytest.approx(rate.sum() ** 2 / np.sum(rate**2))
    assert about["drawn"]["distinct"] == drawn.features["x"].nunique()
    assert about["drawn"]["left_out"] == 0


def test_a_wrong_density_would_be_noticed(events: Events) -> None:
    """The chi2 of the test above tells the samples of two kinds of terms apart."""
    drawn = draw_samples(events, [{"a": 1.5}], SIZE, 3, terms="linear").at({"a": 1.5}, "linear")
    rate = events.weights * by_hand(events, {"a": 1.5}, "full")
    edges = np.linspace(0.0, 1.0, 21)
    expected = SIZE * np.histogram(events.column("x"), edges, weights=rate)[0] / rate.sum()
    counts = np.histogram(drawn.column("x"), edges)[0]
    assert np.sum((counts - expected) ** 2 / expected) > 2 * chi2.ppf(1 - 1e-3, 19)


def test_the_sm_comes_first_and_cross_sections_close(events: Events) -> None:
    points = points_for(2)
    named = [dict(zip(NAMES, row, strict=True)) for row in points if row.any()]
    samples = draw_samples(events, named, 50, 3)
    assert not samples.points[0].any()
    assert len(samples) == len(points)
    np.testing.assert_allclose(samples.cross_sections, events.cross_section.evaluate(samples.points))
    np.testing.assert_allclose(
        samples.cross_section().coefficients, events.cross_section.coefficients, rtol=1e-9
    )
    as_array = draw_samples(events, points[1:], 50, 3)
    np.testing.assert_array_equal(as_array.points[1:], points[1:])
    last_sm = draw_samples(events, [{"a": 1.0}, {}], 50, 3)
    np.testing.assert_array_equal(last_sm.points, [[1.0, 0.0], [0.0, 0.0]])


def test_terms_may_share_a_point_and_are_kept(events: Events, tmp_path) -> None:
    points = [{"a": 1.0}, {"a": 1.0}, {"a": 1.0}, {"a": 1.0, "b": 1.0}]
    kinds = ["full", "linear", "quadratic", "cross"]
    samples = draw_samples(events, points, 80, 3, terms=kinds)
    assert samples.terms == ("full", *kinds)
    samples.save(tmp_path / "s")
    again = Samples.load(tmp_path / "s")
    assert again.terms == samples.terms
    assert [e.metadata for e in again.events] == [e.metadata for e in samples.events]
    full, linear, quadratic = (again.at({"a": 1.0}, kind).weights.sum() for kind in kinds[:3])
    sm = again.at({}).weights.sum()
    assert full - sm == pytest.approx(linear + quadratic - 2 * sm)
    with pytest.raises(InputError, match=r"do not determine b, b\^2; add samples with these terms"):
        samples.cross_section()
    pairs = [(point, e) for point, e in samples if e.metadata["terms"] != "full"]
    with pytest.raises(InputError, match="needs the SM sample first"):
        Samples.build(pairs).cross_section()
    with pytest.raises(InputError, match=r"no sample stands at .*with terms 'full', only with linear"):
        draw_samples(events, [{"a": 1.0}], 5, 3, terms="linear").at({"a": 1.0})
    with pytest.raises(InputError, match=r"samples 1 and 2 stand at the same point.*with the same terms"):
        draw_samples(events, [{"a": 1.0}] * 2, 5, 3, terms="linear")
    odd = Events(pairs[0][1].features, metadata={"terms": "linar"})
    with pytest.raises(InputError, match=r"sample 0 holds unknown terms 'linar'.*Did you mean 'linear'"):
        Samples.build([({"a": 1.0}, odd)])


def test_decomposed_samples_give_the_terms_alone(events: Events) -> None:
    """The ratio of densities, sample over SM, is 1 + c R_a(x) for one term: in bins, by counting."""
    samples = draw_samples(events, [{"a": 2.0}], 200_000, 7, terms="linear")
    edges, bins = np.linspace(0.0, 1.0, 6), []
    for _, e in samples:
        bins.append(np.histogram(e.column("x"), edges, weights=e.weights)[0])
    ratio, centre = bins[1] / bins[0], 0.5 * (edges[1:] + edges[:-1])
    np.testing.assert_allclose(ratio, 1 + 2.0 * centre, rtol=0.03)


def test_seeds(events: Events) -> None:
    one, same, other = (draw_samples(events, [{"a": 1.0}], 100, seed) for seed in (3, 3, 4))
    for (_, a), (_, b), (_, c) in zip(one, same, other, strict=True):
        assert a.features.equals(b.features)
        assert not a.features.equals(c.features)
    assert not one.events[0].features.equals(one.events[1].features)


def test_independent_sets_share_no_event(events: Events) -> None:
    sets = draw_independent(events, [{"a": 1.0}], 2_000, 3, count=4)
    values = [set(np.concatenate([e.column("x") for _, e in s])) for s in sets]
    assert len(set.union(*values)) == sum(map(len, values))
    assert all(values)
    for s in sets:
        np.testing.assert_allclose(s.cross_sections, events.cross_section.evaluate(s.points))
    assert [s.events[1].metadata["part"]["number"] for s in sets] == [0, 1, 2, 3]
    again = draw_independent(events, [{"a": 1.0}], 2_000, 3, count=4)
    assert all(a.events[1].features.equals(b.events[1].features) for a, b in zip(sets, again, strict=True))
    assert len(draw_independent(events, [{"a": 1.0}], 5, 3, count=1)) == 1


def test_events_of_negative_rate_are_left_out_and_counted(events: Events) -> None:
    """1 - 1.1 x is negative above 0.91: its sample is that of the positive part."""
    point = {"a": -1.1}
    with pytest.raises(
        InputError, match=r"sample 1 \(linear at .*-1.1.*events have a negative rate.*allowed"
    ):
        draw_samples(events, [point], 100, 3, terms="linear", max_negative=1e-4)
    drawn = draw_samples(events, [point], SIZE, 3, terms="linear", max_negative=0.1).at(point, "linear")
    rate = events.weights * by_hand(events, point, "linear")
    about = drawn.metadata["drawn"]
    assert about["left_out"] == np.sum(rate < 0) > 0
    assert about["left_out_fraction"] == pytest.approx(-rate[rate < 0].sum() / rate[rate > 0].sum())
    assert drawn.weights.sum() == pytest.approx(1.01 * rate[rate > 0].sum(), rel=1e-12)
    assert drawn.column("x").max() < 1.0 / 1.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": [{"c": 1.0}]}, "unknown operator 'c'"),
        ({"points": {"a": 1.0}}, "put it into a list"),
        ({"points": [[1.0, 2.0, 3.0]]}, "do not fit 2 operators"),
        ({"points": [{"a": np.nan}]}, "point 0 is not finite"),
        ({"size": 0}, "at least 1 event, got 0"),
        ({"terms": "linaer"}, "unknown terms 'linaer'.*Did you mean 'linear'"),
        ({"terms": ["linear", "full"]}, "got 2 terms for 1 points"),
        ({"terms": "cross"}, r"sample 1 \(cross at \{'a': 1.0\}\): its terms vanish"),
        ({"points": [{}], "terms": ["linear"]}, "linear at the SM.*its terms vanish"),
        ({"max_negative": 1.0}, "below 1, got 1.0"),
        ({"max_negative": float("nan")}, "max_negative must be"),
    ],
)
def test_mistakes_are_refused(events: Events, options, message: str) -> None:
    defaults = {"points": [{"a": 1.0}], "size": 10, "seed": 1}
    with pytest.raises(InputError, match=message):
        draw_samples(events, **{**defaults, **options})


def test_unusable_events_are_refused(events: Events) -> None:
    with pytest.raises(InputError, match="events need truth"):
        draw_samples(Events(events.features), [{}], 5, 1)
    part = Events(events.features, events.truth, None, events.cross_section.restrict(["a"]))
    with pytest.raises(InputError, match="does not know b"):
        draw_samples(part, [{}], 5, 1)
    with pytest.raises(InputError, match="1 to 3000 sets, got 0"):
        draw_independent(events, [{}], 5, 1, count=0)
    signed = Events(events.features, events.truth, np.where(events.column("x") < 0.1, -1.0, 1.0))
    with pytest.raises(InputError, match=r"full at the SM.*negative rate"):
        draw_samples(signed, [{}], 5, 1)


def test_single_terms_give_the_cross_section_as_full_rates_do(events: Events) -> None:
    points = [{"a": 1.0}, {"b": -0.5}, {"a": 1.0}, {"b": 2.0}, {"a": 1.0, "b": 1.0}]
    kinds = ["linear", "linear", "quadratic", "quadratic", "cross"]
    samples = draw_samples(events, points, 80, 3, terms=kinds, max_negative=0.9)
    expected = [1.0, *np.zeros(5)]
    sigma = samples.cross_sections / samples.cross_sections[0] - 1.0
    expected[1:] = [sigma[1], sigma[2] / -0.5, sigma[3], sigma[5], sigma[4] / 4.0]
    found = samples.cross_section().coefficients
    np.testing.assert_allclose(found / found[0], expected, rtol=1e-9)
    fewer = Samples(samples.operators, samples.points[:4], samples.events[:4]).cross_section(partial=True)
    np.testing.assert_allclose(fewer.coefficients / found[0], [*expected[:4], np.nan, np.nan], rtol=1e-9)
