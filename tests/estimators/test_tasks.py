"""Ensembles in parts: joined they equal the whole, and parts of anything else are refused."""

from __future__ import annotations

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smeft_unbinned import Estimator, Events, InputError, TrainSettings, train
from smeft_unbinned.estimators import checkpoint as checkpoints
from smeft_unbinned.estimators import tasks
from smeft_unbinned.estimators.tasks import collect, load_sample, part, part_file, train_parts, train_task
from smeft_unbinned.events.separate import draw_samples

TINY = TrainSettings.of(replicas=5, hidden=(16,), epochs=4, batch=256, seed=5)


@pytest.fixture(scope="module")
def sample(zh_events: Events) -> Events:
    few = zh_events[:1200]
    return Events(few.features, few.truth.restrict(["cHW", "cHq3"]), few.weights)


@pytest.fixture(scope="module")
def parts(sample: Events, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the two parts of an ensemble of five, called model."""
    folder = tmp_path_factory.mktemp("parts")
    for i in (1, 2):
        train_task(sample, TINY, i, 2, folder / "model")
    return folder


@pytest.fixture
def copy(parts: Path, tmp_path: Path) -> Path:
    for path in parts.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / "model"


class AtOnce:
    """An executor that runs each call where it is submitted."""

    def submit(self, fn: Any, /, *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize(("replicas", "n"), [(1, 1), (5, 1), (5, 2), (5, 5), (100, 7), (64, 20)])
def test_every_member_is_in_exactly_one_part(replicas: int, n: int) -> None:
    parts = [part(replicas, i, n) for i in range(1, n + 1)]
    assert [m for members in parts for m in members] == list(range(replicas))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((5, 1, 6), "an ensemble of 5 has 1 to 5 parts, got 6"),
        ((5, 1, 0), "1 to 5 parts, got 0"),
        ((5, 0, 2), "numbered from 1 to 2, got 0"),
        ((5, 3, 2), "numbered from 1 to 2, got 3"),
    ],
)
def test_parts_that_do_not_exist_are_refused(arguments: tuple[int, int, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        part(*arguments)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "alices", "head": "morphing", "minibatches": "own"},
        {"ensemble": "independent"},
        {"ensemble": "seeds", "loss": "sally"},
        {"epochs": 25, "patience": 1, "learning_rate": 0.1},
    ],
    ids=str,
)
def test_the_joined_ensemble_equals_the_whole(
    changes: dict[str, Any], sample: Events, tmp_path: Path
) -> None:
    settings = TINY.changed(**changes).changed(replicas=5)
    whole = train(sample, settings)
    joined = train_parts(sample, settings, AtOnce(), 3, tmp_path / "model")
    frame = sample.features[:300]
    a, b = (e.replicas(frame).dense().coefficients for e in (whole, joined))
    np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * np.abs(a).max())
    best = (e.metadata["best_validation"] for e in (whole, joined))
    np.testing.assert_allclose(*best, rtol=1e-5)
    assert joined.metadata["members"] == whole.metadata["members"] == [0, 1, 2, 3, 4]
    assert joined.metadata["settings"] == whole.metadata["settings"]
    assert joined.operators == whole.operators
    assert (len(whole.metadata["history"]) < settings.epochs) == ("patience" in changes)


def test_separate_samples_are_trained_in_parts_from_their_file(sample: Events, tmp_path: Path) -> None:
    samples = draw_samples(sample, [{"cHW": 0.5}, {"cHq3": 0.1}, {"cHW": -0.4, "cHq3": 0.2}], 300, seed=1)
    samples.save(tmp_path / "samples")
    settings = TINY.changed(loss="carl", replicas=2, epochs=2)
    whole = train(samples, settings, calibrate=sample)
    sample.save(tmp_path / "larger")
    joined = train_parts(
        tmp_path / "samples", settings, AtOnce(), 2, tmp_path / "model", calibrate=tmp_path / "larger"
    )
    frame = sample.features[:100]
    np.testing.assert_allclose(
        joined(frame).coefficients, whole(frame).coefficients, rtol=1e-5, atol=1e-5
    )  # calibrated alike too
    assert len(load_sample(tmp_path / "samples")) == 4
    assert isinstance(load_sample(tmp_path / "larger"), Events)
    with pytest.raises(InputError, match="no such file"):
        load_sample(tmp_path / "nothing")


def test_curves_of_a_part_that_stopped_early_go_on_with_its_last_values(
    sample: Events, tmp_path: Path
) -> None:
    for i, epochs in ((1, 2), (2, 3)):  # as if part 1 had run out of patience
        train_task(sample, TINY.changed(epochs=epochs), i, 2, tmp_path / "model")
    path = part_file(tmp_path / "model", 1, 2)
    first = Estimator.load(path)
    settings = Estimator.load(part_file(tmp_path / "model", 2, 2)).metadata["settings"]
    replace(first, metadata={**first.metadata, "settings": settings}).save(path)
    joined = collect(tmp_path / "model", 2)
    history = joined.metadata["history"]
    assert len(history) == 3
    assert joined.metadata["epochs"] == [2, 2, 3, 3, 3]
    for kind in ("training", "validation"):
        assert history[2][kind][:2] == history[1][kind][:2] == first.metadata["history"][-1][kind]
        assert history[2][kind][2:] != history[1][kind][2:]
    curves = joined.curves()
    assert curves.groupby("member")["epoch"].max().tolist() == [2, 2, 3, 3, 3]
    assert curves.query("epoch == 2 and member == 3")["training"].item() == history[1]["training"][3]
    best = curves.groupby("member")["validation"].min()
    np.testing.assert_allclose(best, joined.metadata["best_validation"], rtol=1e-6)


def test_trees_of_different_size_are_joined(sample: Events, tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="the trees extra is not installed")
    settings = TrainSettings.of(replicas=2, backbone="trees", head="quadratic", trees=15, patience=1)
    whole = train(sample, settings)
    joined = train_parts(sample, settings, AtOnce(), 2, tmp_path / "model")
    frame = sample.features[:100]
    np.testing.assert_allclose(joined(frame).coefficients, whole(frame).coefficients, rtol=1e-9, atol=1e-12)


def test_the_cost_of_the_parts_adds_up(parts: Path) -> None:
    one, two = (Estimator.load(part_file(parts / "model", i, 2)) for i in (1, 2))
    joined = collect(parts / "model", 2)
    for kind in ("wall", "cpu"):
        total = one.metadata["seconds"][kind] + two.metadata["seconds"][kind]
        assert joined.metadata["seconds"][kind] == pytest.approx(total)


def test_the_joined_ensemble_is_saved_and_read_like_any_other(parts: Path, sample: Events) -> None:
    joined = collect(parts / "model", 2)
    joined.save(parts / "joined")
    loaded = Estimator.load(parts / "joined")
    frame = sample.features[:20]
    np.testing.assert_array_equal(loaded(frame).coefficients, joined(frame).coefficients)
    assert loaded.metadata["members"] == [0, 1, 2, 3, 4]
    (parts / "joined").unlink()


def test_a_finished_part_is_left_alone(copy: Path, sample: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    path = part_file(copy, 1, 2)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    monkeypatch.setattr(tasks, "train", never)
    assert train_task(sample, TINY, 1, 2, copy) == path
    assert train_task(sample, TINY, 1, 2, copy, features=list(sample.features)) == path
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: (s, TINY.changed(epochs=9), {}), "epochs was 4, is 9. Delete it"),
        (lambda s: (s, TINY.changed(loss="alice"), {}), "loss was .*derivative.*, is .*alice"),
        (lambda s: (s[:1000], TINY, {}), "trained on other events"),
        (lambda s: (Events(s.features, s.truth, 2 * s.weights), TINY, {}), "trained on other events"),
        (lambda s: (s, TINY, {"calibrate": s}), "calibration events"),
        (lambda s: (s, TINY, {"operators": ["cHW"]}), "trained on other events, features, operators"),
        (lambda s: (s, TINY, {"features": ["pt_z"]}), "trained on other events, features"),
    ],
)
def test_a_part_of_another_training_is_refused(change, words: str, copy: Path, sample: Events) -> None:
    events, settings, options = change(sample)
    before = part_file(copy, 1, 2).read_bytes()
    with pytest.raises(InputError, match=f"part-1-of-2 is there and belongs to another training: .*{words}"):
        train_task(events, settings, 1, 2, copy, **options)
    assert part_file(copy, 1, 2).read_bytes() == before


def test_a_killed_task_goes_on_from_its_checkpoint(
    parts: Path, sample: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, epochs = checkpoints.store, []

    def killed(*arguments: Any) -> None:
        store(*arguments)
        epochs.append(1)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "store", killed)
        with pytest.raises(KeyboardInterrupt):
            train_task(sample, TINY, 2, 2, tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model.part-2-of-2.checkpoint"]
    path = train_task(sample, TINY, 2, 2, tmp_path / "model")
    assert list(tmp_path.iterdir()) == [path]
    a, b = (Estimator.load(p) for p in (path, part_file(parts / "model", 2, 2)))
    assert a.metadata["history"] == b.metadata["history"]
    for x, y in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(x, y)


def test_missing_parts_are_named(copy: Path) -> None:
    part_file(copy, 2, 2).rename(part_file(copy, 2, 20))
    part_file(copy, 1, 2).rename(part_file(copy, 4, 20))
    with pytest.raises(InputError, match=r"parts 1, 3, 5, .* 20 of 20 are missing: run train --task 1/20"):
        collect(copy, 20)
    with pytest.raises(InputError, match=r"part 1 of 1 is missing; there are model.part-2-of-20, .*1/1$"):
        collect(copy, 1)
    with pytest.raises(InputError, match="at least 1, got 0"):
        collect(copy, 0)


def altered(path: Path, **changes: Any) -> None:
    """Rewrite a part with other metadata."""
    estimator = Estimator.load(path)
    replace(estimator, metadata={**estimator.metadata, **changes}).save(path)


def test_parts_that_do_not_belong_together_are_refused(copy: Path, sample: Events) -> None:
    first, second = part_file(copy, 1, 2), part_file(copy, 2, 2)
    task, good = Estimator.load(second).metadata["task"], second.read_bytes()
    other = {**TINY.manifest(), "epochs": 7}
    for changes, words in (
        ({"members": [1, 2]}, r"its members \[1, 2\] are not those of part 2"),
        ({"task": {**task, "data": "x"}}, "trained on other events"),
        ({"task": {**task, "of": 3}}, "holds part 2 of 3, not 2 of 2"),
        ({"task": {}}, "holds part None of None"),
        ({"settings": other}, r"epochs was 4, is 7. Train it anew with --task 2/2"),
    ):
        altered(second, **changes)
        with pytest.raises(InputError, match=f"part-2-of-2 does not belong to the other parts: .*{words}"):
            collect(copy, 2)
        second.write_bytes(good)
    shutil.copy(first, second)
    with pytest.raises(InputError, match="holds part 1 of 2, not 2 of 2"):
        collect(copy, 2)
    second.write_bytes(good[:-9])
    with pytest.raises(InputError, match="part-2-of-2 is not a readable estimator file"):
        collect(copy, 2)
    second.write_bytes(good)
    part_two = Estimator.load(second)
    growth = replace(part_two.growth, coefficients=1.1 * part_two.growth.coefficients)
    replace(part_two, growth=growth).save(second)
    with pytest.raises(InputError, match="inputs were prepared in another way"):
        collect(copy, 2)
    second.write_bytes(good)
    altered(second, settings={**TINY.manifest(), "device": "cuda"})  # where it ran does not matter
    assert collect(copy, 2).members == 5


def test_coupled_ensembles_are_refused(sample: Events, tmp_path: Path) -> None:
    settings = TINY.changed(ensemble="repulsive")
    for call in (
        lambda: train_task(sample, settings, 1, 2, tmp_path / "model"),
        lambda: train_parts(sample, settings, AtOnce(), 2, tmp_path / "model"),
    ):
        with pytest.raises(InputError, match="'repulsive' ensemble see each other in training"):
            call()


def test_threads_can_train_the_parts(sample: Events, tmp_path: Path, parts: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        joined = train_parts(sample, TINY, pool, 2, tmp_path / "model")
    for a, b in zip(joined.parameters, collect(parts / "model", 2).parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_part_that_fails_is_named_and_the_others_are_kept(copy: Path, sample: Events) -> None:
    """Part 2 is of another training; part 1 is there."""
    altered(part_file(copy, 2, 2), settings={**TINY.manifest(), "seed": 8})
    with pytest.raises(InputError, match=r"part 2 of 2 failed: InputError: .*seed was 8, is 5.*; finished"):
        train_parts(sample, TINY, AtOnce(), 2, copy)
    part_file(copy, 2, 2).unlink()
    train_parts(sample, TINY, AtOnce(), 2, copy)


def test_a_crash_of_a_worker_is_no_mistake_of_the_user(
    sample: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(tasks, "train", crash)
    with pytest.raises(RuntimeError, match=r"parts 1, 2 of 2 failed: MemoryError: too large") as caught:
        train_parts(sample, TINY, AtOnce(), 2, tmp_path / "model")
    assert not isinstance(caught.value, InputError)
    assert isinstance(caught.value.__cause__, MemoryError)


def test_dask_workers_can_train_the_parts(sample: Events, tmp_path: Path, parts: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the dask extra is not installed")
    sample.save(tmp_path / "events")
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(**options) as client:
        joined = train_parts(tmp_path / "events", TINY, client, 2, tmp_path / "model")
    for a, b in zip(joined.parameters, collect(parts / "model", 2).parameters, strict=True):
        np.testing.assert_array_equal(a, b)
