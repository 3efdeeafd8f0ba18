"""From events or samples to what a training sees: checks, inputs, growth, labels, weights, held-out part."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from ..errors import InputError
from ..events import Events
from ..events.samples import Samples
from ..polynomial import Polynomial, size, unpack
from ..storage import checksum
from .data import Data, Labels, Masks, Source
from .features import Inputs
from .growth import Growth, emphasised, from_samples
from .learning import Learning
from .loop import Problem
from .settings import TrainSettings
from .sources import Pooled, Reweighting, prior_widths

FREE = ("epochs", "patience", "learning_rate", "schedule", "clip", "device")
"""Settings that may change when a training goes on from a checkpoint."""


@dataclass(frozen=True)
class Prepared:
    """A problem together with what turns features into its inputs."""

    problem: Problem
    operators: tuple[str, ...]
    inputs: Inputs
    growth: Growth


def prepare(
    sample: Events | Samples,
    settings: TrainSettings,
    learning: Learning | None = None,
    *,
    members: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Prepared:
    """Return what `train` trains on; raise InputError for input that cannot be used."""
    learning = learning or Learning()
    features, operators = learning.features, learning.operators
    chosen = chosen_members(settings, members)
    if isinstance(sample, Samples):
        frame, weights, kind = _pool(sample, settings)
        names, truth = _operators_of(sample, operators), None
    else:
        frame, weights, kind = sample.features, normalised(sample) * len(sample), None
        truth = truth_of(sample, operators, settings.loss.name)
        names = truth.operators
        check_effects(truth)
    if not names or (features is not None and len(features) == 0):
        raise InputError("training needs at least one operator and at least one feature")
    if features is not None:
        frame = select(frame, features)
    assert settings.backbone is not None
    inputs = settings.backbone.inputs(frame)
    summary = inputs.summary(frame)
    source: Source
    if truth is not None:
        growth = Growth.fit(summary, _size(truth))
        source = Reweighting(prior_widths(settings.prior, names), settings.prior_shape)
    else:
        assert isinstance(sample, Samples)
        assert kind is not None
        growth = from_samples(summary, kind, weights, sample.points[1:])
        source = _pooled(sample)
    sizes = growth(summary)
    labels = None if truth is None else Labels.scaled(truth, sizes)
    weights = weights if truth is None else emphasised(weights, sizes)
    groups = _groups(truth, len(frame))
    train, valid = split_groups(groups, settings, len(names))
    if not (weights[train].sum() > 0 and weights[valid].sum() > 0):
        raise InputError(
            "the weights of the events to train on, or of those held out, do not sum to something positive; "
            "leave out events of weight zero, or take more events"
        )
    columns = np.ones((len(frame), len(chosen)))
    own = renumbered(groups[train])
    columns[train] = settings.ensemble.weights(own, chosen, settings.seed)
    share = _share(settings, own, weights[train]) if settings.ensemble.own_events else None
    whole = Data(
        torch.as_tensor(inputs(frame), dtype=torch.float32),
        torch.as_tensor(sizes, dtype=torch.float32),
        torch.as_tensor(columns * weights[:, None], dtype=torch.float32),
        labels,
        None if kind is None else torch.as_tensor(kind),
    )
    problem = Problem(
        whole.take(torch.as_tensor(train)), whole.take(torch.as_tensor(valid)), source, settings,
        len(names), chosen, _fingerprint(sample, frame, truth, weights, settings, names, chosen), checkpoint,
        torch.as_tensor(weights[train], dtype=torch.float32), share,
    )  # fmt: skip
    return Prepared(problem, names, inputs, growth)


def truth_of(events: Events, operators: Sequence[str] | None, loss: str = "derivative") -> Polynomial:
    """Return the truth of events, restricted to some operators; refuse events without."""
    if events.truth is None:
        raise InputError(
            f"loss {loss!r} needs events with truth polynomials; these have none. Separate samples at "
            "several points (events.Samples) will do for loss='carl', 'multiclass' or 'decomposed'"
        )
    return events.truth if operators is None else events.truth.restrict(operators).dense()


def check_effects(truth: Polynomial) -> None:
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


def normalised(events: Events) -> np.ndarray:
    """Return weights that sum to one; a sample whose weights do not sum to something positive is refused."""
    weights = np.asarray(events.weights)
    if not weights.sum() > 0:
        raise InputError(
            f"the event weights sum to {weights.sum():g}; they must sum to a positive cross section"
        )
    return np.asarray(weights / weights.sum())


def chosen_members(settings: TrainSettings, members: Sequence[int] | None) -> tuple[int, ...]:
    """Return the numbers of the members to train; refuse those that the ensemble does not have."""
    ensemble = settings.ensemble
    if members is None:
        return tuple(range(ensemble.replicas))
    chosen = tuple(int(m) for m in members)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(ensemble.replicas)):
        raise InputError(
            f"members must be different numbers from 0 to {ensemble.replicas - 1}, at least one, got "
            f"{list(chosen)}; replicas={ensemble.replicas} is the size of the whole ensemble"
        )
    if ensemble.coupled and len(chosen) < ensemble.replicas:
        raise InputError(
            f"the members of a {ensemble.name} ensemble see each other and cannot be trained apart; leave "
            "members out"
        )
    return chosen


def _share(settings: TrainSettings, groups: np.ndarray, weights: np.ndarray) -> int:
    """Return how many events of weight every member of the whole ensemble has of its own."""
    members = range(settings.ensemble.replicas)
    dealt = settings.ensemble.weights(groups, members, settings.seed) * weights[:, None]
    return int(np.count_nonzero(dealt, axis=0).min())


def select(frame: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Return some of the columns; raise InputError for one that is not there."""
    for name in features:
        Events(frame.iloc[:1]).column(name)  # names the nearest known one
    return frame[list(features)]


