"""Checkpoints: everything that a training needs to go on exactly where it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import storage
from ..errors import InputError
from ..inputfile import fitting
from . import registry

if TYPE_CHECKING:
    from .loop import State

KIND = "training checkpoint"
_MOVING = ("current", "best", "first", "second")


def store(path: str | os.PathLike[str], state: State, optimiser: torch.optim.AdamW, fingerprint: str) -> None:
    """Write parameters, best parameters, moments of the optimiser and curves to one file."""
    arrays: dict[str, np.ndarray] = {}
    for k, (p, b) in enumerate(zip(state.parameters, state.best, strict=True)):
        moments = optimiser.state[p]
        named = {
            "current": p.detach(), "best": b, "first": moments["exp_avg"], "second": moments["exp_avg_sq"],
        }  # fmt: skip
        arrays |= {f"{name}.{k}": t.cpu().numpy() for name, t in named.items()}
        arrays[f"step.{k}"] = np.array(float(moments["step"]))
    arrays |= {"best_loss": state.best_loss.numpy(), "stale": state.stale.numpy()}
    manifest = {"epoch": state.epoch, "history": state.history, "fingerprint": fingerprint}
    storage.write(path, KIND, arrays, manifest)


def restore(
    path: str | os.PathLike[str], state: State, optimiser: torch.optim.AdamW, fingerprint: str
) -> None:
    """Set state and optimiser to what `store` wrote; refuse the checkpoint of another training."""
    arrays, manifest = storage.read(path, KIND)
    if manifest["fingerprint"] != fingerprint:
        raise InputError(
            f"the checkpoint {path} belongs to other events or settings; delete it to start afresh, "
            "or repeat the call that made it"
        )
    with fitting(path, KIND):
        _check(path, arrays, manifest, state)
    for k, (p, b) in enumerate(zip(state.parameters, state.best, strict=True)):
        with torch.no_grad():
            p.copy_(torch.as_tensor(arrays[f"current.{k}"]))
            b.copy_(torch.as_tensor(arrays[f"best.{k}"]))
        optimiser.state[p] = {
            "step": torch.as_tensor(arrays[f"step.{k}"]).float(),
            "exp_avg": torch.as_tensor(arrays[f"first.{k}"]).to(p.device),
            "exp_avg_sq": torch.as_tensor(arrays[f"second.{k}"]).to(p.device),
        }
    state.best_loss, state.stale = torch.as_tensor(arrays["best_loss"]), torch.as_tensor(arrays["stale"])
    state.epoch, state.history = manifest["epoch"], manifest["history"]


def _check(path: object, arrays: dict[str, np.ndarray], manifest: dict[str, Any], state: State) -> None:
    """Raise an error unless arrays and curves are those of as many finite numbers as the training needs."""
    storage.check_numbers(path, {name: a for name, a in arrays.items() if name != "best_loss"})
    shapes = {f"{name}.{k}": tuple(p.shape) for k, p in enumerate(state.parameters) for name in _MOVING}
    shapes |= {f"step.{k}": () for k in range(len(state.parameters))}
    shapes |= {"best_loss": tuple(state.best_loss.shape), "stale": tuple(state.stale.shape)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape or np.any(np.isnan(arrays[name])):
            raise ValueError(f"{name} has shape {arrays[name].shape}, or no numbers; expected {shape}")
    registry.check_count("epoch", manifest["epoch"], 0)
    for entry in manifest["history"]:
        for losses in (entry["training"], entry["validation"]):
            if np.array(losses, dtype=float).shape != state.best_loss.shape:
                raise ValueError(f"losses of {len(losses)} members")
