"""Checkpoints: everything that a training needs to go on exactly where it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import storage
from ..errors import InputError

if TYPE_CHECKING:
    from .loop import State

KIND = "training checkpoint"


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
