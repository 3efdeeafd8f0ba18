"""Training on separate samples, whose events carry no truth: what is learned, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Estimator, Events, InputError, train
from smeft_unbinned.estimators import TrainSettings
from smeft_unbinned.estimators.data import evaluate_terms
from smeft_unbinned.estimators.losses import LOSSES
from smeft_unbinned.estimators.prepare import prepare
from smeft_unbinned.estimators.sources import Pooled
from smeft_unbinned.events.samples import Samples
from smeft_unbinned.events.separate import draw_samples
from smeft_unbinned.polynomial import unpack
from smeft_unbinned.processes import toy

WITHOUT_TRUTH = [name for name, entry in LOSSES.items() if not entry.needs_truth]
FULL_RATE = [name for name in WITHOUT_TRUTH if name != "decomposed"]
TINY = {"replicas": 2, "hidden": (8,), "epochs": 2, "batch": 256, "seed": 1}
POINTS = [{"a": 1.0}, {"a": -1.5}, {"b": 1.0}, {"b": -1.2}, {"a": 0.8, "b": 0.9}]
TERMS = [
    ({"a": 0.6}, "linear"), ({"b": 0.6}, "linear"), ({"a": 1.5}, "quadratic"), ({"b": 1.5}, "quadratic"),
    ({"a": 0.8, "b": 0.8}, "cross"),
]  # fmt: skip


def toy_sample(theta: float, n: int, seed: int, smearing: float = 0.0) -> Events:
    """Events of the toy drawn from its two normals directly, without any weight per event."""
    rng = np.random.default_rng(seed)
    from_square = rng.random(n) < theta**2 / (1 + theta**2)
    x = np.where(from_square, rng.normal(toy.ALPHA, toy.EFT_WIDTH, n), rng.normal(0, toy.SM_WIDTH, n))
    weights = np.full(n, (1 + theta**2) / n)
    return Events(pd.DataFrame({"x": x + smearing * rng.normal(size=n)}), None, weights)


def toy_samples(thetas: Mapping[float, int], seed: int = 0) -> Samples:
    return Samples.build(
        [({"theta": theta}, toy_sample(theta, n, seed + k)) for k, (theta, n) in enumerate(thetas.items())]
    )


TRUTH = np.array([1.0, 0.3, -0.2, 0.5, 0.1, 0.4])
"""Packed coefficients of the mean rate; the rate of an event at x in (-1, 1) has its terms times 1 + x/2."""


@pytest.fixture(scope="module")
def parent() -> Events:
    """Events in two operators, whose rate depends on x alone."""
    from smeft_unbinned import Polynomial

    x = np.random.default_rng(3).uniform(-1, 1, 30_000)
    coefficients = np.repeat(TRUTH[None], len(x), axis=0)
    coefficients[:, 1:] *= 1 + x[:, None] / 2
    sigma = Polynomial(("a", "b"), TRUTH)
    return Events(pd.DataFrame({"x": x}), Polynomial(("a", "b"), coefficients), None, sigma)


@pytest.fixture(scope="module")
def samples(parent: Events) -> Samples:
    return draw_samples(parent, POINTS, 2000, seed=1)


@pytest.fixture(scope="module")
def term_samples(parent: Events) -> Samples:
    points, terms = zip(*TERMS, strict=True)
    return draw_samples(parent, list(points), 2000, seed=1, terms=list(terms))


def assert_same(a: Estimator, b: Estimator) -> None:
    for x, y in zip((*a.parameters, a.calibration), (*b.parameters, b.calibration), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("ensemble", ["bootstrap", "independent", "seeds", "repulsive"])
@pytest.mark.parametrize(("loss", "head"), [(n, head) for n in FULL_RATE for head in LOSSES[n].heads])
def test_every_classifier_trains_repeats_and_is_saved(
    samples: Samples, tmp_path: Path, loss: str, head: str, ensemble: str
) -> None:
    options = {"loss": loss, "head": head, "ensemble": ensemble, **TINY}
    found = train(samples, **options)
    assert_same(found, train(samples, **options))
    assert found.operators == ("a", "b")
    frame = samples.events[0].features
    mean = found(frame)
    assert np.all(np.isfinite(mean.coefficients))
    np.testing.assert_allclose(mean.constant, 1.0, atol=1e-9)
    found.save(tmp_path / "model.safetensors")
    loaded = Estimator.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded(frame).coefficients, mean.coefficients)


@pytest.mark.parametrize("ensemble", ["bootstrap", "independent", "seeds"])
def test_members_trained_apart_are_those_trained_together(samples: Samples, ensemble: str) -> None:
    options = {"loss": "carl", "ensemble": ensemble, **TINY}
    frame = samples.events[0].features
    whole = train(samples, **options).replicas(frame).dense().coefficients
    part = train(samples, members=[1], **options).replicas(frame).dense().coefficients[0]
    assert np.all(np.abs(part - whole[1]) <= 1e-3 * np.abs(whole[1]).max(axis=0))


@pytest.mark.parametrize("loss", FULL_RATE)
def test_the_ratio_of_the_toy_is_learned_from_samples_of_its_densities(loss: str) -> None:
    """The samples have different numbers of events, and theta = 1.5 is none of their points."""
    found = train(
        toy_samples({0.0: 12_000, 1.0: 6_000, -1.0: 6_000, 2.0: 4_000}),
        loss=loss, replicas=2, hidden=(16, 16), epochs=12, batch=512, seed=2,
    )  # fmt: skip
    x = toy_sample(0.0, 4000, 99).features
    for theta in (0.7, 1.5):
        estimate, exact = (np.log(p.evaluate([theta])) for p in (found(x), toy.ratio(x["x"])))
        assert np.mean((estimate - exact) ** 2) < 0.05 * np.var(exact)


@pytest.mark.parametrize("loss", FULL_RATE)
def test_ratios_in_two_operators_are_learned(parent: Events, samples: Samples, loss: str) -> None:
    found = train(samples, loss=loss, replicas=2, hidden=(16, 16), epochs=10, batch=512, seed=2)
    c = np.array([[0.8, 0.0], [0.0, 0.9], [-0.7, 0.6]])
    estimate, exact = found(parent.features).evaluate(c), parent.truth.evaluate(c)
    np.testing.assert_allclose(estimate.mean(axis=-1), exact.mean(axis=-1), rtol=0.03)
    assert np.max(np.abs(estimate / exact - 1)) < 0.25


@pytest.mark.parametrize("positivity", ["penalty", "relu"])
def test_single_terms_are_learned_from_their_samples(
    parent: Events, term_samples: Samples, positivity: str
) -> None:
    found = train(
        term_samples, loss="decomposed", positivity=positivity, replicas=2, hidden=(16, 16), epochs=15,
        batch=512, seed=2,
    )  # fmt: skip
    coefficients = found(parent.features).coefficients
    np.testing.assert_allclose(coefficients.mean(axis=0), TRUTH, atol=0.12)
    assert np.mean((coefficients - parent.truth.coefficients)[:, 3:] ** 2) < 0.02
    assert found.notes == []  # calibrated: the cross sections of single terms give sigma(c) too


def test_samples_say_which_terms_they_hold(parent: Events, term_samples: Samples) -> None:
    """The masked rate at each sample's point, against the terms written out."""
    problem = prepare(term_samples, TrainSettings.of(loss="decomposed")).problem
    source = problem.source
    assert isinstance(source, Pooled)
    assert source.masks is not None
    truth = parent.truth[:5]
    linear, quadratic = truth.linear, unpack(truth.coefficients)[:, 1:, 1:]
    import torch

    u = source.theta.double()
    masks = type(source.masks)(source.masks.linear.double(), source.masks.quadratic.double())
    found = evaluate_terms(torch.as_tensor(linear), torch.as_tensor(quadratic), u, masks)
    for d, (point, terms) in enumerate(TERMS):
        a, b = point.get("a", 0.0), point.get("b", 0.0)
        c = truth.coefficients
        expected = {
            "linear": 1 + a * c[:, 1] + b * c[:, 2],
            "quadratic": 1 + a**2 * c[:, 3] + b**2 * c[:, 5],
            "cross": 1 + a * b * c[:, 4],
        }[terms]
        np.testing.assert_allclose(found[:, d], expected, rtol=1e-6)


