"""Responses to nuisances: learned against closed forms, calibrated, reproducible, stored, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate

from smeft_unbinned import Estimator, Events, InputError, Polynomial
from smeft_unbinned.estimators import checkpoint as checkpoints
from smeft_unbinned.estimators.response_estimator import ResponseEstimator, log_ratios, responses
from smeft_unbinned.estimators.response_problem import deviance
from smeft_unbinned.estimators.responses import train_responses
from smeft_unbinned.events import Nuisances, read_madminer, read_nuisances

NAMES = ("large", "small", "yield")
SHIFTS = np.array([0.3, 0.002])
SMEARING = 0.7
RATE = 0.05
TINY = {"replicas": 2, "hidden": (8,), "epochs": 3, "seed": 5}


def toy(n: int, seed: int) -> tuple[Events, Nuisances, Nuisances]:
    """Events, their latent responses, and the exact ones of what is observed.

    The means of two Gaussians move with a nuisance each: latent z ~ N(delta theta, 1) has the log ratio
    delta theta z - (delta theta)^2/2, and observed x = z + noise ~ N(delta theta, v), v = 1 + SMEARING^2, has
    delta theta x/v - (delta theta)^2/2v. A third nuisance moves the rate alone.
    """
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    x = z + SMEARING * rng.normal(size=(n, 2))
    v = 1 + SMEARING**2
    rate, none = np.full((n, 1), RATE), np.zeros((n, 1))
    square = np.broadcast_to(-0.5 * SHIFTS**2, (n, 2))
    latent = Nuisances(NAMES, np.hstack([SHIFTS * z, rate]), np.hstack([square, none]))
    exact = Nuisances(NAMES, np.hstack([SHIFTS * x / v, rate]), np.hstack([square / v, none]))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "noise": rng.normal(size=n)})
    return Events(frame, None, rng.uniform(0.5, 1.5, n)), latent, exact


@pytest.fixture(scope="module")
def learned() -> ResponseEstimator:
    events, latent, _ = toy(20_000, 1)
    return train_responses(events, latent, replicas=3, hidden=(16,), epochs=12, seed=1)


@pytest.fixture(scope="module")
def small() -> tuple[Events, Nuisances]:
    events, latent, _ = toy(600, 3)
    return events, latent


def test_responses_of_what_is_observed_are_learned(learned: ResponseEstimator) -> None:
    events, latent, exact = toy(5000, 2)
    found = learned(events.features)
    for k in range(2):
        error = np.sqrt(np.mean((found.linear[:, k] - exact.linear[:, k]) ** 2)) / exact.linear[:, k].std()
        naive = np.sqrt(np.mean((latent.linear[:, k] - exact.linear[:, k]) ** 2)) / exact.linear[:, k].std()
        assert error < 0.06 < 0.5 < naive
        off = found.quadratic[:, k] - exact.quadratic[:, k]
        assert np.sqrt(np.mean(off**2)) < 0.02 * exact.linear[:, k].std()
    assert np.mean(found.quadratic[:, 0]) == pytest.approx(exact.quadratic[0, 0], rel=0.05)
    np.testing.assert_allclose(found.linear[:, 2], RATE, atol=1e-9)
    np.testing.assert_allclose(found.quadratic[:, 2], 0.0, atol=1e-9)


def test_the_error_on_held_out_events_is_the_noise_of_the_labels(learned: ResponseEstimator) -> None:
    """Of the variance of z, noise leaves the share SMEARING^2/(1 + SMEARING^2) unknown."""
    table = learned.held_out()
    np.testing.assert_allclose(table.loc[["large", "small"]], SMEARING**2 / (1 + SMEARING**2), rtol=0.1)
    assert table.loc["yield"].isna().all()
    assert learned.notes == []


def test_the_mean_of_every_ratio_is_the_true_one(learned: ResponseEstimator) -> None:
    events, latent, _ = toy(20_000, 1)
    w = np.asarray(events.weights)
    for theta in (1.0, -1.0):
        for name in NAMES:
            true = w @ latent.ratio({name: theta}) / w.sum()
            members = [w @ r.ratio({name: theta}) / w.sum() for r in learned.replicas(events.features)]
            np.testing.assert_allclose(members, true, rtol=1e-6)
            assert w @ learned(events.features).ratio({name: theta}) / w.sum() == pytest.approx(
                true, rel=1e-6
            )


def test_a_larger_sample_calibrates(learned: ResponseEstimator) -> None:
    events, latent, _ = toy(50_000, 7)
    w = np.asarray(events.weights)
    again = learned.calibrated(events, latent)
    true = w @ latent.ratio({"large": 1.0}) / w.sum()
    assert w @ again(events.features).ratio({"large": 1.0}) / w.sum() == pytest.approx(true, rel=1e-9)
    shift = again(events.features).linear - learned(events.features).linear
    assert 0 < np.abs(shift[:, 0]).max() < 0.02
    assert shift.std(axis=0).max() < 1e-3


@pytest.mark.parametrize("spread", [1e-4, 0.01, 0.3, 2.0])
def test_the_deviance_is_what_it_says(spread: float) -> None:
    rng = np.random.default_rng(0)
    b, o = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))
    r, f = np.exp(np.longdouble(spread) * b), np.exp(np.longdouble(spread) * o)
    tensors = [torch.as_tensor(a, dtype=torch.float32) for a in (b, o, [spread])]
    expected = (r * np.log(r / f) - r + f).astype(float)
    np.testing.assert_allclose(deviance(*tensors).numpy(), expected, rtol=2e-4, atol=1e-12 * spread)


def test_the_minimum_of_the_deviance_is_the_mean() -> None:
    rng = np.random.default_rng(1)
    b = torch.as_tensor(rng.normal(size=(4000, 1)))
    weights = torch.as_tensor(rng.uniform(size=4000))
    spread = torch.tensor([0.8], dtype=torch.float64)
    output = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([output], max_iter=50, tolerance_grad=1e-12)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = weights @ deviance(b, output.expand(4000, 1), spread)[:, 0]
        loss.backward()
        return loss

    optimiser.step(closure)
    mean = np.average(np.exp(0.8 * b.numpy()[:, 0]), weights=weights.numpy())
    assert float(torch.exp(0.8 * output.detach())) == pytest.approx(mean, rel=1e-6)


def test_heavy_tailed_labels() -> None:
    """R = exp(1.5 z - 1.125) has a mean of one and a variance of 8.5; E[R|x] by quadrature over z."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=(30_000, 1))
    x = z + SMEARING * rng.normal(size=z.shape)
    v = 1 + SMEARING**2
    events = Events(pd.DataFrame({"x": x[:, 0]}))
    estimator = train_responses(
        events, Nuisances(("tail",), 1.5 * z - 1.125, 0 * z), one_sided=("tail",), replicas=3, hidden=(16,),
        epochs=12, seed=2,
    )  # fmt: skip
    grid = np.linspace(-2, 2, 9)

    def conditional(at: float) -> float:
        """E[R|x] by quadrature over z, which is Gaussian of mean x/v and variance 1 - 1/v."""
        width = np.sqrt(1 - 1 / v)

        def integrand(t: float) -> float:
            return float(np.exp(1.5 * (at / v + width * t) - 1.125 - t * t / 2) / np.sqrt(2 * np.pi))

        return float(integrate.quad(integrand, -10, 10)[0])

    found = estimator(pd.DataFrame({"x": grid}))
    np.testing.assert_allclose(found.linear[:, 0], np.log([conditional(g) for g in grid]), atol=0.12)
    assert not found.quadratic.any()


