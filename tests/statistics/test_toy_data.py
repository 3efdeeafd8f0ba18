"""Asimov data, pseudo-experiments and bootstraps: moments, seeds, and what cannot be fluctuated."""

from __future__ import annotations

import numpy as np
import pytest
from mixed_data import binned, counts, everything, forms, responding, simulated
from nuisance_double import Counting

from smeft_unbinned import InputError, Likelihood, PoissonDataset, Polynomial, UnbinnedDataset
from smeft_unbinned.statistics import Experiment, asimov, bootstrap, fisher, pseudo_experiment

POINT = {"cHW": 0.2, "cHq3": -0.15, "scale": 0.4, "rate": -0.5, "shape": 0.3}


def test_asimov_data_are_minimal_at_their_point() -> None:
    likelihood = everything()
    data = asimov(likelihood, POINT)
    scale = np.sqrt(np.diag(fisher(likelihood, POINT).total))
    np.testing.assert_allclose(data.gradient(POINT) / scale, 0.0, atol=1e-9)
    assert data.constraints == {"shape": (0.3, 1.2), "scale": (0.4, 0.8), "rate": (-0.5, 1.0)}
    assert data.parameters == likelihood.parameters


def test_asimov_data_know_where_their_weights_hold() -> None:
    there = asimov(everything(), POINT)
    back = asimov(there, {"cHW": -0.1})
    for one, two in zip(back.datasets, asimov(everything(), {"cHW": -0.1}).datasets, strict=True):
        if isinstance(one, UnbinnedDataset) and isinstance(two, UnbinnedDataset):
            np.testing.assert_allclose(one.weights, two.weights, rtol=1e-12)
    lost = there.datasets[2].restrict(["cHW"])  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="Asimov data at a point with cHq3"):
        asimov(Likelihood([lost]))


def test_gradients_at_the_truth_have_the_moments_of_the_score() -> None:
    """Over pseudo-experiments the gradient of -2 log L has mean 0 and covariance 4 F, all together."""
    likelihood = everything()
    experiment, rng = Experiment(likelihood, POINT), np.random.default_rng(1)
    toys = 400
    gradients = np.array([experiment.draw(rng).gradient(POINT) for _ in range(toys)])
    expected = 4.0 * fisher(likelihood, POINT).total
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(gradients.mean(axis=0) / size, 0.0, atol=4.5 / np.sqrt(toys))
    found = np.cov(gradients.T) / np.outer(size, size)
    np.testing.assert_allclose(found, expected / np.outer(size, size), atol=4.5 * np.sqrt(2 / toys))


def test_the_same_seed_gives_the_same_data() -> None:
    likelihood = everything()
    values = [
        float(pseudo_experiment(likelihood, POINT, np.random.default_rng(seed)).m2logl({"cHW": 0.5}))
        for seed in (3, 3, 4)
    ]
    assert values[0] == values[1] != values[2]


def test_a_toy_holds_only_its_events_and_keeps_the_yield() -> None:
    d = simulated()
    toy = d.pseudo(np.random.default_rng(0), {"cHW": 0.2})
    assert isinstance(toy, UnbinnedDataset)
    assert len(toy) <= toy.weights.sum() < 0.3 * len(d)
    assert toy.weights.min() >= 1
    np.testing.assert_array_equal(toy.expected.coefficients, d.expected.coefficients)
    assert toy.observed
    assert not d.observed


def test_means_of_events_are_the_expected_weights() -> None:
    d, rng, toys = responding(n=40, expected=210.0), np.random.default_rng(5), 1000
    point = {n: x for n, x in POINT.items() if n in d.parameters}
    rate = d.expected_weights(point)
    factors = np.exp(point["scale"] * d.response.linear[:, 0]), np.exp(0.05 * point["rate"])
    signal = d.ratios.evaluate({n: point[n] for n in d.operators}) * factors[0]
    background = d.backgrounds[0].ratios.coefficients[:, 0]
    by_hand = d.weights * (signal + background * factors[1]) / (1.0 + background)
    np.testing.assert_allclose(rate, by_hand, rtol=1e-12)
    draw, order = d.sampler(point), {x: i for i, x in enumerate(d.ratios.coefficients[:, 1])}
    total = np.zeros(len(d))
    for _ in range(toys):
        toy = draw(rng)
        index = [order[x] for x in toy.ratios.coefficients[:, 1]]
        total[index] += toy.weights
    np.testing.assert_allclose((total / toys - rate) / np.sqrt(rate / toys), 0.0, atol=4.5)


