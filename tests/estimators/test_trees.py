"""Trees: regress exact pp -> ZH ratios, are stored and joined exactly; and what they refuse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from smeft_unbinned import Estimator, Events, InputError, Polynomial, TrainSettings, train
from smeft_unbinned.estimators import tasks
from smeft_unbinned.estimators.backbones import Trees
from smeft_unbinned.estimators.prepare import prepare
from smeft_unbinned.polynomial import unpack

pytest.importorskip("lightgbm", reason="the trees extra is not installed")

POINTS = np.array([[0.5, 0.0], [-0.3, 0.0], [0.0, 0.1], [0.3, 0.05]])
SMALL: dict[str, Any] = {
    "head": "quadratic", "backbone": {"name": "trees", "trees": 20, "leaves": 7}, "replicas": 3, "seed": 2,
    "operators": ("cHW", "cHq3"),
}  # fmt: skip


@pytest.fixture(scope="module")
def small(zh_events: Events) -> Estimator:
    return train(zh_events, **SMALL)


@pytest.fixture(scope="module")
def samples() -> tuple[Events, Events]:
    from smeft_unbinned.processes import vh

    learn, check = (
        vh.generate(n, operators=("cHW", "cHq3"), seed=seed, pt_min=75.0)
        for n, seed in ((20_000, 3), (5000, 4))
    )
    return learn, check


def explained(found: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of the variance of truth (N, K) that is found."""
    w = weights / weights.sum()
    return np.asarray(1 - w @ (found - truth) ** 2 / (w @ (truth - w @ truth) ** 2))


@pytest.mark.slow
def test_ratios_of_other_events_are_learned(samples: tuple[Events, Events]) -> None:
    learn, check = samples
    estimator = train(learn, head="quadratic", backbone="trees", trees=200, replicas=1, seed=1)
    found, truth = estimator(check.features), check.truth
    assert np.all(explained(found.linear, truth.linear, check.weights) > 0.9)
    diagonal = [np.log(unpack(p.coefficients).diagonal(axis1=1, axis2=2)[:, 1:]) for p in (found, truth)]
    assert np.all(explained(diagonal[0], diagonal[1], check.weights) > 0.9)
    logs = [np.log(p.evaluate(POINTS)).T for p in (found, truth)]
    assert np.all(explained(logs[0], logs[1], check.weights) > 0.85)


def test_a_linear_ratio_is_learned_with_either_loss(zh_events: Events) -> None:
    options = {**SMALL, "backbone": {"name": "trees", "trees": 150, "leaves": 15}, "replicas": 1}
    a = train(zh_events, **{**options, "head": "linear"})
    b = train(zh_events, **{**options, "head": None, "loss": "sally"})
    np.testing.assert_array_equal(a(zh_events.features).coefficients, b(zh_events.features).coefficients)
    truth = zh_events.truth.restrict(["cHW", "cHq3"])
    assert np.all(explained(a(zh_events.features).linear, truth.linear, zh_events.weights) > 0.9)


