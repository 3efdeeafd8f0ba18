"""Large ensembles over machines: each task trains some of the members, and `collect` joins the parts.

A member depends on the events, the settings and its own number alone, so the joined ensemble is the one that
a single training gives. Parts are ordinary estimator files beside OUTPUT, named by `part_file`. The events
have to be where every machine can read them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import storage
from ..errors import InputError
from ..events import Events
from ..events.samples import Samples
from ..progress import progress_bar
from ..storage import check_target, checksum
from .backbones import Network
from .estimator import Estimator
from .learning import Learning, LearningOptions
from .parts import collect, differences, numbered, part, part_file
from .settings import TrainSettings
from .train import train

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["collect", "load_sample", "part", "part_file", "resumable", "train_parts", "train_task"]

Sample = Events | Samples | str | os.PathLike[str]
"""Events, separate samples, or the file of either, which every task then reads by itself."""


class Future(Protocol):
    """What an executor gives for a submitted call."""

    def result(self) -> Any:
        """Wait for the call; return what it returned or raise what it raised."""


class Executor(Protocol):
    """What `concurrent.futures` executors and `dask.distributed.Client` have in common."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future:
        """Start a call somewhere."""


def load_sample(path: str | os.PathLike[str]) -> Events | Samples:
    """Read a file of events or of separate samples; raise InputError for any other."""
    return Samples.load(path) if storage.kind(path) == "samples" else Events.load(path)


def train_task(
    sample: Sample,
    settings: TrainSettings,
    i: int,
    n: int,
    output: str | os.PathLike[str],
    **options: Unpack[LearningOptions],
) -> Path:
    """Train part i of n of the ensemble OUTPUT; write `part_file` and return its path.

    Called again, it does nothing if the file is there; otherwise it goes on from the checkpoint beside it,
    where the method writes one. options: see `LearningOptions`. Raises InputError where the file belongs to
    other events or settings, and for ensembles whose members cannot be trained apart.
    """
    learning = Learning(**options)
    members = _members(settings, i, n)
    path = check_target(part_file(output, i, n))
    events = sample if isinstance(sample, Events | Samples) else load_sample(sample)
    learning = replace(learning, calibrate=learning.larger_sample())
    record = {"part": i, "of": n, "data": _data(events, learning)}
    if path.exists():
        _check_finished(path, settings, record)
        return path
    checkpoint = path.with_name(path.name + ".checkpoint")
    estimator = train(
        events,
        settings,
        members=members,
        checkpoint=checkpoint if resumable(settings) else None,
        **vars(learning),
    )
    replace(estimator, metadata={**estimator.metadata, "task": record}).save(path)
    checkpoint.unlink(missing_ok=True)
    return path


def resumable(settings: TrainSettings) -> bool:
    """Return whether a training with these settings writes checkpoints: networks do, trees do not."""
    return isinstance(settings.backbone, Network)


def train_parts(
    sample: Sample,
    settings: TrainSettings,
    executor: Executor,
    n: int,
    output: str | os.PathLike[str],
    **options: Unpack[LearningOptions],
) -> Estimator:
    """Train n parts on the workers of an executor and return the joined ensemble.

    The parts are written beside OUTPUT, which the workers and this process must see under the same name; so
    must they the events, where `sample` is a path. They stay: what is finished is not repeated by another
    call. options: see `LearningOptions`. Raises InputError, naming the parts, where some could not be
    trained; RuntimeError where they failed otherwise.
    """
    learning = Learning(**options)
    _members(settings, 1, n)
    place, where = check_target(output).absolute(), _absolute(sample)
    apart = replace(learning, calibrate=_absolute(learning.calibrate), progress=False)
    call = partial(train_task, **vars(apart))
    failed: dict[int, Exception] = {}
    with progress_bar(learning.progress) as bar:
        task = bar.add_task("training", total=n, note=f"{n} parts")
        futures = [executor.submit(call, where, settings, i, n, place) for i in range(1, n + 1)]
        for i, future in enumerate(futures, start=1):
            try:
                future.result()
            except Exception as error:
                failed[i] = error
            bar.advance(task)
    if failed:
        first = next(iter(failed.values()))
        text = (
            f"{numbered(list(failed), n)} failed: {type(first).__name__}: {first}; finished parts are "
            "kept, and another call goes on with the others"
        )
        raise (InputError if isinstance(first, InputError) else RuntimeError)(text) from first
    return collect(place, n)


def _members(settings: TrainSettings, i: int, n: int) -> range:
    if settings.ensemble.coupled:
        raise InputError(
            f"the members of a {settings.ensemble.name!r} ensemble see each other in training and cannot be "
            "trained apart; train them together, or take ensemble='bootstrap', 'seeds' or 'independent'"
        )
    return part(settings.ensemble.replicas, i, n)


def _absolute(sample: Any) -> Any:
    return os.path.abspath(sample) if isinstance(sample, str | os.PathLike) else sample


def _data(sample: Events | Samples, learning: Learning) -> str:
    """Return a checksum of all that is learned from."""
    features, operators, larger = learning.features, learning.operators, learning.larger_sample()
    events = list(sample.events) if isinstance(sample, Samples) else [sample]
    content: list[Any] = [
        list(events[0].features.columns if features is None else features),
        list(sample.operators if operators is None else operators),
        [checksum(sample.points), list(sample.terms)] if isinstance(sample, Samples) else [],
        [_events(e) for e in events],
        None if larger is None else _events(larger),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _events(events: Events) -> list[Any]:
    sigma, truth = events.cross_section, events.truth
    return [
        list(events.features.columns),
        checksum(events.features.to_numpy(float)),
        checksum(np.asarray(events.weights)),
        list(events.operators),
        None if truth is None else checksum(truth.coefficients),
        None if sigma is None else [list(sigma.operators), checksum(sigma.dense().coefficients)],
    ]


def _check_finished(path: Path, settings: TrainSettings, record: Mapping[str, Any]) -> None:
    """Refuse a finished part that another call has made."""
    metadata = Estimator.load(path).metadata
    task = metadata.get("task", {})
    odd = differences(metadata["settings"], settings.manifest())
    if task.get("data") != record["data"]:
        odd = ["it was trained on other events, features, operators or calibration events", *odd]
    if odd or task != record:
        raise InputError(
            f"{path} is there and belongs to another training: {'; '.join(odd) or 'it is another part'}. "
            "Delete it, or choose another output"
        )
