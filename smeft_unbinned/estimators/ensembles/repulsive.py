"""Repulsive ensemble: the members push each other apart in function space (arXiv:2106.11642).

Repulsion turns an ensemble into samples of a posterior over functions: with a Gaussian kernel k of the
outputs on a batch, its width the median distance, each member's loss gets the term log sum_j k(f, f_j), the
others held fixed. The squared error of N events is minus the log likelihood up to the factor N/(2 sigma^2),
with sigma^2 the loss itself, so the term is added with the weight 2 L/N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from .base import Ensemble


@dataclass(frozen=True)
class Repulsive(Ensemble):
    """replicas: number of members. strength: of the repulsion, 1 for the posterior."""

    strength: float = 1.0

    name = "repulsive"
    coupled = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replicas < 2 or not self.strength > 0:
            raise InputError(
                "a repulsive ensemble needs at least 2 replicas and a positive strength, got "
                f"{self.replicas} and {self.strength}"
            )

    def weights(self, groups: np.ndarray, members: Sequence[int], seed: int) -> np.ndarray:
        del seed
        return np.ones((len(groups), len(members)))

    def repulsion(self, outputs: Tensor, losses: Tensor, events: int) -> Tensor:
        return self.strength * 2.0 * losses.detach().abs() / events * log_density(outputs)


def log_density(outputs: Tensor) -> Tensor:
    """Return log sum_j k(f_m, f_j), (M,), of outputs (M, B, K); its gradient moves member m alone."""
    f = outputs.flatten(1)
    with torch.no_grad():
        away = torch.cdist(f, f)
        pairs = away[~torch.eye(len(f), dtype=torch.bool, device=f.device)]
        width = pairs.median().square().clamp(min=1e-12) / np.log(len(f) + 1.0)
    square = (f[:, None, :] - f.detach()[None, :, :]).square().sum(dim=-1)
    return torch.logsumexp(-square / width, dim=1)
