"""Minima of many events, searched with few of them first."""

from __future__ import annotations

import numpy as np
import pytest

from smeft_unbinned import Likelihood, Polynomial, UnbinnedDataset, minimise
from smeft_unbinned.fit import minuit, rough


def dataset(events: int, seed: int = 1) -> UnbinnedDataset:
    """One coefficient with minima near 0 and near -1, weighted events, and one that enters linearly."""
    x, y = np.random.default_rng(seed).uniform(size=(2, events))
    form = Polynomial(["a", "b"], np.column_stack([np.ones(events), x, 0.5 * (y - 0.5), x, 0 * x, 0.1 * y]))
    weights = np.random.default_rng(seed + 1).uniform(0.0, 0.1, size=events)
    mean = Polynomial(["a", "b"], weights @ form.coefficients)
    return UnbinnedDataset("u", form, mean, weights)


def test_few_events_stand_for_all() -> None:
    whole = dataset(50_000)
    few = rough.thinned(whole, 4000)
    assert len(few) == 4000
    assert few.weights.sum() == pytest.approx(whole.weights.sum(), rel=1e-12)
    np.testing.assert_array_equal(few.expected.coefficients, whole.expected.coefficients)
    c = np.array([[0.3, -0.5], [-0.8, 0.4]])
    scatter = np.sqrt(whole.weights.sum()) * np.abs(np.log(1.3)) * np.sqrt(whole.weights.sum() / 4000)
    np.testing.assert_allclose(few.m2logl(c), whole.m2logl(c), atol=5 * scatter)


def test_heavy_events_are_taken_as_often_as_they_count() -> None:
    form = Polynomial(["a"], np.tile([1.0, 0.1, 0.0], (10, 1)))
    weights = np.array([0.0, 7.0, 0.5, 0.5, 1.0, 0.0, 0.25, 0.25, 0.25, 0.25])
    few = rough.thinned(UnbinnedDataset("u", form, Polynomial(["a"], [10.0, 1.0, 0.0]), weights), 5)
    assert few.weights.max() == pytest.approx(8.0)  # four of five steps, of 2 each, end in the heavy one
    assert few.weights.sum() == pytest.approx(10.0)


def test_small_datasets_stay_as_they_are() -> None:
    likelihood = Likelihood([dataset(2 * rough.EVENTS)])
    assert rough.rough(likelihood) is likelihood


def test_minima_are_those_of_all_events(monkeypatch: pytest.MonkeyPatch) -> None:
    likelihood = Likelihood([dataset(30_000)])
    quick = minimise(likelihood, levels=())
    monkeypatch.setattr(minuit, "rough", lambda likelihood: likelihood)
    slow = minimise(likelihood, levels=())
    assert len(quick.minima) == len(slow.minima) == 2
    a, b = (r.minima.sort_values("a") for r in (quick, slow))  # of equal height
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_profiled_likelihoods_are_searched_alike() -> None:
    data = dataset(30_000).with_luminosity(0.02)
    joint = minimise(Likelihood([data]), levels=())
    profiled = minimise(Likelihood([data]).profiled(), levels=())
    assert profiled.m2logl == pytest.approx(joint.m2logl, abs=1e-8)
