"""Settings: names, options and their refusals; what a change brings with it; the manifest and back."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest

from smeft_unbinned import InputError, TrainSettings
from smeft_unbinned.estimators import registry
from smeft_unbinned.estimators.backbones import MLP
from smeft_unbinned.estimators.ensembles import Bootstrap, Repulsive, Seeds
from smeft_unbinned.estimators.heads import Linear, Morphing, Quadratic, Squares
from smeft_unbinned.estimators.losses import LOSSES
from smeft_unbinned.estimators.losses.alices import Alices
from smeft_unbinned.estimators.settings import AXES


def rebuilt(settings: TrainSettings) -> TrainSettings:
    return TrainSettings(**json.loads(json.dumps(settings.manifest())))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"patience": -1}, "patience must be at least 1, got -1"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"validation": 0.0}, "validation is a fraction between 0 and 1, got 0.0"),
        ({"validation": 1.0}, "validation is a fraction between 0 and 1"),
        ({"validation": float("nan")}, "validation is a fraction between 0 and 1"),
        ({"learning_rate": 0.0}, "learning_rate and clip must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate and clip must be positive"),
        ({"clip": -1.0}, "learning_rate and clip must be positive"),
        ({"weight_decay": -1.0}, "weight_decay not negative"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"schedule": "linear"}, "schedule is one of cosine, one-cycle, got 'linear'"),
        ({"minibatches": "none"}, "minibatches is one of shared, own, got 'none'"),
        ({"prior_shape": "flat"}, "prior_shape is one of gaussian, uniform, got 'flat'"),
        ({"replicas": 0}, "replicas must be at least 1, got 0"),
        ({"rank": -1}, "rank must be positive, or 0 to choose it, got -1"),
        ({"hidden": ()}, "hidden needs at least one positive width"),
        ({"hidden": 64}, r"hidden takes the widths of all hidden layers, for instance \(64, 64\), got 64"),
        ({"hidden": (16, 0)}, "hidden needs at least one positive width"),
        ({"loss": "alices", "draws": 0}, "draws must be at least 1, got 0"),
        ({"loss": "alice", "draws": 0}, "draws must be at least 1, got 0"),
        ({"loss": "decomposed", "positivity": "none"}, "positivity is 'penalty' or 'relu', got 'none'"),
        ({"ensemble": "repulsive", "replicas": 1}, "at least 2 replicas"),
    ],
)
def test_unusable_values_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainSettings.of(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "alise"}, r"unknown loss 'alise'; known are derivative, carl, .* Did you mean 'alice'\?"),
        ({"loss": "CARL"}, r"unknown loss 'CARL'; .* Did you mean 'carl'\?"),
        ({"head": "square"}, r"unknown head 'square'; known are squares, .* Did you mean 'squares'\?"),
        ({"backbone": "mpl"}, r"unknown backbone 'mpl'; known are mlp"),
        ({"ensemble": "seed"}, r"unknown ensemble 'seed'; .* Did you mean 'seeds'\?"),
        ({"loss": 3}, "unknown loss 3; known are derivative"),
        ({"loss": ["alices"]}, r"unknown loss \['alices'\]; known are derivative"),
        ({"loss": {"alpha": 1.0}}, "unknown loss None; known are derivative"),
        ({"loss": {"name": "alices", "alfa": 1}}, "loss 'alices' has no option 'alfa'; it has draws, alpha."),
        (
            {"loss": {"name": "derivative", "alpha": 1}},
            "loss 'derivative' has no option 'alpha'; it has none.",
        ),
        ({"head": Alices()}, "unknown head Alices"),
        ({"ensemble": {"name": "seeds", "replica": 2}}, r"no option 'replica'; .*Did you mean 'replicas'\?"),
    ],
)
def test_unknown_entries_and_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainSettings(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replica": 3}, r"unknown setting 'replica'; known are backbone, .*Did you mean 'replicas'\?"),
        ({"learningrate": 0.1}, r"Did you mean 'learning_rate'\?"),
        ({"widths": (8,)}, "of backbone 'mlp': hidden, separate, products"),
        ({"alpha": 1.0}, "unknown setting 'alpha'"),
        ({"loss": "alice", "alpha": 1.0}, "unknown setting 'alpha'; .* of loss 'alice': draws"),
        ({"head": "quadratic", "rank": 2}, "unknown setting 'rank'"),
        ({"strength": 2.0}, "unknown setting 'strength'; .* of ensemble 'bootstrap': replicas"),
    ],
)
def test_unknown_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainSettings.of(**options)


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("head", ["squares", "quadratic", "linear", "morphing"])
def test_a_loss_trains_its_heads_and_refuses_the_others(loss: str, head: str) -> None:
    if head in LOSSES[loss].heads:
        assert TrainSettings(loss=loss, head=head).head.name == head  # type: ignore[arg-type, union-attr]
        return
    with pytest.raises(InputError) as error:
        TrainSettings(loss=loss, head=head)  # type: ignore[arg-type]
    assert f"loss {loss!r} cannot train head {head!r}: {LOSSES[loss].reason}" in str(error.value)
    assert f"take one of {', '.join(LOSSES[loss].heads)}" in str(error.value)


@pytest.mark.parametrize(
    ("loss", "head", "reason"),
    [
        ("sally", "squares", "it regresses the score at the SM"),
        ("decomposed", "squares", "it trains every coefficient by itself"),
        ("alices", "linear", "a linear one turns negative"),
        ("carl", "linear", "a linear one turns negative"),
    ],
)
def test_combinations_without_sense_are_refused_with_a_reason(loss: str, head: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        TrainSettings.of(loss=loss, head=head)


def test_the_defaults() -> None:
    settings = TrainSettings()
    assert settings.loss.name == "derivative"
    assert settings.head == Squares()
    assert settings.backbone == MLP()
    assert settings.ensemble == Bootstrap()
    for loss, entry in LOSSES.items():
        chosen = TrainSettings.of(loss=loss)
        assert chosen.head is not None
        assert chosen.head.name == entry.heads[0]
        assert chosen.backbone == MLP(separate=entry.separate)


def test_names_mappings_and_entries_say_the_same() -> None:
    by_entry = TrainSettings(loss=Alices(alpha=2.0), head=Quadratic(), ensemble=Seeds(replicas=3))
    by_mapping = TrainSettings(
        loss={"name": "alices", "alpha": 2.0}, head="quadratic", ensemble={"name": "seeds", "replicas": 3}
    )  # type: ignore[arg-type]
    by_name = TrainSettings.of(loss="alices", alpha=2.0, head="quadratic", ensemble="seeds", replicas=3)
    assert by_entry == by_mapping == by_name


def test_options_reach_the_entry_that_has_them() -> None:
    settings = TrainSettings.of(
        loss="alices",
        alpha=2.0,
        draws=3,
        rank=2,
        hidden=[32, 16],
        ensemble="repulsive",
        strength=0.5,
        replicas=4,
    )
    assert settings.loss == Alices(draws=3, alpha=2.0)
    assert settings.head == Squares(rank=2)
    assert settings.backbone == MLP(hidden=(32, 16))
    assert settings.ensemble == Repulsive(replicas=4, strength=0.5)


def test_the_seed_is_that_of_the_training_also_where_a_head_has_one() -> None:
    settings = TrainSettings.of(head={"name": "morphing", "seed": 5}, seed=3)
    assert settings.seed == 3
    assert settings.head == Morphing(seed=5)


def test_a_change_leaves_the_rest_and_the_original() -> None:
    before = TrainSettings.of(loss="alices", alpha=2.0, hidden=(8,), replicas=3, head="quadratic", seed=4)
    after = before.changed(epochs=7, replicas=2)
    assert after.epochs == 7
    assert after.ensemble == Bootstrap(replicas=2)
    for name in {f.name for f in fields(TrainSettings)} - {"epochs", "ensemble"}:
        assert getattr(after, name) == getattr(before, name), name
    assert before.epochs == TrainSettings().epochs
    assert before.ensemble == Bootstrap(replicas=3)
    assert before.changed() == before


def test_a_new_loss_brings_its_head_and_backbone() -> None:
    before = TrainSettings.of(head="quadratic", hidden=(8,))
    after = before.changed(loss="sally")
    assert after.head == Linear()
    assert after.backbone == MLP()
    decomposed = before.changed(loss="decomposed")
    assert decomposed.head == Quadratic()
    assert decomposed.backbone == MLP(separate=True)
    assert decomposed.changed(loss="alice").backbone == MLP()
    both = before.changed(loss="decomposed", backbone=MLP(hidden=(4,)), head="linear")
    assert both.backbone == MLP(hidden=(4,))
    assert both.head == Linear()
    assert before.changed(loss="decomposed", hidden=(16,)).backbone == MLP(hidden=(16,), separate=True)
    with pytest.raises(InputError, match="cannot train head 'quadratic'"):
        before.changed(head="linear").changed(loss="sally", head="quadratic")


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_manifest_is_json_and_rebuilds_the_settings(loss: str) -> None:
    settings = TrainSettings.of(loss=loss, replicas=3, hidden=(8, 4), seed=2, schedule="one-cycle")
    assert rebuilt(settings) == settings
    for axis, entries in AXES.items():
        entry = getattr(settings, axis)
        assert registry.choose(axis, entries, json.loads(json.dumps(registry.manifest(entry)))) == entry


def test_the_manifest_holds_every_choice() -> None:
    settings = TrainSettings.of(
        loss={"name": "alices", "alpha": 3.0, "draws": 5}, head=Morphing(extra=2, seed=1), prior={"cHW": 0.5},
        prior_shape="uniform", ensemble=Repulsive(replicas=4, strength=2.0),
    )  # fmt: skip
    manifest = settings.manifest()
    assert set(manifest) == {f.name for f in fields(TrainSettings)}
    assert manifest["loss"] == {"name": "alices", "draws": 5, "alpha": 3.0}
    assert manifest["head"] == {"name": "morphing", "extra": 2, "seed": 1}
    assert manifest["ensemble"] == {"name": "repulsive", "replicas": 4, "strength": 2.0}
    assert manifest["backbone"]["hidden"] == list(MLP().hidden)
    assert manifest["prior"] == {"cHW": 0.5}
    assert rebuilt(settings) == settings


@pytest.mark.parametrize("axis", list(AXES))
def test_every_entry_is_found_by_its_name(axis: str) -> None:
    for name, entry in AXES[axis].items():
        assert entry.name == name
        made = registry.choose(axis, AXES[axis], name)
        assert type(made) is entry
        assert registry.choose(axis, AXES[axis], made) is made
        assert registry.choose(axis, AXES[axis], registry.manifest(made)) == made
        assert entry.__doc__


def test_options_of_numpy_are_json_too() -> None:
    settings = TrainSettings.of(
        hidden=np.array([32, 16]), replicas=np.int64(3), loss="alices", alpha=np.float32(0.5)
    )
    manifest = json.loads(json.dumps(settings.manifest()))
    assert manifest["backbone"]["hidden"] == [32, 16]
    assert manifest["ensemble"]["replicas"] == 3
    assert manifest["loss"]["alpha"] == 0.5
