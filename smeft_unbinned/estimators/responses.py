"""train_responses: responses of events to nuisance parameters, learned from what a detector sees of them.

See `response_problem` for what is minimised and `response_estimator` for what comes out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from ..errors import InputError, nearest
from ..events import Events, Nuisances
from . import registry
from .backbones import BACKBONES, Network
from .loop import run
from .response_estimator import ResponseEstimator
from .response_problem import Responses, Standard, deviance, prepare
from .settings import TrainSettings
from .train import reporter

__all__ = ["ResponseEstimator", "train_responses"]

SETTINGS = (
    "replicas", "backbone", "hidden", "epochs", "patience", "batch", "learning_rate", "schedule",
    "validation", "clip", "weight_decay", "seed", "device",
)  # fmt: skip
"""What of `TrainSettings` can be chosen; the others are of ratios in coefficients."""
DEFAULTS: dict[str, Any] = {"replicas": 5, "hidden": (32, 32)}
_LEAST = 20


def train_responses(
    events: Events,
    nuisances: Nuisances,
    *,
    one_sided: Sequence[str] = (),
    features: Sequence[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **settings: Any,
) -> ResponseEstimator:
    """Learn the responses to all nuisances from the features of nominal SM events; all replicas at once.

    events: N simulated events, of which features and weights are used. nuisances: the true responses of the
        same events, N rows, from their weights.
    one_sided: nuisances of which only the upward shift is known: D = log r+, D_kk = 0.
    features: a subset of those of the events; default all.
    checkpoint: a file written after every epoch, from which a killed run continues to the same result.
    settings: any of SETTINGS, as in `TrainSettings`; replicas are bootstrapped. The same seed gives the same
        networks.
    After the training the mean of every ratio over the events is set to the true one, so that yields agree.
    Raises InputError for input and settings that do not fit, and where the loss is not finite.
    """
    chosen, network = _settings(settings)
    single = _check(events, nuisances, one_sided, features)
    prepared = prepare(events, nuisances, single, features, chosen, network, checkpoint)
    problem, labels = prepared.problem, prepared.labels
    wall, cpu = time.perf_counter(), time.process_time()
    with reporter(chosen, progress) as report:
        outcome = run(network, problem, report)
    estimator = ResponseEstimator(
        nuisances.names, single, prepared.inputs, network, outcome.parameters, labels.location, labels.scale,
        labels.lower, labels.upper, np.zeros((chosen.ensemble.replicas, len(labels.scale))),
    )  # fmt: skip
    held = _held_out(estimator, problem, labels, prepared.valid)
    estimator.metadata.update(
        settings={k: v for k, v in chosen.manifest().items() if k in SETTINGS}
        | {"replicas": chosen.ensemble.replicas},
        history=outcome.history,
        best_validation=outcome.best_validation,
        held_out=held,
        events={"count": len(events), "checksum": problem.fingerprint, **events.metadata},
        seconds={"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu},
        versions={package: version(package) for package in network.packages},
        notes=_notes(nuisances.names, held),
    )
    return estimator.calibrated(events, nuisances)


def _held_out(
    estimator: ResponseEstimator, problem: Responses, labels: Standard, valid: np.ndarray
) -> dict[str, list[float | None]]:
    """Return, for `ResponseEstimator.held_out`, the deviance of the mean ratio over that of a constant."""
    inputs, true = problem.valid.inputs.numpy(), np.asarray(labels.values[valid], dtype=float)
    logs = labels.location + labels.scale * estimator.backbone.predict(
        estimator.parameters, inputs, problem.outputs
    )
    mean = np.log(np.exp(np.clip(logs, labels.lower, labels.upper)).mean(axis=0))
    spread, w = torch.as_tensor(labels.scale), problem.valid.weights[:, 0].double().numpy()
    b = torch.as_tensor(true)
    errors = [
        w @ deviance(b, torch.as_tensor(o), spread).numpy()
        for o in ((mean - labels.location) / labels.scale, np.zeros_like(true))
    ]
    fine = labels.varies & (errors[1] > 0)
    ratio = [float(a / c) if ok else None for a, c, ok in zip(*errors, fine, strict=True)]
    k = len(estimator.names)
    down = iter(ratio[k:])
    return {
        "up": ratio[:k],
        "down": [None if name in estimator.one_sided else next(down) for name in estimator.names],
    }


def _notes(names: tuple[str, ...], held: dict[str, list[float | None]]) -> list[str]:
    """Return a note on the nuisances of which no more than a constant was learned."""
    worst = [
        max((v for v in pair if v is not None), default=0.0) for pair in zip(*held.values(), strict=True)
    ]
    bad = [f"{name} ({value:.3g})" for name, value in zip(names, worst, strict=True) if value >= 1.0]
    if not bad:
        return []
    return [
        f"on the held-out events the error of the response to {', '.join(bad)} is no smaller than that of a "
        "constant: too few events, or features that know nothing of it"
    ]


def _settings(changes: dict[str, Any]) -> tuple[TrainSettings, Network]:
    """Return the settings and the network that they choose; refuse what plays no part here."""
    for name in changes:
        if name not in SETTINGS:
            raise InputError(
                f"unknown setting {name!r}; known are {', '.join(SETTINGS)}.{nearest(name, SETTINGS)}"
            )
    backbone = registry.choose("backbone", BACKBONES, changes.get("backbone", "mlp"))
    if not isinstance(backbone, Network):
        raise InputError(f"responses are learned by networks, got backbone {backbone.name!r}; take 'mlp'")
    defaults = {k: v for k, v in DEFAULTS.items() if k != "hidden" or "backbone" not in changes}
    chosen = TrainSettings.of(**{**defaults, **changes})
    if chosen.device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"device {chosen.device!r} is not available here; use device='cpu'")
    assert isinstance(chosen.backbone, Network)
    return chosen, chosen.backbone


def _check(
    events: Events, nuisances: Nuisances, one_sided: Sequence[str], features: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of the one-sided nuisances, in order; refuse what does not fit."""
    if len(nuisances) != len(events):
        raise InputError(
            f"there are responses of {len(nuisances)} events for {len(events)} events; they must be those of "
            "the same events, in the same order"
        )
    if len(events) < _LEAST:
        raise InputError(f"{len(events)} events are too few to train on; take at least {_LEAST}")
    if not nuisances.names or (features is not None and len(features) == 0):
        raise InputError("training needs the responses to at least one nuisance, and at least one feature")
    if isinstance(one_sided, str):
        raise InputError(f"one_sided must be a sequence of names, got the single string {one_sided!r}")
    for name in one_sided:
        if name not in nuisances.names:
            raise InputError(
                f"one_sided: unknown nuisance {name!r}; known are {', '.join(nuisances.names)}."
                f"{nearest(name, nuisances.names)}"
            )
    return tuple(name for name in nuisances.names if name in one_sided)
