"""What a training of responses sees: labels, the loss, and the problem that the loop of all trainings solves.

A simulated event z carries the ratios R_k+-(z) of its rate with nuisance k shifted up and down to the nominal
one. Given what is observed, the ratio is their mean over the nominal SM events at that x, E[R_k+-(z)|x], in
the way that r(x|c) is the mean of the joint ratio (arXiv:1805.00013, arXiv:1907.10621). A network with
positive output f learns it by the deviance

    d(R, f) = R log(R/f) - R + f >= 0,

the Bregman divergence of R log R: the mean of d over events at one x is smallest at f = E[R|x]. It grows
with R log R only, not with the square, so that few events with large ratios rule less, and with f an
exponential it is convex in the exponent. Every ratio counts relative to the deviance of its mean, so that
small effects are learned as well as large ones, and a loss of one is what a constant has.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..errors import InputError
from ..events import Events, Nuisances
from ..storage import checksum
from .backbones import Network
from .data import Data, Labels
from .features import Inputs
from .loop import Problem
from .losses import Ratio
from .losses.base import Evaluate
from .prepare import FREE, chosen_members, normalised, renumbered, select, split_groups
from .response_estimator import log_ratios
from .settings import TrainSettings
from .sources import Reweighting

__all__ = ["Prepared", "Responses", "Standard", "deviance", "prepare"]

_SERIES = 0.1


@dataclass(frozen=True)
class Standard:
    """Labels as the networks see them: values (N, L) = (log R - location)/scale, with the range of log R."""

    values: np.ndarray
    location: np.ndarray
    scale: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    varies: np.ndarray

    @classmethod
    def fit(cls, logs: np.ndarray, weights: np.ndarray) -> Standard:
        """Measure mean ratio and spread of log R (N, L) over events of weights (N,)."""
        share = weights / weights.sum()
        lower, upper = logs.min(axis=0), logs.max(axis=0)
        location = np.log(np.maximum(share @ np.exp(logs), np.exp(lower)))
        location = np.clip(location, lower, upper)
        spread = np.sqrt(np.maximum(share @ (logs - location) ** 2, 0.0))
        varies = (upper - lower > 1e-9) & (spread > 0)
        scale = np.where(varies, spread, 1.0)
        return cls((logs - location) / scale, location, scale, lower, upper, varies)


@dataclass(frozen=True)
class Responses(Problem):
    """What is learned here: the loop of ratios in coefficients, with labels and loss of its own.

    spread: (L,) of the log of each ratio, by which labels are divided. varies: (L,) whether it varies at all.
    The labels stand in `Labels.linear`.
    """

    spread: Tensor = field(default_factory=lambda: torch.ones(1))
    varies: Tensor = field(default_factory=lambda: torch.ones(1, dtype=torch.bool))

    @property
    def outputs(self) -> int:
        return len(self.spread)

    def loss(self, train: Data) -> Evaluate:
        """Return the deviance over that of the mean ratio, its average over the ratios that vary: (M, B)."""
        assert train.labels is not None
        assert self.common is not None
        spread, weights = self.spread.to(train.inputs.device), self.common.to(train.inputs.device)
        labels = train.labels.linear
        constant = (weights @ deviance(labels, torch.zeros_like(labels), spread)) / weights.sum()
        used = self.varies.to(constant.device) & (constant > 0)
        factor = torch.where(used, 1.0 / torch.where(used, constant, 1.0), 0.0) / max(1, int(used.sum()))

        def function(ratio: Ratio, batch: Data, generator: torch.Generator) -> Tensor:
            del generator
            assert batch.labels is not None
            return deviance(batch.labels.linear, ratio.outputs, spread) @ factor

        return function


@dataclass(frozen=True)
class Prepared:
    """A problem, what turns features into its inputs, all labels, and the numbers of the held-out events."""

    problem: Responses
    inputs: Inputs
    labels: Standard
    valid: np.ndarray


def deviance(labels: Tensor, outputs: Tensor, spread: Tensor) -> Tensor:
    """Return R log(R/f) - R + f over m, for R = m exp(s b) and f = m exp(s o): b labels, o outputs, s spread.

    It is exp(s o) h(u) with u = s (b - o) and h(u) = u e^u - e^u + 1 = u^2/2 + u^3/3 + u^4/8 + ..., the
    series where u is small: differences of larger numbers would hide effects below a percent in single
    precision.
    """
    u = spread * (labels - outputs)
    small = u.abs() < _SERIES
    near, far = torch.where(small, u, 0.0), torch.where(small, 1.0, u)
    series = near**2 * (0.5 + near * (1 / 3 + near * (1 / 8 + near * (1 / 30 + near / 144))))
    return torch.exp(spread * outputs) * torch.where(small, series, far * torch.exp(far) - torch.expm1(far))


def prepare(
    events: Events,
    nuisances: Nuisances,
    one_sided: tuple[str, ...],
    features: Sequence[str] | None,
    settings: TrainSettings,
    network: Network,
    checkpoint: str | os.PathLike[str] | None,
) -> Prepared:
    """Return what `train_responses` trains on; raise InputError for input that cannot be used."""
    frame = events.features if features is None else select(events.features, features)
    weights = normalised(events) * len(events)
    labels = Standard.fit(log_ratios(nuisances, nuisances.names, one_sided), weights)
    groups = _copies(events, nuisances)
    train, valid = split_groups(groups, settings, 1)
    if not (weights[train].sum() > 0 and weights[valid].sum() > 0):
        raise InputError(
            "the weights of the events to train on, or of those held out, do not sum to something positive; "
            "leave out events of weight zero, or take more events"
        )
    members = chosen_members(settings, None)
    inputs = network.inputs(frame)
    columns = np.ones((len(frame), len(members)))
    columns[train] = settings.ensemble.weights(renumbered(groups[train]), members, settings.seed)
    values = torch.as_tensor(labels.values, dtype=torch.float32)
    whole = Data(
        torch.as_tensor(inputs(frame), dtype=torch.float32),
        torch.zeros((len(frame), 0)),
        torch.as_tensor(columns * weights[:, None], dtype=torch.float32),
        Labels(values, values[:, :, None][..., :0]),
    )
    problem = Responses(
        whole.take(torch.as_tensor(train)),
        whole.take(torch.as_tensor(valid)),
        Reweighting(),
        settings,
        0,
        members,
        _fingerprint(frame, weights, nuisances, one_sided, settings),
        checkpoint,
        torch.as_tensor(weights[train], dtype=torch.float32),
        spread=torch.as_tensor(labels.scale, dtype=torch.float32),
        varies=torch.as_tensor(labels.varies),
    )
    return Prepared(problem, inputs, labels, valid)


def _copies(events: Events, nuisances: Nuisances) -> np.ndarray:
    """Return numbers (N,) that neighbours share which are copies of one simulated event."""
    content = [nuisances.linear, nuisances.quadratic]
    content += [] if events.truth is None else [np.asarray(events.truth.coefficients)]
    content = [block for block in content if block.size and np.ptp(block, axis=0).any()]
    same = np.zeros(len(events), dtype=bool)
    if content:
        same[1:] = np.all([(block[1:] == block[:-1]).all(axis=1) for block in content], axis=0)
    return np.asarray(np.cumsum(~same) - 1)


def _fingerprint(
    frame: pd.DataFrame,
    weights: np.ndarray,
    nuisances: Nuisances,
    one_sided: tuple[str, ...],
    settings: TrainSettings,
) -> str:
    """Return a checksum of all that decides what is learned; how it is minimised may change on the way."""
    content = {k: v for k, v in settings.manifest().items() if k not in FREE}
    parts = [checksum(a) for a in (frame.to_numpy(), weights, nuisances.linear, nuisances.quadratic)]
    parts += [*map(str, frame.columns), *nuisances.names, *one_sided, json.dumps(content, sort_keys=True)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