def test_a_quadratic_sample_at_two_coefficients_holds_no_cross_term(parent: Events) -> None:
    drawn = draw_samples(parent, [{"a": 1.0, "b": 1.0}], 500, seed=1, terms="quadratic")
    source = prepare(drawn, TrainSettings.of(loss="decomposed")).problem.source
    assert isinstance(source, Pooled)
    assert source.masks is not None
    np.testing.assert_array_equal(source.masks.quadratic[0], np.eye(2))
    np.testing.assert_array_equal(source.masks.linear, [0.0])
    assert float(source.size[0]) == pytest.approx(1 / (1 + TRUTH[3] + TRUTH[5]), rel=1e-6)


@pytest.mark.parametrize("loss", WITHOUT_TRUTH)
def test_samples_are_calibrated_on_the_sm_sample_and_their_cross_sections(
    samples: Samples, term_samples: Samples, loss: str
) -> None:
    used = term_samples if loss == "decomposed" else samples
    found = train(used, loss=loss, **TINY)
    assert found.notes == []
    members = found.replicas(used.events[0].features).dense().coefficients
    sigma = used.cross_section()
    for m in range(2):
        np.testing.assert_allclose(members[m].mean(axis=0), sigma.coefficients / sigma.constant, atol=1e-5)


def test_samples_can_be_calibrated_with_events_that_have_truth(parent: Events, term_samples: Samples) -> None:
    found = train(term_samples, loss="decomposed", calibrate=parent[:5000], head="quadratic", **TINY)
    assert found.notes == []


