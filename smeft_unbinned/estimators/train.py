"""train: simulated events in, a calibrated ensemble out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..events import Events
from ..events.morphing import monomial_names
from ..events.samples import Samples
from ..keywords import take
from ..polynomial import Polynomial, unpack
from ..progress import progress_bar
from ..storage import checksum
from . import calibration
from .estimator import Estimator
from .learning import Learning
from .loop import Report
from .prepare import normalised, prepare, truth_of
from .settings import TrainSettings

__all__ = ["calibrated", "reporter", "train"]
_CHUNK = 8192


def train(
    sample: Events | Samples,
    settings: TrainSettings | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    members: Sequence[int] | None = None,
    **options: Any,
) -> Estimator:
    """Learn the ratio coefficients of all operators.

    sample: SM events with truth polynomials, of which weights and sigma(c) are used; or separate samples, the
        first at the SM, for the losses that learn from them.
    settings: a TrainSettings.
    checkpoint: a file written after every epoch, from which a killed run continues to the same result.
    members: numbers of the members to train, for a part of a large ensemble; default all.
    options: features, operators, calibrate and progress, see `LearningOptions`; and single settings and
        options of the method by name (loss="alices", replicas=4, seed=1, ...).
    Raises InputError for input and for settings that do not fit, and where the loss is not finite.
    """
    learning = take(Learning, options)
    settings = (settings or TrainSettings()).changed(**options)
    if settings.device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"device {settings.device!r} is not available here; use device='cpu'")
    assert settings.backbone is not None
    assert settings.head is not None
    calibrate = learning.larger_sample()
    if calibrate is not None:
        truth_of(calibrate, learning.operators)
    prepared = prepare(sample, settings, learning, members=members, checkpoint=checkpoint)
    if calibrate is not None:
        prepared.inputs(calibrate.features.iloc[:1])  # before the work, not after
    problem = prepared.problem
    wall, cpu = time.perf_counter(), time.process_time()
    with reporter(settings, learning.progress) as report:
        outcome = settings.backbone.fit(problem, report)
    estimator = Estimator(
        operators=prepared.operators,
        inputs=prepared.inputs,
        growth=prepared.growth,
        backbone=settings.backbone,
        head=settings.head,
        parameters=outcome.parameters,
        calibration=_identity(len(problem.members), len(prepared.operators)),
        metadata={
            "method": f"{settings.loss.name}, {settings.head.name}, {settings.backbone.name}",
            "settings": settings.manifest(),
            "members": list(problem.members),
            "history": outcome.history,
            "best_validation": outcome.best_validation,
            "events": {
                "count": _count(sample),
                "checksum": problem.fingerprint,
                **_about(sample),
                "samples": [checksum(e.features.to_numpy(float)) for e in _all(sample)],
            },
            "seconds": {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu},
            "versions": {package: version(package) for package in settings.backbone.packages},
            "notes": [],
        },
    )
    return _calibrate(estimator, sample, calibrate)


def _all(sample: Events | Samples) -> Sequence[Events]:
    return [sample] if isinstance(sample, Events) else sample.events


def _count(sample: Events | Samples) -> int:
    return sum(map(len, _all(sample)))


def _about(sample: Events | Samples) -> dict[str, Any]:
    return _all(sample)[0].metadata


def _calibrate(estimator: Estimator, sample: Events | Samples, larger: Events | None) -> Estimator:
    """Calibrate if it can be done; otherwise say in the metadata why not."""
    try:
        if larger is not None:
            return calibrated(estimator, larger)
        if isinstance(sample, Events):
            return calibrated(estimator, sample)
        sigma = sample.cross_section(partial=True)
        found = _to_target(estimator, sample.events[0], unpack(sigma.coefficients / sigma.constant), None)
        names = np.array(monomial_names(sigma.operators))[np.isnan(sigma.coefficients)]
        if names.size == len(sigma.coefficients) - 1:
            return estimator.noted(f"not calibrated: the samples do not determine {', '.join(names)}")
        if names.size:
            found = found.noted(f"calibrated but for {', '.join(names)}, which the samples do not determine")
        return found
    except InputError as error:
        return estimator.noted(f"not calibrated: {error}")


def calibrated(estimator: Estimator, events: Events) -> Estimator:
    """Return the estimator with every member's mean ratio set to sigma(c)/sigma(0).

    The mean of the truth over the same events is a control variate: the congruence that carries it to
    sigma(c)/sigma(0) is applied to the mean of the estimate first, so that the fluctuation of the events,
    common to both, drops out and only the difference of estimate and truth is corrected.
    """
    truth = truth_of(events, estimator.operators)
    assert events.cross_section is not None  # events with truth have one
    sigma = events.cross_section.restrict(estimator.operators).dense()
    return _to_target(estimator, events, unpack(sigma.coefficients / sigma.constant), truth)


def _to_target(
    estimator: Estimator, events: Events, target: np.ndarray, truth: Polynomial | None
) -> Estimator:
    """Return the estimator with the mean of r over the events, control variate applied, at the target.

    Entries of the target that are NaN stay what they are.
    """
    w = normalised(events)
    plain = estimator.calibrated(_identity(estimator.members, len(estimator.operators)))
    members: np.ndarray | float = 0.0
    for start in range(0, len(events), _CHUNK):
        part = slice(start, start + _CHUNK)
        coefficients = plain.replicas(events.features.iloc[part]).dense().coefficients
        members = members + np.tensordot(coefficients, w[part], axes=([1], [0]))
    means = unpack(np.asarray(members))
    own = unpack(w @ truth.coefficients) if truth is not None else target
    if estimator.head.linear_only:
        shift = np.nan_to_num(own[0, 1:] - means[:, 0, 1:])
        maps = _identity(estimator.members, len(estimator.operators))
        maps[:, 0, 1:] = shift
        return plain.calibrated(maps)
    if truth is not None:
        fluctuation = calibration.transformation(own, target)
        means = fluctuation.T @ means @ fluctuation
    targets = np.where(np.isnan(target), means, target)
    pairs = zip(means, targets, strict=True)
    return plain.calibrated(np.stack([calibration.transformation(mean, goal) for mean, goal in pairs]))


def _identity(members: int, n: int) -> np.ndarray:
    return np.repeat(np.eye(n + 1)[None], members, axis=0)


@contextmanager
def reporter(settings: TrainSettings, progress: bool) -> Iterator[Report]:
    """Yield what a training calls after every epoch: a progress bar where one is wanted."""
    bar = progress_bar(progress)
    task = bar.add_task("training", total=settings.epochs, note="")

    def report(epoch: int, training: np.ndarray, validation: np.ndarray) -> None:
        members = " ".join(f"{v:.4g}" for v in validation[:10])
        more = " ..." if len(validation) > 10 else ""
        note = f"epoch {epoch}: loss {training.mean():.4g}, held out {members}{more}"
        bar.update(task, completed=epoch, note=note)

    with bar:
        yield report
