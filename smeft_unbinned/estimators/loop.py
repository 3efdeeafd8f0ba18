"""The training loop: all members of the stack step together; each stops, and keeps its best, by itself."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from . import checkpoint
from .backbones import Network
from .data import Data, Source
from .losses import Ratio
from .losses.base import Evaluate
from .settings import TrainSettings

Report = Callable[[int, np.ndarray, np.ndarray], None]
"""Called after every epoch with its number and the losses of each member, training and held out."""
_WARM_UP = {"cosine": 0.1, "one-cycle": 0.3}
_LAST = {"cosine": 0.01, "one-cycle": 1e-3}
_EVALUATION = 4096


@dataclass(frozen=True)
class Problem:
    """What is to be learned.

    train, valid: events; the weights have a column per member. source: where hypotheses come from.
    n: coefficients. members: numbers of these members in the whole ensemble.
    checkpoint: a file written after every epoch, from which an interrupted run continues exactly.
    common: (N,) weights of the training events before the ensemble's, from which losses take their
        normalisations, so that a member does not depend on which others are trained.
    share: events per epoch of every member, where each has its own; None where all have all.
    """

    train: Data
    valid: Data
    source: Source
    settings: TrainSettings
    n: int
    members: Sequence[int]
    fingerprint: str = ""
    checkpoint: str | os.PathLike[str] | None = None
    common: Tensor | None = None
    share: int | None = None

    @property
    def outputs(self) -> int:
        """Number of outputs of the network."""
        assert self.settings.head is not None
        return self.settings.head.outputs(self.n)

    def ratio(self, outputs: Tensor) -> Ratio:
        """Return the ratio that the head makes of outputs."""
        assert self.settings.head is not None
        return Ratio(self.settings.head, outputs, self.n)

    def loss(self, train: Data) -> Evaluate:
        """Return the loss function, its normalisations measured on the training events."""
        if self.common is not None:
            train = replace(train, weights=self.common.to(train.weights.device)[:, None])
        return self.settings.loss.bind(train, self.source)


@dataclass
class State:
    """Where a training stands: current and best parameters, and curves.

    best_loss, stale: (M,) best validation loss of each member, and epochs since.
    """

    parameters: list[Tensor]
    best: list[Tensor]
    best_loss: Tensor
    stale: Tensor
    epoch: int = 0
    history: list[dict[str, list[float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What a training gives: parameters with the members on the first axis, (M,) losses, and curves."""

    parameters: tuple[np.ndarray, ...]
    best_validation: list[float]
    history: list[dict[str, list[float]]]


def run(network: Network, problem: Problem, report: Report) -> Outcome:
    """Train until no member has improved for `patience` epochs; return the best weights of each.

    Raises InputError, naming the batch, where a loss is not finite; the checkpoint of the epoch before stays.
    """
    settings, device = problem.settings, torch.device(problem.settings.device)
    train, valid = problem.train.to(device), problem.valid.to(device)
    function = problem.loss(train)
    generators = [torch.Generator().manual_seed(_mixed(settings.seed, m, 0)) for m in problem.members]
    start = network.initialise(tuple(train.inputs.shape[1:]), problem.outputs, generators)
    parameters = [p.to(device).requires_grad_() for p in start]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    members = len(problem.members)
    state = State(
        parameters, [p.detach().clone() for p in parameters], torch.full((members,), math.inf),
        torch.zeros(members, dtype=torch.int64),
    )  # fmt: skip
    if problem.checkpoint is not None and Path(problem.checkpoint).exists():
        checkpoint.restore(problem.checkpoint, state, optimiser, problem.fingerprint)
    while state.epoch < settings.epochs and bool((state.stale < settings.patience).any()):
        training = _epoch(network, problem, train, function, state, optimiser)
        validation = _validate(network, problem, valid, function, state.parameters)
        _check_finite(validation, state.epoch, "on the held-out events", problem)
        _keep_best(state, validation, settings.patience)
        state.epoch += 1
        state.history.append({"training": training.tolist(), "validation": validation.tolist()})
        report(state.epoch, training.numpy(), validation.numpy())
        if problem.checkpoint is not None:
            checkpoint.store(problem.checkpoint, state, optimiser, problem.fingerprint)
    best = tuple(p.cpu().numpy() for p in state.best)
    return Outcome(best, state.best_loss.tolist(), state.history)