def _size(truth: Polynomial) -> np.ndarray:
    """Return what the growth is fitted to, (N, n): quadratic labels, squared linear ones where all vanish."""
    diagonal = unpack(truth.coefficients).diagonal(axis1=1, axis2=2)[:, 1:]
    return np.asarray(np.where((diagonal != 0).any(axis=0), diagonal, truth.linear**2))


def _pool(sample: Samples, settings: TrainSettings) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return features, weights relative to the SM sample's mean, and numbers of the samples, joined."""
    if settings.loss.needs_truth:
        raise InputError(
            f"loss {settings.loss.name!r} needs the truth of every event, which separate samples do not "
            "have; take loss='carl', 'multiclass', 'quadratic-classifier' or 'decomposed'"
        )
    if settings.prior is not None:
        raise InputError(
            "a prior has no effect on separate samples, which stand where they are; leave it out"
        )
    if sample.points[0].any() or len(sample) < 2:
        raise InputError(
            "the first sample must be the one at the SM (all coefficients zero), with at least one more"
        )
    frame = pd.concat([e.features for e in sample.events], ignore_index=True)
    first = sample.events[0]
    unit = float(np.sum(np.asarray(first.weights))) / len(first)
    weights = np.concatenate([np.asarray(e.weights) / unit for e in sample.events])
    kind = np.repeat(np.arange(len(sample)), [len(e) for e in sample.events])
    return frame, weights, kind


def _operators_of(sample: Samples, operators: Sequence[str] | None) -> tuple[str, ...]:
    if operators is not None and tuple(operators) != sample.operators:
        raise InputError(
            f"the samples stand at points in {', '.join(sample.operators)}; all of them are trained, not "
            f"{', '.join(operators)} alone"
        )
    idle = [n for n, column in zip(sample.operators, sample.points.T, strict=True) if not column.any()]
    if idle:
        raise InputError(f"{', '.join(idle)} is zero in all samples; leave it out or add a sample with it")
    return sample.operators


def _pooled(sample: Samples) -> Pooled:
    sigma = sample.cross_sections
    theta = torch.as_tensor(sample.points[1:], dtype=torch.float32)
    size = torch.as_tensor(sigma[0] / sigma[1:], dtype=torch.float32)
    terms = sample.terms[1:]
    if set(terms) == {"full"}:
        return Pooled(theta, size, None)
    n = sample.points.shape[1]
    linear = np.array([t in ("full", "linear") for t in terms], dtype=float)
    cross = 1.0 - np.eye(n)
    table = {
        "full": np.ones((n, n)),
        "linear": np.zeros((n, n)),
        "quadratic": np.eye(n),
        "cross": cross,
    }
    quadratic = np.stack([table[t] for t in terms])
    masks = Masks(*(torch.as_tensor(m, dtype=torch.float32) for m in (linear, quadratic)))
    return Pooled(theta, size, masks)


def _groups(truth: Polynomial | None, n: int) -> np.ndarray:
    """Return numbers (N,) that neighbours with the same truth share: copies of one simulated event."""
    if truth is None:
        return np.arange(n)
    same = np.zeros(n, dtype=bool)
    same[1:] = (truth.coefficients[1:] == truth.coefficients[:-1]).all(axis=1)
    return np.asarray(np.cumsum(~same) - 1)


def renumbered(groups: np.ndarray) -> np.ndarray:
    """Return the numbers (N,) of groups, from 0 without gaps, in the same order."""
    return np.asarray(np.unique(groups, return_inverse=True)[1]).reshape(-1)


def split_groups(groups: np.ndarray, settings: TrainSettings, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the events to train on, and of those held out; no group is in both."""
    count = int(groups.max()) + 1
    order = np.random.default_rng([settings.seed, 0]).permutation(count)
    cut = max(1, round(settings.validation * count))
    least = size(n)
    if count - cut < least:
        raise InputError(
            f"{count - cut} events are too few to train on: the ratio in {n} operators has {least} "
            "coefficients. Take more events, fewer operators or a smaller validation fraction"
        )
    held = np.zeros(count, dtype=bool)
    held[order[:cut]] = True
    return np.flatnonzero(~held[groups]), np.flatnonzero(held[groups])


def _fingerprint(
    sample: Events | Samples,
    frame: pd.DataFrame,
    truth: Polynomial | None,
    weights: np.ndarray,
    settings: TrainSettings,
    operators: tuple[str, ...],
    members: tuple[int, ...],
) -> str:
    """Return a checksum of all that decides what is learned; how it is minimised may change on the way."""
    content = {k: v for k, v in settings.manifest().items() if k not in FREE}
    parts = [checksum(frame.to_numpy()), *map(str, frame.columns), checksum(weights), *operators]
    parts += [] if truth is None else [checksum(truth.coefficients)]
    if isinstance(sample, Samples):
        parts += [checksum(sample.points), *sample.terms, *(str(len(e)) for e in sample.events)]
    parts += [json.dumps(content, sort_keys=True), json.dumps(members)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