def test_one_side_and_two_sides_round_trip() -> None:
    rng = np.random.default_rng(0)
    nuisances = Nuisances(("a", "b", "c"), rng.normal(size=(6, 3)), rng.normal(size=(6, 3)) * [1, 0, 1])
    logs = log_ratios(nuisances, nuisances.names, ("b",))
    assert logs.shape == (6, 5)
    np.testing.assert_allclose(np.exp(logs[:, 0]), nuisances.ratio({"a": 1.0}))
    np.testing.assert_allclose(np.exp(logs[:, 4]), nuisances.ratio({"c": -1.0}))
    again = responses(nuisances.names, ("b",), logs)
    np.testing.assert_allclose(again.linear, nuisances.linear)
    np.testing.assert_allclose(again.quadratic, nuisances.quadratic, atol=1e-15)


def test_the_same_seed_gives_the_same_networks(small: tuple[Events, Nuisances]) -> None:
    first, again, other = (train_responses(*small, **{**TINY, "seed": seed}) for seed in (5, 5, 6))
    a, b, c = (e(small[0].features) for e in (first, again, other))
    np.testing.assert_array_equal(a.linear, b.linear)
    assert np.abs(a.linear - c.linear).max() > 1e-5
    assert first.metadata["history"] == again.metadata["history"]
    assert first.metadata["settings"]["replicas"] == 2
    assert len(first.replicas(small[0].features)) == first.members == 2


