"""train: learns exact pp -> ZH ratios, reproducibly, resumably, positively; and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from smeft_unbinned import Estimator, Events, InputError, Polynomial, TrainSettings, storage, train
from smeft_unbinned.estimators import checkpoint as checkpoints
from smeft_unbinned.estimators.calibration import transformation
from smeft_unbinned.estimators.train import calibrated
from smeft_unbinned.polynomial import unpack

SMALL = TrainSettings.of(replicas=2, hidden=(32, 32), epochs=30, batch=256, seed=1)
TINY = TrainSettings.of(replicas=2, hidden=(16,), epochs=4, batch=512, seed=5)
POINTS = np.array([[0.5, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.5], [-0.3, 0.05, 0.3]])


@pytest.fixture(scope="module")
def learned(zh_events: Events) -> Estimator:
    return train(zh_events, SMALL)


def arrays(estimator: Estimator) -> list[np.ndarray]:
    return [*estimator.parameters, estimator.calibration]


def assert_same(a: Estimator, b: Estimator) -> None:
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.metadata["history"] == b.metadata["history"]


def test_ratios_of_other_events_are_learned(learned: Estimator, zh_events: Events) -> None:
    from smeft_unbinned.processes import vh

    other = vh.generate(2000, operators=zh_events.operators, seed=4, pt_min=75.0)
    found, truth = (np.log(r.evaluate(POINTS)) for r in (learned(other.features), other.truth))
    for a, b in zip(found, truth, strict=True):
        assert np.std(a - b) < 0.5 * np.std(b)
        assert abs(np.mean(a - b)) < 0.1


def test_losses_fall(learned: Estimator) -> None:
    history = learned.metadata["history"]
    assert len(history) == SMALL.epochs
    assert np.all(np.array(history[-1]["training"]) < 0.7 * np.array(history[0]["training"]))
    best = np.min([h["validation"] for h in history], axis=0)
    np.testing.assert_allclose(learned.metadata["best_validation"], best, rtol=1e-6)


def test_ratios_are_positive_and_one_at_the_sm(learned: Estimator, zh_events: Events) -> None:
    c = 100 * np.random.default_rng(1).normal(size=(200, 3))
    assert np.all(learned(zh_events.features[:500]).evaluate(c) > 0)
    np.testing.assert_allclose(learned(zh_events.features).constant, 1.0, atol=1e-12)


def test_the_mean_ratio_of_the_calibration_events_is_exact(learned: Estimator, zh_events: Events) -> None:
    own = Events(zh_events.features, zh_events.truth, zh_events.weights)  # sigma(c) is their sum
    member = calibrated(learned, own).replicas(own.features).dense()
    w = own.weights / own.weights.sum()
    target = own.cross_section.coefficients / own.cross_section.constant
    size = np.sqrt(np.diag(unpack(target)))
    for m in range(2):
        difference = unpack(w @ member.coefficients[m] - target) / np.outer(size, size)
        np.testing.assert_allclose(difference, 0, atol=1e-6)


def test_the_control_variate_takes_out_the_fluctuation_of_the_events(
    learned: Estimator, zh_events: Events
) -> None:
    """T carries the mean truth to sigma(c)/sigma(0), and calibration the mean estimate after T."""
    w = zh_events.weights / zh_events.weights.sum()
    sigma = unpack(zh_events.cross_section.coefficients / zh_events.cross_section.constant)
    t = transformation(np.einsum("e,eij->ij", w, zh_events.truth.matrix()), sigma)
    identity = np.repeat(np.eye(4)[None], 2, axis=0)
    plain = learned.calibrated(identity).replicas(zh_events.features).matrix()
    mean = t.T @ np.einsum("e,meij->mij", w, plain) @ t
    s, size = learned.calibration, np.sqrt(np.diag(sigma))
    found = (s.swapaxes(1, 2) @ mean @ s) / np.outer(size, size)
    np.testing.assert_allclose(found, np.stack([sigma / np.outer(size, size)] * 2), atol=1e-6)


def test_calibration_removes_a_bias_but_not_a_fluctuation(zh_events: Events) -> None:
    """The mean estimate follows the mean truth, also on events that calibration has not seen."""
    part = zh_events[:2000]
    estimator = train(part, SMALL)
    sigma = zh_events.cross_section.evaluate(POINTS) / zh_events.cross_section.constant
    for events in (part, zh_events[2000:]):
        w = events.weights / events.weights.sum()
        common = events.truth.evaluate(POINTS) @ w / sigma
        assert np.all(np.abs(estimator(events.features).evaluate(POINTS) @ w / sigma / common - 1) < 0.05)


def test_calibration_can_use_other_events(zh_events: Events) -> None:
    a = train(zh_events[:1000], TINY)
    b = train(zh_events[:1000], TINY, calibrate=zh_events)
    np.testing.assert_array_equal(calibrated(a, zh_events).calibration, b.calibration)
    assert not np.array_equal(a.calibration, b.calibration)


def test_the_mean_and_spread_are_those_of_the_members(learned: Estimator, zh_events: Events) -> None:
    frame = zh_events.features[:50]
    members = learned.replicas(frame)
    assert members.batch_shape == (2, 50)
    mean, spread = learned.predict(frame)
    c = members.dense().coefficients
    np.testing.assert_allclose(mean.coefficients, c.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(spread, c.std(axis=0, ddof=1), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(learned(frame).coefficients, mean.coefficients)
    np.testing.assert_array_equal(learned(frame[::-1]).coefficients[::-1], mean.coefficients)


def test_many_events_are_predicted_in_chunks(learned: Estimator, zh_events: Events) -> None:
    frame = pd.concat([zh_events.features] * 3, ignore_index=True)
    many, few = learned(frame).coefficients, learned(zh_events.features).coefficients
    np.testing.assert_allclose(many[8000:], few, rtol=1e-4, atol=1e-6)


def test_a_saved_estimator_predicts_the_same(learned: Estimator, zh_events: Events, tmp_path: Path) -> None:
    learned.save(tmp_path / "e.safetensors")
    loaded = Estimator.load(tmp_path / "e.safetensors")
    for a, b in zip(learned.predict(zh_events.features), loaded.predict(zh_events.features), strict=True):
        np.testing.assert_array_equal(getattr(a, "coefficients", a), getattr(b, "coefficients", b))
    assert loaded.operators == learned.operators
    assert loaded.features == tuple(zh_events.features.columns)
    assert loaded.metadata["settings"] == SMALL.manifest()
    loaded.save(tmp_path / "again.safetensors")
    assert Estimator.load(tmp_path / "again.safetensors").metadata == loaded.metadata


def test_damaged_and_other_files_are_refused(learned: Estimator, zh_events: Events, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    learned.save(path)
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged: checksum mismatch"):
        Estimator.load(path)
    path.write_bytes(data[:-9])
    with pytest.raises(InputError, match="not a readable estimator file"):
        Estimator.load(path)
    zh_events.save(path)
    with pytest.raises(InputError, match="holds 'events', expected 'estimator'"):
        Estimator.load(path)


def test_a_seed_fixes_the_result(zh_events: Events) -> None:
    state = torch.random.get_rng_state()
    a, b = train(zh_events, TINY), train(zh_events, TINY)
    assert_same(a, b)
    assert torch.equal(torch.random.get_rng_state(), state)
    c = train(zh_events, TINY, seed=6)
    assert not np.array_equal(a.parameters[0], c.parameters[0])


@pytest.mark.parametrize("survived", [1, 3])
def test_a_killed_run_continues_to_the_same_result(
    zh_events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    whole = train(zh_events, TINY)
    path, store, epochs = tmp_path / "checkpoint", checkpoints.store, []

    def killed_after(*arguments: object) -> None:
        store(*arguments)
        epochs.append(1)
        if len(epochs) == survived:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "store", killed_after)
        with pytest.raises(KeyboardInterrupt):
            train(zh_events, TINY, checkpoint=path)
    assert_same(train(zh_events, TINY, checkpoint=path), whole)
    assert_same(train(zh_events, TINY, checkpoint=path), whole)  # and a finished one is not repeated


def test_a_checkpoint_of_another_run_is_refused(zh_events: Events, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    train(zh_events, TINY, checkpoint=path)
    for call in (
        lambda: train(zh_events, TINY, seed=9, checkpoint=path),
        lambda: train(zh_events[:3000], TINY, checkpoint=path),
        lambda: train(zh_events, TINY, operators=["cHW"], checkpoint=path),
    ):
        with pytest.raises(InputError, match="belongs to other events or settings; delete it"):
            call()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not a readable training checkpoint"):
        train(zh_events, TINY, checkpoint=path)


def test_subsets_of_features_and_operators(zh_events: Events) -> None:
    e = train(zh_events, TINY, features=["m_zh", "phi_l"], operators=["cHq3"])
    assert (e.features, e.operators) == (("m_zh", "phi_l"), ("cHq3",))
    assert e(zh_events.features).operators == ("cHq3",)
    assert e.head.outputs(1) == 2


def test_one_member_has_no_spread(zh_events: Events) -> None:
    e = train(zh_events, TINY, replicas=1)
    assert np.all(e.predict(zh_events.features[:5])[1] == 0)


def test_training_is_silent_unless_told(zh_events: Events, capfd: pytest.CaptureFixture[str]) -> None:
    train(zh_events, TINY, epochs=1)
    assert capfd.readouterr() == ("", "")


def events(n: int = 100, **changes: object) -> Events:
    rng = np.random.default_rng(1)
    truth = Polynomial(["cHW"], np.column_stack([np.ones(n), rng.normal(size=n), 1 + rng.random(n)]))
    arguments = {"features": pd.DataFrame({"pt": rng.normal(size=n)}), "truth": truth}
    return Events(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (lambda: events(truth=None), {}, "needs events with truth polynomials; these have none"),
        (events, {"replica": 3}, "unknown setting 'replica'; known are backbone, .*Did you mean 'replicas'"),
        (events, {"replicas": 0}, "replicas must be at least 1"),
        (events, {"features": ["pT"]}, "unknown feature 'pT'; known are pt. Did you mean 'pt'"),
        (events, {"features": []}, "at least one operator and at least one feature"),
        (events, {"operators": ["chw"]}, "unknown operator 'chw'. Did you mean 'cHW'"),
        (events, {"operators": []}, "at least one operator"),
        (lambda: events(1), {}, "same in all events|too few"),
        (lambda: events(2), {"validation": 0.9}, "too few to train on"),
        (lambda: events(weights=-np.ones(100)), {}, "weights sum to -100; .*positive cross section"),
        (lambda: events(features=pd.DataFrame({"pt": np.ones(100)})), {}, "pt is the same in all events"),
        (events, {"calibrate": events(truth=None)}, "needs events with truth"),
        (events, {"seed": -1}, "seed"),
        (events, {"learning_rate": 1e30, "clip": 1e30}, "diverged"),
    ],
)
def test_unusable_input_is_refused(make, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(make(), **{"epochs": 2, "replicas": 2, "hidden": (8,), **arguments})


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is available")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="device 'cuda' is not available here; use device='cpu'"):
        train(events(), device="cuda")


def test_a_prediction_without_its_features_is_refused(learned: Estimator, zh_events: Events) -> None:
    with pytest.raises(InputError, match="needs feature 'pt_z'"):
        learned(zh_events.features.drop(columns="pt_z"))


def test_a_checkpoint_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; create it first"):
        train(events(), epochs=1, replicas=1, hidden=(8,), checkpoint=tmp_path / "absent" / "file")
    assert storage.FORMAT == 2


def test_a_diverged_run_keeps_its_last_good_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    settings = {"replicas": 1, "hidden": (8,), "checkpoint": path}
    with pytest.raises(InputError, match=r"is not finite .* epoch 1; there is no checkpoint. Lower"):
        train(events(), epochs=2, learning_rate=1e30, clip=1e30, **settings)
    assert not path.exists()
    train(events(), epochs=2, **settings)
    kept = path.read_bytes()
    with pytest.raises(InputError, match=r"epoch 3; .*checkpoint holds epoch 2, the last good one"):
        train(events(), epochs=4, learning_rate=1e30, clip=1e30, **settings)
    assert path.read_bytes() == kept
    longer = train(events(), epochs=4, **settings)
    assert len(longer.metadata["history"]) == 4
