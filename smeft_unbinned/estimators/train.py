"""train: simulated events with truth polynomials in, a calibrated ensemble out."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..errors import InputError, nearest
from ..events import Events
from ..polynomial import Polynomial, unpack
from ..progress import progress_bar
from ..storage import checksum
from . import calibration, loop
from .estimator import Estimator
from .features import FeatureMap
from .growth import Growth, emphasised
from .head import Labels
from .settings import MAX_RANK, TrainSettings

_CHUNK = 8192


def train(
    events: Events,
    settings: TrainSettings | None = None,
    *,
    features: Sequence[str] | None = None,
    operators: Sequence[str] | None = None,
    calibrate: Events | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **changes: Any,
) -> Estimator:
    """Learn the ratio coefficients of all operators from SM events with truth.

    events: with truth polynomials; weights and sigma(c) are used.
    settings: a TrainSettings; single ones can be given by name (replicas=4, seed=1, ...).
    features, operators: subsets of those of the events; default all.
    calibrate: a larger sample with truth on which the mean of r is set to sigma(c)/sigma(0);
        default the events themselves.
    checkpoint: a file written after every epoch, from which a killed run continues to the same result.
    Raises InputError for events without truth and for settings, features or operators that do not fit.
    """
    truth = _truth(events, operators)
    if not truth.operators or (features is not None and len(features) == 0):
        raise InputError("training needs at least one operator and at least one feature")
    _check_effects(truth)
    settings = _settings(settings or TrainSettings(), changes, len(truth.operators))
    for name in features or ():
        events.column(name)
    frame = events.features if features is None else events.features[list(features)]
    weights = _weights(events) * len(events)
    feature_map = FeatureMap.fit(frame)
    inputs = feature_map(frame)
    growth = Growth.fit(inputs, unpack(truth.coefficients).diagonal(axis1=1, axis2=2)[:, 1:])
    sizes = growth(inputs)
    sample, holdout = _samples(inputs, Labels.scaled(truth, sizes), emphasised(weights, sizes), settings)
    fingerprint = _fingerprint(frame, truth, weights, settings)
    wall, cpu = time.perf_counter(), time.process_time()
    with _reporter(settings, progress) as report:
        state = loop.run(sample, holdout, settings, report, checkpoint, fingerprint)
    estimator = Estimator(
        operators=truth.operators,
        feature_map=feature_map,
        growth=growth,
        parameters=tuple(p.cpu().numpy() for p in state.best),
        calibration=_identity(settings.replicas, len(truth.operators)),
        metadata={
            "method": "derivative learning, sum of squares",
            "settings": settings.manifest(),
            "history": state.history,
            "best_validation": state.best_loss.tolist(),
            "events": {"count": len(events), "checksum": fingerprint, **events.metadata},
            "seconds": {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu},
        },
    )
    return calibrated(estimator, calibrate if calibrate is not None else events)


def calibrated(estimator: Estimator, events: Events) -> Estimator:
    """Return the estimator with every member's mean ratio set to sigma(c)/sigma(0).

    The mean of the truth over the same events is a control variate: the congruence that carries it to
    sigma(c)/sigma(0) is applied to the mean of the estimate first, so that the fluctuation of the events,
    common to both, drops out and only the difference of estimate and truth is corrected.
    """
    truth, w = _truth(events, estimator.operators), _weights(events)
    assert events.cross_section is not None  # events with truth have one
    sigma = events.cross_section.restrict(estimator.operators).dense()
    target = unpack(sigma.coefficients / sigma.constant)
    plain = estimator.calibrated(_identity(estimator.members, len(estimator.operators)))
    members = np.zeros((estimator.members, truth.coefficients.shape[1]))
    for start in range(0, len(events), _CHUNK):
        part = slice(start, start + _CHUNK)
        coefficients = plain.replicas(events.features.iloc[part]).dense().coefficients
        members += np.tensordot(coefficients, w[part], axes=([1], [0]))
    fluctuation = calibration.transformation(unpack(w @ truth.coefficients), target)
    means = fluctuation.T @ unpack(members) @ fluctuation
    return plain.calibrated(np.stack([calibration.transformation(mean, target) for mean in means]))


def _settings(settings: TrainSettings, changes: dict[str, Any], n: int) -> TrainSettings:
    known = list(settings.manifest())
    for name in changes:
        if name not in known:
            raise InputError(f"unknown setting {name!r}; known are {', '.join(known)}.{nearest(name, known)}")
    settings = replace(settings, **changes)
    settings = replace(settings, rank=settings.rank or min(n + 1, MAX_RANK))
    if settings.device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"device {settings.device!r} is not available here; use device='cpu'")
    return settings


def _truth(events: Events, operators: Sequence[str] | None) -> Polynomial:
    if events.truth is None:
        raise InputError("derivative learning needs events with truth polynomials; these have none")
    return events.truth if operators is None else events.truth.restrict(operators).dense()


def _check_effects(truth: Polynomial) -> None:
    """Refuse coefficients that no event depends on, and a truth that is not 1 at the SM."""
    matrix = np.abs(unpack(truth.coefficients)).max(axis=0)
    idle = [name for name, row in zip(truth.operators, matrix[1:], strict=True) if row.max() < 1e-12]
    if idle:
        raise InputError(
            f"{', '.join(idle)} has no effect in these events; leave it out with operators=..., "
            f"for instance operators={[n for n in truth.operators if n not in idle]}"
        )
    if np.abs(truth.constant - 1).max() > 1e-6:
        raise InputError(
            "the truth of every event must be its rate over that at the SM, which is 1 at the SM"
        )


def _weights(events: Events) -> np.ndarray:
    """Return weights that sum to one; a sample whose weights do not sum to something positive is refused."""
    weights = np.asarray(events.weights)
    if not weights.sum() > 0:
        raise InputError(
            f"the event weights sum to {weights.sum():g}; they must sum to a positive cross section"
        )
    return np.asarray(weights / weights.sum())


def _identity(members: int, n: int) -> np.ndarray:
    return np.repeat(np.eye(n + 1)[None], members, axis=0)


def _samples(
    inputs: np.ndarray, labels: Labels, weights: np.ndarray, settings: TrainSettings
) -> tuple[loop.Sample, loop.Sample]:
    """Return training events with bootstrap weights per member, and the events held out."""
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(inputs))
    cut = max(1, round(settings.validation * len(inputs)))
    if cut >= len(inputs):
        raise InputError(f"{len(inputs)} events are too few to train on")
    counts = np.ones((len(inputs), settings.replicas))
    if settings.replicas > 1:
        counts[order[cut:]] = rng.poisson(1.0, size=(len(inputs) - cut, settings.replicas))
    as_tensor = {"dtype": torch.float32, "device": torch.device(settings.device)}
    labels = Labels(labels.linear.to(settings.device), labels.quadratic.to(settings.device))
    whole = loop.Sample(
        torch.as_tensor(inputs, **as_tensor), labels, torch.as_tensor(counts * weights[:, None], **as_tensor)
    )
    return whole.take(torch.as_tensor(order[cut:])), whole.take(torch.as_tensor(order[:cut]))


def _fingerprint(
    features: pd.DataFrame, truth: Polynomial, weights: np.ndarray, settings: TrainSettings
) -> str:
    parts = [
        checksum(features.to_numpy()),
        *features.columns,
        checksum(truth.coefficients),
        checksum(weights),
    ]
    parts += [json.dumps(settings.manifest(), sort_keys=True), *truth.operators]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


@contextmanager
def _reporter(settings: TrainSettings, progress: bool) -> Iterator[loop.Report]:
    bar = progress_bar(progress)
    task = bar.add_task("training", total=settings.epochs, note="")

    def report(epoch: int, training: np.ndarray, validation: np.ndarray) -> None:
        losses = f"loss {training.mean():.4f}, held out {validation.min():.4f} to {validation.max():.4f}"
        bar.update(task, completed=epoch, note=f"epoch {epoch}: {losses}")

    with bar:
        yield report
