"""Every loss with every head and ensemble: trains, repeats, is saved, survives a kill, and is accurate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Estimator, Events, InputError, Polynomial, train
from smeft_unbinned.estimators import checkpoint as checkpoints
from smeft_unbinned.estimators.ensembles import ENSEMBLES
from smeft_unbinned.estimators.losses import LOSSES
from smeft_unbinned.processes import toy

METHODS = [(loss, head) for loss, entry in LOSSES.items() for head in entry.heads]
TINY = {"replicas": 2, "hidden": (8,), "epochs": 2, "batch": 128, "seed": 4}
SMEARING = 0.5
SOLO = {k: v for k, v in TINY.items() if k != "replicas"}
UNCOUPLED = [name for name, entry in ENSEMBLES.items() if not entry.coupled]
DEFAULT_HEADS = [(loss, "bootstrap") for loss in LOSSES] + [
    ("alices", e) for e in ENSEMBLES if e != "bootstrap"
]
"""Every loss, and every ensemble."""


@pytest.fixture(scope="module")
def events() -> Events:
    """A few exact pp -> ZH events with two features and two operators."""
    from smeft_unbinned.processes import vh

    sample = vh.generate(600, operators=("cHW", "cHWtil"), seed=3, pt_min=75.0)
    frame = sample.features[["m_zh", "phi_l"]]
    return Events(frame, sample.truth, sample.weights, sample.cross_section, sample.metadata)


def assert_same(a: Estimator, b: Estimator) -> None:
    for x, y in zip((*a.parameters, a.calibration), (*b.parameters, b.calibration), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.metadata["history"] == b.metadata["history"]
    assert a.notes == b.notes


@pytest.mark.parametrize("ensemble", list(ENSEMBLES))
@pytest.mark.parametrize(("loss", "head"), METHODS)
def test_every_method_trains_repeats_and_is_saved(
    events: Events, tmp_path: Path, loss: str, head: str, ensemble: str
) -> None:
    options = {"loss": loss, "head": head, "ensemble": ensemble, **TINY}
    found = train(events, **options)
    assert_same(found, train(events, **options))
    assert found.metadata["method"].startswith(f"{loss}, {head}, ")
    assert len(found.metadata["history"]) == 2
    assert np.all(np.isfinite(found.metadata["best_validation"]))
    assert all(note.startswith("not calibrated: cannot calibrate: a mean quadratic") for note in found.notes)
    mean, spread = found.predict(events.features)
    assert mean.operators == events.operators
    assert np.all(np.isfinite(mean.coefficients))
    assert np.all(np.isfinite(spread))
    assert spread[:, 1:].max() > 0
    np.testing.assert_allclose(mean.constant, 1.0, atol=1e-9)
    if found.head.linear_only:
        assert np.all(found.replicas(events.features).dense().coefficients[..., 3:] == 0)
    if found.head.positive:
        c = 30 * np.random.default_rng(1).normal(size=(50, 2))
        assert np.all(mean.evaluate(c) > 0)
    found.save(tmp_path / "model.safetensors")
    loaded = Estimator.load(tmp_path / "model.safetensors")
    assert (loaded.head, loaded.backbone, loaded.notes) == (found.head, found.backbone, found.notes)
    assert loaded.metadata["settings"] == found.metadata["settings"]
    again, spread_again = loaded.predict(events.features)
    np.testing.assert_array_equal(again.coefficients, mean.coefficients)
    np.testing.assert_array_equal(spread_again, spread)


@pytest.mark.parametrize(("loss", "ensemble"), DEFAULT_HEADS)
def test_a_killed_run_continues_to_the_same_result(
    events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, ensemble: str
) -> None:
    options = {"loss": loss, "ensemble": ensemble, **TINY}
    path, store = tmp_path / "checkpoint", checkpoints.store

    def killed(*arguments: object) -> None:
        store(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "store", killed)
        with pytest.raises(KeyboardInterrupt):
            train(events, checkpoint=path, **options)
    assert_same(train(events, checkpoint=path, **options), train(events, **options))


@pytest.mark.parametrize(
    ("loss", "ensemble"), [c for c in DEFAULT_HEADS if c[1] in UNCOUPLED] + [("derivative", "independent")]
)
def test_members_trained_apart_are_those_trained_together(events: Events, loss: str, ensemble: str) -> None:
    """A hundred events come twice, so that the shares of independent members differ in size."""
    options = {"loss": loss, "ensemble": ensemble, **TINY, "replicas": 3, "batch": 50}
    index = np.sort(np.concatenate([np.arange(600), np.arange(100)]))
    sample = Events(events.features.iloc[index], events.truth[index])
    together = train(sample, **options)
    whole = together.replicas(events.features).dense().coefficients
    for m in (0, 2):
        alone = train(sample, members=[m], **options)
        assert alone.metadata["members"] == [m]
        part = alone.replicas(events.features).dense().coefficients[0]
        assert np.all(np.abs(part - whole[m]) <= 1e-3 * np.abs(whole[m]).max(axis=0))
        curve = [h["validation"][m] for h in together.metadata["history"]]
        assert [h["validation"][0] for h in alone.metadata["history"]] == pytest.approx(curve, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"minibatches": "own"},
        {"schedule": "one-cycle"},
        {"prior": {"cHW": 0.5, "cHWtil": 0.5}},
        {"prior": {"cHW": 0.5, "cHWtil": 0.5}, "prior_shape": "uniform", "minibatches": "own"},
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", ["derivative", "alices", "multiclass", "decomposed"])
def test_other_ways_to_train(events: Events, loss: str, options: dict[str, object]) -> None:
    if "prior" in options and not LOSSES[loss].compares:
        with pytest.raises(InputError, match=f"a prior has no effect with loss '{loss}'"):
            train(events, loss=loss, **{**TINY, **options})
        return
    found, plain = train(events, loss=loss, **{**TINY, **options}), train(events, loss=loss, **TINY)
    assert np.all(np.isfinite(found(events.features).coefficients))
    different = [not np.array_equal(a, b) for a, b in zip(found.parameters, plain.parameters, strict=True)]
    assert all(different)


def test_members_with_minibatches_of_their_own_differ_in_their_order_alone(events: Events) -> None:
    """Seeds see all events once per epoch either way: nearly the same losses, not the same."""
    a, b = (train(events, ensemble="seeds", **TINY, minibatches=m) for m in ("shared", "own"))
    one, other = (np.array([h["training"] for h in e.metadata["history"]]) for e in (a, b))
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(one, other, rtol=0.3)


@pytest.mark.parametrize("members", [[], [2], [-1], [0, 0]])
def test_members_that_are_not_there_are_refused(events: Events, members: list[int]) -> None:
    with pytest.raises(InputError, match=r"members must be different numbers from 0 to 1, at least one, got"):
        train(events, members=members, **TINY)


def test_coupled_members_cannot_be_trained_apart(events: Events) -> None:
    with pytest.raises(
        InputError, match=r"members of a repulsive ensemble see each other .* cannot be trained"
    ):
        train(events, ensemble="repulsive", members=[0], **TINY)
    whole = train(events, ensemble="repulsive", members=[0, 1], **TINY)
    assert whole.metadata["members"] == [0, 1]


def test_without_strength_repulsive_members_are_seeds(events: Events) -> None:
    none = train(events, ensemble={"name": "repulsive", "replicas": 2, "strength": 1e-30}, **SOLO)
    plain = train(events, ensemble={"name": "seeds", "replicas": 2}, **SOLO)
    strong = train(events, ensemble={"name": "repulsive", "replicas": 2, "strength": 10.0}, **SOLO)
    for a, b, c in zip(none.parameters, plain.parameters, strong.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_repulsive_members_differ_more_than_seeds() -> None:
    """In the linear term of the toy, which is zero, the spread of converged members grows with strength."""
    sample = toy.generate(3000, seed=1, smearing=SMEARING)
    options = {"hidden": (16, 16), "epochs": 15, "batch": 256, "seed": 2}
    plain = train(sample, ensemble={"name": "seeds", "replicas": 3}, **options)
    apart = train(sample, ensemble={"name": "repulsive", "replicas": 3, "strength": 100.0}, **options)
    spread, wider = (e.predict(sample.features)[1][:, 1].mean() for e in (plain, apart))
    assert wider > 1.5 * spread


def test_a_coefficient_without_effect_is_refused(events: Events) -> None:
    coefficients = events.truth.coefficients.copy()
    coefficients[:, [2, 4, 5]] = 0.0
    idle = Events(events.features, Polynomial(events.operators, coefficients))
    with pytest.raises(InputError, match=r"cHWtil has no effect .* for instance operators=\['cHW'\]"):
        train(idle, **TINY)
    assert train(idle, operators=["cHW"], **TINY).operators == ("cHW",)


def test_a_truth_that_is_not_one_at_the_sm_is_refused(events: Events) -> None:
    scaled = Events(events.features, Polynomial(events.operators, 2 * events.truth.coefficients))
    with pytest.raises(InputError, match="which is 1 at the SM"):
        train(scaled, **TINY)


def test_too_few_events_are_refused(events: Events) -> None:
    with pytest.raises(InputError, match="5 events are too few to train on: the ratio in 2 operators has 6"):
        train(events[:6], **TINY)
    with pytest.raises(InputError, match="9 events are too few to be dealt out to 5 members"):
        train(events[:10], **{**TINY, "ensemble": "independent", "replicas": 5})


def test_events_without_weight_are_refused(events: Events) -> None:
    weights = np.zeros(600)
    weights[:3] = 1.0
    with pytest.raises(InputError, match="held out, do not sum to something positive; leave out events"):
        train(Events(events.features, events.truth, weights), **TINY)


@pytest.mark.parametrize(
    "change", [{"loss": "rolr"}, {"alpha": 2.0}, {"head": "quadratic"}, {"hidden": (4,)}]
)
def test_the_checkpoint_of_another_method_is_refused(
    events: Events, tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "checkpoint"
    options = {"loss": "alices", **TINY}
    train(events, checkpoint=path, **options)
    with pytest.raises(InputError, match="belongs to other events or settings; delete it"):
        train(events, checkpoint=path, **{**options, **change})
    with pytest.raises(InputError, match="belongs to other events or settings"):
        train(events, checkpoint=path, members=[0], **options)


def test_a_run_goes_on_with_more_epochs_and_another_learning_rate(events: Events, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    train(events, checkpoint=path, **TINY)
    more = train(events, checkpoint=path, **{**TINY, "epochs": 3, "learning_rate": 1e-3, "clip": 0.5})
    assert len(more.metadata["history"]) == 3


# accuracy: the toy with a detector, whose truth labels scatter about the ratio that is to be learned

LEARNING = {"replicas": 2, "hidden": (16, 16), "epochs": 15, "batch": 256, "seed": 2}


@pytest.fixture(scope="module")
def noisy() -> Events:
    return toy.generate(6000, seed=1, smearing=SMEARING)


def accuracy(estimator: Estimator) -> float:
    """Mean squared error of log r over its variance, over new events, the worst of several theta."""
    other = toy.generate(4000, seed=2, smearing=SMEARING)
    exact = toy.ratio(other.features["x"], smearing=SMEARING)
    thetas = np.array([[0.5], [1.0], [2.0]])
    found, truth = (np.log(np.maximum(p.evaluate(thetas), 1e-3)) for p in (estimator(other.features), exact))
    return float(np.max(np.mean((found - truth) ** 2, axis=1) / np.var(truth, axis=1)))


@pytest.mark.parametrize("loss", [loss for loss, entry in LOSSES.items() if "quadratic" in entry.heads])
def test_the_ratio_of_the_toy_is_learned(noisy: Events, loss: str) -> None:
    found = train(noisy, loss=loss, **LEARNING)
    assert found.notes == []
    assert accuracy(found) < 0.05


@pytest.mark.parametrize("head", ["quadratic", "morphing"])
def test_other_heads_learn_the_ratio_of_the_toy_too(noisy: Events, head: str) -> None:
    assert accuracy(train(noisy, loss="alices", head=head, **LEARNING)) < 0.05


@pytest.mark.parametrize("loss", ["sally", "derivative", "decomposed"])
def test_the_score_is_learned(loss: str) -> None:
    """A unit normal z with rate 1 + c z, seen with noise: the score at x is z on average, x/(1 + noise^2)."""
    rng = np.random.default_rng(5)
    z, noise = rng.normal(size=6000), 0.5
    x = z + noise * rng.normal(size=6000)
    truth = Polynomial(["c"], np.stack([np.ones(6000), z, np.zeros(6000)], axis=1))
    sample = Events(pd.DataFrame({"x": x}), truth)
    found = train(sample, loss=loss, head="linear", **LEARNING)(sample.features).linear[:, 0]
    exact = x / (1 + noise**2)
    assert np.mean((found - exact) ** 2) < 0.05 * np.var(exact)