def test_trees_without_a_split_give_the_weighted_mean(zh_events: Events) -> None:
    settings = TrainSettings.of(
        head="quadratic", backbone={"name": "trees", "min_leaf": 4000, "fraction": 1.0}, replicas=2
    )
    problem = prepare(zh_events, settings).problem
    outcome = settings.backbone.fit(problem, lambda *a: None)
    found = settings.backbone.predict(outcome.parameters, problem.valid.inputs.numpy()[:3], problem.outputs)
    labels, w = problem.train.labels, problem.train.weights.T / problem.train.weights.sum(dim=0)[:, None]
    matrix = torch.einsum("me,eij->mij", w, labels.quadratic).numpy()
    rows, columns = np.triu_indices(problem.n)
    mean = np.concatenate(
        [
            (w @ labels.linear).numpy(),
            (matrix + matrix.swapaxes(1, 2) - matrix * np.eye(problem.n))[:, rows, columns],
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, np.repeat(mean[:, None], 3, axis=1), rtol=1e-4, atol=1e-5)


def test_the_curves_are_the_loss_of_the_predictions(zh_events: Events) -> None:
    settings = TrainSettings.of(**{k: v for k, v in SMALL.items() if k != "operators"})
    problem = prepare(zh_events, settings).problem
    reports: list[tuple[int, np.ndarray, np.ndarray]] = []
    outcome = settings.backbone.fit(problem, lambda *a: reports.append(a))
    valid = problem.valid
    outputs = settings.backbone.predict(outcome.parameters, valid.inputs.numpy(), problem.outputs)
    ratio = problem.ratio(torch.as_tensor(outputs, dtype=torch.float32))
    values = problem.loss(problem.train)(ratio, valid, torch.Generator())
    expected = ((values * valid.weights.T).sum(dim=1) / valid.weights.sum(dim=0)).numpy()
    np.testing.assert_allclose(outcome.best_validation, expected, rtol=1e-4)
    np.testing.assert_allclose(outcome.history[-1]["validation"], expected, rtol=1e-4)
    assert len(outcome.history) == 2  # every tenth of 20 rounds
    assert [len(r[2]) for r in reports] == [1, 2, 3]
    assert reports[-1][0] == settings.epochs


def test_a_saved_estimator_predicts_the_same(small: Estimator, zh_events: Events, tmp_path: Path) -> None:
    small.save(tmp_path / "e.safetensors")
    loaded = Estimator.load(tmp_path / "e.safetensors")
    assert loaded.backbone == small.backbone
    frame = zh_events.features[:500]
    np.testing.assert_array_equal(small(frame).coefficients, loaded(frame).coefficients)
    np.testing.assert_array_equal(
        small.replicas(frame).dense().coefficients, loaded.replicas(frame).dense().coefficients
    )


def test_members_differ_and_do_not_depend_on_the_others(small: Estimator, zh_events: Events) -> None:
    frame = zh_events.features[:200]
    whole = small.replicas(frame).dense().coefficients
    assert not np.array_equal(whole[0], whole[1])
    for members in ([0], [2, 1]):
        part = train(zh_events, members=members, **SMALL).replicas(frame).dense().coefficients
        np.testing.assert_allclose(part, whole[members], rtol=1e-9, atol=1e-12)


def test_parts_are_joined_to_the_whole(small: Estimator, zh_events: Events, tmp_path: Path) -> None:
    options = {k: v for k, v in SMALL.items() if k != "operators"}
    for i in (1, 2):
        tasks.train_task(
            zh_events, TrainSettings.of(**options), i, 2, tmp_path / "e", operators=SMALL["operators"]
        )
    joined, frame = tasks.collect(tmp_path / "e", 2), zh_events.features[:200]
    assert joined.metadata["members"] == [0, 1, 2]
    np.testing.assert_allclose(
        joined.replicas(frame).dense().coefficients,
        small.replicas(frame).dense().coefficients,
        rtol=1e-9,
        atol=1e-12,
    )


def test_a_seed_fixes_the_result(zh_events: Events) -> None:
    state = torch.random.get_rng_state()
    a, b, c = (train(zh_events, **{**SMALL, "replicas": 1, "seed": s}) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for x, y in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.metadata["history"] == b.metadata["history"] != c.metadata["history"]


def test_seeds_differ_by_the_events_that_each_tree_sees(zh_events: Events) -> None:
    e = train(zh_events, **{**SMALL, "replicas": 2, "ensemble": {"name": "seeds", "replicas": 2}})
    assert np.all(e.predict(zh_events.features[:50])[1].max(axis=0)[1:] > 0)


def test_trees_stop_when_they_get_no_better() -> None:
    rng = np.random.default_rng(1)
    truth = Polynomial(["cHW"], np.column_stack([np.ones(400), rng.normal(size=400), 1 + rng.random(400)]))
    noise = Events(pd.DataFrame({"pt": rng.normal(size=400)}), truth)
    e = train(noise, head="quadratic", backbone="trees", patience=1, replicas=1)
    assert len(e.metadata["history"]) < 10  # of 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "head 'squares' does not allow; take head='quadratic' or head='linear'"),
        ({"head": "morphing"}, "head 'morphing' does not allow; take head='quadratic'"),
        ({"loss": "alices", "head": "quadratic"}, "loss 'alices' is no regression; take loss='derivative'"),
        ({"head": "quadratic", "ensemble": "repulsive"}, "ensemble 'repulsive' couples its members"),
        ({"head": "quadratic", "ensemble": "seeds", "fraction": 1.0}, "fraction=1 nothing is left"),
        ({"head": "quadratic", "trees": 0}, "trees must be at least 1, got 0"),
        ({"head": "quadratic", "leaves": 1}, "leaves must be at least 2, got 1"),
        ({"head": "quadratic", "shrinkage": 0.0}, "shrinkage must be above 0 and at most 1, got 0.0"),
        ({"head": "quadratic", "fraction": 1.5}, "fraction must be above 0 and at most 1, got 1.5"),
        ({"head": "quadratic", "checkpoint": "file"}, "'trees' writes no checkpoints; leave the"),
    ],
)  # fmt: skip
def test_what_trees_cannot_do_is_refused(make_events: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(make_events(), **{"backbone": "trees", **options})


def test_negative_weights_are_refused(zh_events: Events) -> None:
    weights = zh_events.weights.copy()
    weights[::10] *= -0.1
    events = Events(zh_events.features, zh_events.truth, weights, zh_events.cross_section)
    with pytest.raises(InputError, match="trees need event weights that are not negative, got one of -"):
        train(events, **SMALL)


def test_a_missing_package_is_named(zh_events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(InputError, match=r"needs the package 'lightgbm'.*smeft-unbinned\[trees\]"):
        train(zh_events, **SMALL)
    assert Trees().threads == 1
