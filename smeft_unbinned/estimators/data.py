"""What a training sees: tensors of events, batches of them, and the hypotheses they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..polynomial import Polynomial, unpack


@dataclass(frozen=True)
class Labels:
    """Scaled truth of events: linear (..., n) and quadratic matrices (..., n, n), divided by the growth."""

    linear: Tensor
    quadratic: Tensor

    @classmethod
    def scaled(cls, truth: Polynomial, growth: np.ndarray) -> Labels:
        """Divide the truth polynomials, batch (N,) and 1 at the SM, by the growth (N, n)."""
        linear = truth.linear / growth
        quadratic = unpack(truth.coefficients)[:, 1:, 1:] / (growth[:, :, None] * growth[:, None, :])
        return cls(
            torch.as_tensor(linear, dtype=torch.float32), torch.as_tensor(quadratic, dtype=torch.float32)
        )

    def __getitem__(self, index: Tensor | slice) -> Labels:
        return Labels(self.linear[index], self.quadratic[index])

    def to(self, device: torch.device) -> Labels:
        """Return the labels on a device."""
        return Labels(self.linear.to(device), self.quadratic.to(device))


@dataclass(frozen=True)
class Data:
    """N events as tensors.

    inputs: (N, ...). growth: (N, n). weights: (N, M), what each member gives to each event, of mean one.
    labels: truth, or None. kind: (N,) which separate sample an event is from, or None.
    """

    inputs: Tensor
    growth: Tensor
    weights: Tensor
    labels: Labels | None = None
    kind: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Tensor | slice) -> Data:
        """Return some of the events, by an index (B,) or slice."""
        return Data(
            self.inputs[index],
            self.growth[index],
            self.weights[index],
            None if self.labels is None else self.labels[index],
            None if self.kind is None else self.kind[index],
        )

    def own(self, index: Tensor) -> Data:
        """Return each member's own events, by an index (M, B); every tensor then starts with (M, B)."""
        members = torch.arange(index.shape[0], device=index.device)[:, None]
        part = self.take(index)
        return Data(part.inputs, part.growth, self.weights[index, members], part.labels, part.kind)

    def to(self, device: torch.device) -> Data:
        """Return the events on a device."""
        return Data(
            self.inputs.to(device),
            self.growth.to(device),
            self.weights.to(device),
            None if self.labels is None else self.labels.to(device),
            None if self.kind is None else self.kind.to(device),
        )


@dataclass(frozen=True)
class Masks:
    """Which terms of r count at each of D points: linear (D,) and quadratic (D, n, n), ones and zeros."""

    linear: Tensor
    quadratic: Tensor


@dataclass(frozen=True)
class Points:
    """Hypotheses that B events are compared with.

    u: (..., D, n), coefficients times the growth.
    size: (..., D), a positive function of x and c by which the loss is multiplied; it moves no minimum.
    sm: (..., D) or (..., 1), rate of the event under the SM; 1, or whether it is from the SM sample.
    rate: (..., D), its rate at the points over that; r(z|c), or whether it is from that point's sample.
    score: (..., D, n), derivative of the log of the rate by u, where truth is known.
    masks: for points at which only some terms of r count.
    """

    u: Tensor
    size: Tensor
    sm: Tensor
    rate: Tensor
    score: Tensor | None = None
    masks: Masks | None = None


class Source(Protocol):
    """Where hypotheses come from."""

    def points(self, batch: Data, draws: int, generator: torch.Generator) -> Points:
        """Return the points of a batch; draws: how many, where that is free."""


def evaluate_terms(linear: Tensor, quadratic: Tensor, u: Tensor, masks: Masks | None) -> Tensor:
    """Return 1 + l . u + u^T Q u, (..., D), of the terms that count; l (..., n), Q (..., n, n)."""
    if masks is None:
        return 1.0 + ((linear[..., None, :] + torch.matmul(u, quadratic)) * u).sum(dim=-1)
    first = (linear[..., None, :] * u).sum(dim=-1) * masks.linear
    second = torch.einsum("...di,...ij,dij,...dj->...d", u, quadratic, masks.quadratic, u)
    return 1.0 + first + second