def _mixed(*numbers: int) -> int:
    """Return a seed made of several numbers."""
    return int(np.random.SeedSequence(list(numbers)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _epoch(
    network: Network,
    problem: Problem,
    train: Data,
    function: Evaluate,
    state: State,
    optimiser: torch.optim.AdamW,
) -> Tensor:
    settings = problem.settings
    generator = torch.Generator().manual_seed(_mixed(settings.seed, state.epoch, 1))
    batches, steps = _batches(train, problem, state.epoch)
    total = torch.zeros(len(problem.members), device=train.inputs.device)
    for k, batch in enumerate(batches):
        rate = _schedule((state.epoch * steps + k) / (settings.epochs * steps), settings.schedule)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate
        outputs = network.forward(state.parameters, batch.inputs, problem.outputs)
        losses = function(problem.ratio(outputs), batch, generator)
        values = (losses * _weights(batch, problem)).mean(dim=1)
        _check_finite(values, state.epoch, f"in batch {k + 1} of {steps}", problem)
        more = settings.ensemble.repulsion(outputs, values, len(train))
        optimiser.zero_grad()
        (values if more is None else values + more).sum().backward()
        _clip(state.parameters, settings.clip)
        optimiser.step()
        total += values.detach() / steps
    return total.cpu()


def _own(problem: Problem) -> bool:
    return problem.settings.ensemble.own_events or problem.settings.minibatches == "own"


def _weights(batch: Data, problem: Problem) -> Tensor:
    """Return the weights of a batch as (M, B)."""
    return batch.weights if _own(problem) else batch.weights.T


def _batches(train: Data, problem: Problem, epoch: int) -> tuple[Iterator[Data], int]:
    """Return the shuffled minibatches of an epoch and their number; the order hangs on seed and epoch."""
    seed, size = problem.settings.seed, problem.settings.batch
    if not _own(problem):
        order = torch.Generator().manual_seed(_mixed(seed, epoch, 2))
        shuffled = train.take(torch.randperm(len(train), generator=order).to(train.inputs.device))
        steps = math.ceil(len(train) / size)
        return (shuffled.take(slice(k * size, (k + 1) * size)) for k in range(steps)), steps
    orders = []
    for column, m in enumerate(problem.members):
        mine = torch.arange(len(train))
        if problem.settings.ensemble.own_events:
            mine = torch.nonzero(train.weights[:, column].cpu())[:, 0]
        order = torch.Generator().manual_seed(_mixed(seed, epoch, m, 3))
        orders.append(mine[torch.randperm(len(mine), generator=order)])
    count = min(map(len, orders)) if problem.share is None else problem.share
    index = torch.stack([o[:count] for o in orders]).to(train.inputs.device)
    steps = math.ceil(count / size)
    return (train.own(index[:, k * size : (k + 1) * size]) for k in range(steps)), steps


def _schedule(progress: float, kind: str) -> float:
    """Return the learning rate over its peak: a linear rise, then a cosine down."""
    warm_up, last = _WARM_UP[kind], _LAST[kind]
    if progress < warm_up:
        return 0.05 + 0.95 * progress / warm_up
    return last + 0.5 * (1 - last) * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def _check_finite(values: Tensor, epoch: int, where: str, problem: Problem) -> None:
    bad = torch.nonzero(~torch.isfinite(values.detach()))[:, 0].tolist()
    if not bad:
        return
    kept = "there is no checkpoint"
    if problem.checkpoint is not None and Path(problem.checkpoint).exists():
        kept = f"{problem.checkpoint} holds epoch {epoch}, the last good one, from which the call goes on"
    raise InputError(
        f"the training diverged: the loss of member {', '.join(str(problem.members[m]) for m in bad)} is not "
        f"finite {where}, epoch {epoch + 1}; {kept}. Lower learning_rate or clip"
    )


def _clip(parameters: list[Tensor], largest: float) -> None:
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(torch.stack([g.square().flatten(1).sum(dim=1) for g in gradients]).sum(dim=0))
    factor = torch.clamp(largest / (norm + 1e-12), max=1.0)
    for g in gradients:
        g.mul_(factor.view(-1, *[1] * (g.dim() - 1)))


def _validate(
    network: Network, problem: Problem, valid: Data, function: Evaluate, parameters: list[Tensor]
) -> Tensor:
    """Return the weighted mean loss (M,) on the held-out events, at the same points each time."""
    generator = torch.Generator().manual_seed(_mixed(problem.settings.seed, 4))
    total = torch.zeros(len(problem.members), dtype=torch.float64)
    for k in range(0, len(valid), _EVALUATION):
        part = valid.take(slice(k, k + _EVALUATION))
        with torch.no_grad():
            outputs = network.forward(parameters, part.inputs, problem.outputs)
            values = function(problem.ratio(outputs), part, generator)
        total += (values * part.weights.T).sum(dim=1).double().cpu()
    return total / valid.weights.sum(dim=0).double().cpu()


def _keep_best(state: State, validation: Tensor, patience: int) -> None:
    """Remember the parameters of the members that improved; one that has run out of patience is done."""
    better = (validation < state.best_loss) & (state.stale < patience)
    state.best_loss = torch.where(better, validation.to(state.best_loss), state.best_loss)
    state.stale = torch.where(better, 0, state.stale + 1)
    for best, current in zip(state.best, state.parameters, strict=True):
        chosen = better.to(best.device)
        best[chosen] = current.detach()[chosen]