def test_events_of_other_weights_are_the_same_samples(samples: Samples) -> None:
    """The unit of the weights drops out; their ratio to the SM does not."""
    scaled = [Events(e.features, None, 7.0 * np.asarray(e.weights), None, e.metadata) for e in samples.events]
    a = train(samples, loss="carl", **TINY)
    b = train(Samples(samples.operators, samples.points, tuple(scaled)), loss="carl", **TINY)
    x = samples.events[0].features
    np.testing.assert_allclose(a(x).coefficients, b(x).coefficients, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", [name for name, entry in LOSSES.items() if entry.needs_truth])
def test_losses_that_need_truth_are_refused(samples: Samples, loss: str) -> None:
    with pytest.raises(InputError, match=f"loss '{loss}' needs the truth of every event, which separate"):
        train(samples, loss=loss, **TINY)


def test_decomposed_training_needs_samples_of_single_terms(samples: Samples) -> None:
    with pytest.raises(InputError, match=r"needs a sample per term of the rate .* take loss='carl'"):
        train(samples, loss="decomposed", **TINY)


def test_the_sm_comes_first(samples: Samples) -> None:
    order = [1, 0, 2, 3, 4, 5]
    shuffled = Samples(samples.operators, samples.points[order], tuple(samples.events[k] for k in order))
    only = Samples(samples.operators, samples.points[:1], samples.events[:1])
    for sample in (shuffled, only):
        with pytest.raises(
            InputError, match=r"the first sample must be the one at the SM .* at least one more"
        ):
            train(sample, loss="carl", **TINY)


def test_all_operators_of_samples_are_trained(samples: Samples) -> None:
    with pytest.raises(
        InputError, match="samples stand at points in a, b; all of them are trained, not a alone"
    ):
        train(samples, loss="carl", operators=["a"], **TINY)


def test_an_operator_that_is_zero_everywhere_is_refused(samples: Samples) -> None:
    more = Samples(("a", "b", "c"), np.pad(samples.points, ((0, 0), (0, 1))), samples.events)
    with pytest.raises(InputError, match="c is zero in all samples; leave it out or add a sample with it"):
        train(more, loss="carl", **TINY)


def test_samples_that_do_not_give_the_cross_section_are_not_calibrated() -> None:
    found = train(toy_samples({0.0: 600, 1.0: 600}), loss="carl", **TINY)
    assert found.notes == ["not calibrated: the samples do not determine theta, theta^2"]


def test_features_of_samples_can_be_chosen(samples: Samples) -> None:
    rng = np.random.default_rng(1)
    wider = [
        Events(e.features.assign(noise=rng.normal(size=len(e))), None, e.weights, None, e.metadata)
        for e in samples.events
    ]
    both = Samples(samples.operators, samples.points, tuple(wider))
    assert train(both, loss="carl", **TINY).features == ("x", "noise")
    assert train(both, loss="carl", features=["x"], **TINY).features == ("x",)
    with pytest.raises(InputError, match="unknown feature 'noises'"):
        train(both, loss="carl", features=["noises"], **TINY)


def test_the_checkpoint_of_other_samples_is_refused(samples: Samples, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert_same(
        train(samples, loss="carl", checkpoint=path, **TINY),
        train(samples, loss="carl", checkpoint=path, **TINY),
    )
    other = Samples(samples.operators, samples.points[:-1], samples.events[:-1])
    with pytest.raises(InputError, match="belongs to other events or settings"):
        train(other, loss="carl", checkpoint=path, **TINY)
    moved = Samples(samples.operators, 2 * samples.points, samples.events)
    with pytest.raises(InputError, match="belongs to other events or settings"):
        train(moved, loss="carl", checkpoint=path, **TINY)


def test_the_metadata_count_the_events(samples: Samples) -> None:
    found = train(samples, loss="carl", **TINY)
    assert found.metadata["events"]["count"] == sum(map(len, samples.events))
