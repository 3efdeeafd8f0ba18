"""The training loop: all members of the stack step together; each keeps its own best epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import storage
from ..errors import InputError
from . import derivative, network
from .head import Labels
from .settings import TrainSettings

Report = Callable[[int, np.ndarray, np.ndarray], None]
_WARM_UP = 0.1


@dataclass(frozen=True)
class Sample:
    """Inputs (N, D), labels, and the weights (N, M) that each member gives to each event, mean one."""

    inputs: Tensor
    labels: Labels
    weights: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Tensor | slice) -> Sample:
        """Return some of the events."""
        labels = Labels(self.labels.linear[index], self.labels.quadratic[index])
        return Sample(self.inputs[index], labels, self.weights[index])


@dataclass
class State:
    """Where a training stands: current and best parameters, moments of the optimiser, curves."""

    parameters: list[Tensor]
    best: list[Tensor]
    best_loss: Tensor
    epoch: int = 0
    stale: int = 0
    history: list[dict[str, list[float]]] = field(default_factory=list)


def run(
    train: Sample,
    valid: Sample,
    settings: TrainSettings,
    report: Report,
    checkpoint: str | os.PathLike[str] | None = None,
    fingerprint: str = "",
) -> State:
    """Train until the validation loss of no member improves any more; return the state with the best weights.

    checkpoint: a file written after every epoch; an interrupted run continues from it exactly.
    """
    device = torch.device(settings.device)
    rms = derivative.spreads(train.labels, train.weights.mean(dim=1))
    n, width = train.labels.linear.shape[1], train.inputs.shape[1]
    generator = torch.Generator().manual_seed(settings.seed)
    start = network.initialise(settings.replicas, [width, *settings.hidden, settings.rank * n], generator)
    parameters = [p.to(device).requires_grad_() for p in start]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    best_loss = torch.full((settings.replicas,), math.inf)
    state = State(parameters, [p.detach().clone() for p in parameters], best_loss)
    if checkpoint is not None and Path(checkpoint).exists():
        _restore(checkpoint, state, optimiser, fingerprint)
    steps = math.ceil(len(train) / settings.batch)
    while state.epoch < settings.epochs and state.stale < settings.patience:
        training = _epoch(train, state, optimiser, settings, rms, steps)
        validation = evaluate(state.parameters, valid, rms, settings.batch)
        _keep_best(state, validation)
        state.epoch += 1
        state.history.append({"training": training.tolist(), "validation": validation.tolist()})
        report(state.epoch, training.numpy(), validation.numpy())
        if checkpoint is not None:
            _store(checkpoint, state, optimiser, fingerprint)
    if not bool(torch.isfinite(state.best_loss).all()):
        if checkpoint is not None:
            Path(checkpoint).unlink(missing_ok=True)  # other settings would be refused with it
        raise InputError("the training diverged: no epoch has a finite loss; lower learning_rate or clip")
    return state


def _epoch(
    train: Sample,
    state: State,
    optimiser: torch.optim.AdamW,
    settings: TrainSettings,
    norms: tuple[Tensor, Tensor],
    steps: int,
) -> Tensor:
    order = torch.Generator().manual_seed(settings.seed * 1_000_003 + state.epoch + 1)
    shuffled = train.take(torch.randperm(len(train), generator=order))
    total = torch.zeros(settings.replicas)
    for k in range(steps):
        batch = shuffled.take(slice(k * settings.batch, (k + 1) * settings.batch))
        progress = (state.epoch * steps + k) / (settings.epochs * steps)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(progress)
        outputs = network.forward(state.parameters, batch.inputs)
        values = (derivative.loss(outputs, batch.labels, norms) * batch.weights.T).mean(dim=1)
        optimiser.zero_grad()
        values.sum().backward()
        _clip(state.parameters, settings.clip)
        optimiser.step()
        total += values.detach().cpu() / steps
    return total


def _schedule(progress: float) -> float:
    """Return the learning rate over its peak: linear warm-up, then a cosine down to one percent."""
    if progress < _WARM_UP:
        return 0.05 + 0.95 * progress / _WARM_UP
    return 0.01 + 0.495 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


def _clip(parameters: list[Tensor], largest: float) -> None:
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(torch.stack([g.square().sum(dim=(1, 2)) for g in gradients]).sum(dim=0))
    factor = torch.clamp(largest / (norm + 1e-12), max=1.0)[:, None, None]
    for g in gradients:
        g.mul_(factor)


def evaluate(parameters: list[Tensor], sample: Sample, norms: tuple[Tensor, Tensor], batch: int) -> Tensor:
    """Return the weighted mean loss of each member on a sample, (M,)."""
    total = torch.zeros(sample.weights.shape[1], dtype=torch.float64)
    for k in range(0, len(sample), batch):
        part = sample.take(slice(k, k + batch))
        with torch.no_grad():
            values = derivative.loss(network.forward(parameters, part.inputs), part.labels, norms)
        total += (values * part.weights.T).sum(dim=1).double().cpu()
    return total / sample.weights.sum(dim=0).double().cpu()


def _keep_best(state: State, validation: Tensor) -> None:
    better = validation < state.best_loss
    state.best_loss = torch.where(better, validation, state.best_loss)
    state.stale = 0 if bool(better.any()) else state.stale + 1
    for best, current in zip(state.best, state.parameters, strict=True):
        best[better.to(best.device)] = current.detach()[better.to(best.device)]


def _store(
    path: str | os.PathLike[str], state: State, optimiser: torch.optim.AdamW, fingerprint: str
) -> None:
    arrays: dict[str, np.ndarray] = {}
    for k, (p, b) in enumerate(zip(state.parameters, state.best, strict=True)):
        moments = optimiser.state[p]
        named = {
            "current": p.detach(),
            "best": b,
            "first": moments["exp_avg"],
            "second": moments["exp_avg_sq"],
        }
        arrays |= {f"{name}.{k}": t.cpu().numpy() for name, t in named.items()}
        arrays[f"step.{k}"] = np.array(float(moments["step"]))
    arrays["best_loss"] = state.best_loss.cpu().numpy()
    manifest = {
        "epoch": state.epoch,
        "stale": state.stale,
        "history": state.history,
        "fingerprint": fingerprint,
    }
    storage.write(path, "training checkpoint", arrays, manifest)


def _restore(
    path: str | os.PathLike[str], state: State, optimiser: torch.optim.AdamW, fingerprint: str
) -> None:
    arrays, manifest = storage.read(path, "training checkpoint")
    if manifest["fingerprint"] != fingerprint:
        raise InputError(
            f"the checkpoint {path} belongs to other events or settings; delete it to start afresh, "
            "or repeat the call that made it"
        )
    for k, (p, b) in enumerate(zip(state.parameters, state.best, strict=True)):
        loaded: dict[str, Any] = {n: torch.as_tensor(arrays[f"{n}.{k}"]) for n in ("first", "second", "step")}
        with torch.no_grad():
            p.copy_(torch.as_tensor(arrays[f"current.{k}"]))
            b.copy_(torch.as_tensor(arrays[f"best.{k}"]))
        optimiser.state[p] = {
            "step": loaded["step"].float(),
            "exp_avg": loaded["first"].to(p.device),
            "exp_avg_sq": loaded["second"].to(p.device),
        }
    state.best_loss = torch.as_tensor(arrays["best_loss"])
    state.epoch, state.stale, state.history = manifest["epoch"], manifest["stale"], manifest["history"]