def test_save_and_load(small: tuple[Events, Nuisances], tmp_path: Path) -> None:
    estimator = train_responses(*small, one_sided=["small"], features=["b", "a"], **TINY)
    estimator.save(tmp_path / "r")
    again = ResponseEstimator.load(tmp_path / "r")
    assert again.features == ("b", "a")
    assert again.one_sided == ("small",)
    a, b = estimator(small[0].features), again(small[0].features)
    np.testing.assert_array_equal(a.linear, b.linear)
    np.testing.assert_array_equal(a.quadratic, b.quadratic)
    pd.testing.assert_frame_equal(estimator.held_out(), again.held_out())
    assert again.metadata["versions"]["torch"]
    with pytest.raises(InputError, match="expected 'estimator'"):
        Estimator.load(tmp_path / "r")


def test_an_interrupted_training_goes_on(
    small: tuple[Events, Nuisances], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_responses(*small, **TINY)
    store, path = checkpoints.store, tmp_path / "checkpoint"

    def stop(where: Path, state: object, *rest: object) -> None:
        store(where, state, *rest)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "store", stop)
    with pytest.raises(KeyboardInterrupt):
        train_responses(*small, checkpoint=path, **TINY)
    monkeypatch.setattr(checkpoints, "store", store)
    resumed = train_responses(*small, checkpoint=path, **TINY)
    for a, b in zip(whole.parameters, resumed.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_copies_of_an_event_are_held_out_together(small: tuple[Events, Nuisances]) -> None:
    from smeft_unbinned.estimators.response_problem import prepare
    from smeft_unbinned.estimators.settings import TrainSettings

    index = np.repeat(np.arange(600), 3)
    settings = TrainSettings.of(replicas=2)
    prepared = prepare(small[0][index], small[1][index], (), None, settings, settings.backbone, None)
    held = set(index[prepared.valid])
    assert len(prepared.valid) == 3 * len(held)


def test_predictions_stay_in_the_range_of_the_labels(small: tuple[Events, Nuisances]) -> None:
    estimator = replace(train_responses(*small, **TINY), calibration=np.zeros((2, 6)))
    far = pd.DataFrame({"a": [1e4, -1e4], "b": [1e4, -1e4], "noise": [0.0, 0.0]})
    for name in NAMES:
        true, found = small[1].ratio({name: 1.0}), estimator(far).ratio({name: 1.0})
        assert np.all((found >= true.min() - 1e-12) & (found <= true.max() + 1e-12))


def test_what_cannot_be_learned_is_noted() -> None:
    rng = np.random.default_rng(0)
    events = Events(pd.DataFrame({"x": rng.normal(size=300)}))
    estimator = train_responses(
        events, Nuisances(("k",), 0.1 * rng.normal(size=(300, 1)), np.zeros((300, 1))), replicas=1, epochs=3
    )
    assert estimator.held_out().to_numpy().max() > 0.9
    if estimator.held_out().to_numpy().max() >= 1:
        assert "no smaller than that of a constant" in estimator.notes[0]


def test_refusals(small: tuple[Events, Nuisances]) -> None:
    events, nuisances = small
    for options, message in (
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"loss": "alice"}, "unknown setting 'loss'"),
        ({"one_sided": ["larg"]}, "Did you mean 'large'"),
        ({"one_sided": "large"}, "single string"),
        ({"features": []}, "at least one feature"),
        ({"features": ["c"]}, "unknown feature"),
        ({"backbone": "trees"}, "responses are learned by networks"),
    ):
        with pytest.raises(InputError, match=message):
            train_responses(events, nuisances, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="responses of 599 events for 600 events"):
        train_responses(events, nuisances[:599])
    with pytest.raises(InputError, match="too few"):
        train_responses(events[:10], nuisances[:10])
    with pytest.raises(InputError, match="at least one nuisance"):
        train_responses(events, Nuisances((), np.zeros((600, 0)), np.zeros((600, 0))))
    with pytest.raises(InputError, match="no responses to small"):
        train_responses(events, nuisances, **TINY).calibrated(
            events, Nuisances(("large",), *[np.zeros((600, 1))] * 2)
        )


def test_tth_responses(data_root: Path) -> None:
    """1,257 events: the response to muf follows from the observables; a ridge regression says so too."""
    path = data_root / "samples" / "madminer_ttH_3coeff.h5"
    events, nuisances = read_madminer(path), read_nuisances(path, names=["muf"])
    assert isinstance(events.truth, Polynomial)
    estimator = train_responses(
        events,
        nuisances,
        replicas=8,
        hidden=(8,),
        epochs=40,
        batch=64,
        learning_rate=3e-3,
        validation=0.25,
        seed=0,
    )
    assert estimator.held_out().to_numpy().max() < 0.6