def test_observed_events_need_a_reference() -> None:
    ratios = forms(8, 60)
    likelihood = Likelihood([UnbinnedDataset("data", ratios, ratios.dense().sum())])
    with pytest.raises(InputError, match="'data' holds 60 observed events, not an expectation"):
        pseudo_experiment(likelihood, None, np.random.default_rng(0))
    best = {"cHW": 0.2}
    same = asimov(likelihood, best, reference=best)
    np.testing.assert_allclose(same.datasets[0].weights, 1.0)  # type: ignore[attr-defined]
    moved = asimov(likelihood, {}, reference=best)
    np.testing.assert_allclose(moved.datasets[0].weights, 1 / ratios.evaluate([0.2, 0.0]))  # type: ignore[attr-defined]


def test_no_event_at_all_is_a_count_of_zero() -> None:
    d = responding(n=50, expected=1e-3)
    empty = d.pseudo(np.random.default_rng(0), {})
    assert isinstance(empty, PoissonDataset)
    point = np.array([0.3, -0.2, 0.5, 0.7])
    assert empty.parameters == d.parameters
    expected = 2 * (d.expected_count(point) - d.expected_count(np.zeros(4)))
    assert float(empty.m2logl(point)) == pytest.approx(expected, rel=1e-9)
    assert isinstance(simulated(expected=1e-3).pseudo(np.random.default_rng(0), {}), PoissonDataset)


def test_bootstraps_have_poisson_moments() -> None:
    likelihood = Likelihood([binned(nuisances=False), counts(), simulated(n=30)], fixed={"scale": 0.0})
    rng, toys = np.random.default_rng(2), 1000
    data, numbers, events = [], [], []
    for _ in range(toys):
        new = bootstrap(likelihood, rng)
        data.append(new.datasets[0].data)  # type: ignore[attr-defined]
        numbers.append(new.datasets[1].counts)  # type: ignore[attr-defined]
        events.append(float(np.sum(new.datasets[2].weights)))  # type: ignore[attr-defined]
    b, c = likelihood.datasets[0], likelihood.datasets[1]
    v = b.covariance  # type: ignore[attr-defined]
    d = np.sqrt(np.diag(v))
    np.testing.assert_allclose((np.mean(data, axis=0) - b.data) / d, 0.0, atol=4.5 / np.sqrt(toys))  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.cov(np.transpose(data)) / np.outer(d, d), v / np.outer(d, d), atol=0.2)
    n = c.counts  # type: ignore[attr-defined]
    np.testing.assert_allclose((np.mean(numbers, axis=0) - n) / np.sqrt(n / toys), 0.0, atol=4.5)
    np.testing.assert_allclose(np.var(numbers, axis=0) / n, 1.0, atol=4.5 * np.sqrt(2.1 / toys))
    assert np.mean(events) == pytest.approx(300.0, abs=4.5 * np.sqrt(300 / toys))
    assert np.var(events) == pytest.approx(300.0, rel=4.5 * np.sqrt(2 / toys))


def test_the_experimental_covariance_is_that_of_bootstraps() -> None:
    plain = binned(nuisances=False)
    other = type(plain)(
        "binned", plain.data, plain.theory, plain.covariance, basis="warsaw",
        sampling_covariance=9.0 * plain.covariance,
    )  # fmt: skip
    narrow, wide = (
        bootstrap(Likelihood([d]), np.random.default_rng(0)).datasets[0].data - d.data  # type: ignore[attr-defined]
        for d in (plain, other)
    )
    np.testing.assert_allclose(wide, 3.0 * narrow)


def test_centres_of_constraints_fluctuate_and_profiled_stays_profiled() -> None:
    likelihood, rng = everything(), np.random.default_rng(3)
    centres = [Experiment(likelihood, POINT).draw(rng).constraints["scale"] for _ in range(50)]
    values = np.array([pair[0] for pair in centres if pair is not None])
    assert abs(values.mean() - 0.4) < 4 * 0.8 / np.sqrt(50)
    assert 0.5 < values.std() < 1.2
    whole = pseudo_experiment(likelihood, {"cHW": 0.1}, np.random.default_rng(1))
    profiled = pseudo_experiment(likelihood.profiled(), {"cHW": 0.1}, np.random.default_rng(1))
    assert profiled.parameters == ("cHW", "cHq3")
    c = np.array([0.05, 0.1])
    assert float(profiled.m2logl(c)) == pytest.approx(float(whole.profiled().m2logl(c)), abs=1e-8)


def test_what_cannot_be_fluctuated_is_named() -> None:
    form = Polynomial(("cHW",), np.array([[10.0, 1.0, 0.5]]))
    strange = Counting("strange", form, [9.0], {"theta": [0.1]})
    likelihood = Likelihood([strange])  # type: ignore[list-item]
    with pytest.raises(InputError, match="'strange' of type Counting cannot be fluctuated"):
        asimov(likelihood)
    with pytest.raises(InputError, match="no method 'bootstrap'"):
        bootstrap(likelihood, np.random.default_rng(0))
