"""Loss: what a training minimises, in the mean over events, for every member of the ensemble at once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...errors import InputError
from ..data import Data, Points, Source, evaluate_terms
from ..heads import Head
from ..registry import check_count

FLOOR = 1e-3
"""Ratios below have no logarithm worth learning; see `log_ratio`."""


@dataclass(frozen=True)
class Ratio:
    """The ratio that a head makes of outputs (M, ..., K), for n coefficients."""

    head: Head
    outputs: Tensor
    n: int

    def terms(self) -> tuple[Tensor, Tensor]:
        """Return the scaled coefficients, (M, ..., n) and (M, ..., n, n)."""
        return self.head.terms(self.outputs, self.n)

    def at(self, points: Points) -> Tensor:
        """Return r (M, ..., D) at points (..., D, n)."""
        if points.masks is not None:
            return evaluate_terms(*self.terms(), points.u, points.masks)
        return self.head.ratio(self.outputs, points.u)

    def with_slope(self, points: Points) -> tuple[Tensor, Tensor]:
        """Return r (M, ..., D) and its derivative by u (M, ..., D, n)."""
        return self.head.ratio_and_slope(self.outputs, points.u)


Evaluate = Callable[[Ratio, Data, torch.Generator], Tensor]
"""The loss of each member and event, (M, B), of a ratio on a batch; random choices from the generator."""


class Loss(ABC):
    """A method; subclasses are frozen dataclasses whose fields are their options."""

    name: ClassVar[str]
    needs_truth: ClassVar[bool] = True
    """Whether events must carry truth polynomials; otherwise separate samples will do too."""
    regression: ClassVar[bool] = False
    """Whether the loss is a weighted squared error of the coefficients, which trees can minimise too."""
    heads: ClassVar[tuple[str, ...]] = ("squares", "quadratic", "morphing")
    """Names of the heads it can train, the default first."""
    reason: ClassVar[str] = "it needs the ratio at finite c, where a linear one turns negative"
    """Why it cannot train the others."""
    compares: ClassVar[bool] = False
    """Whether it compares ratios at drawn points, for which a prior can be given."""
    separate: ClassVar[bool] = False
    """Whether every coefficient has a network of its own unless told otherwise."""

    @abstractmethod
    def bind(self, data: Data, source: Source) -> Evaluate:
        """Return the loss function for a training on these data, normalisations measured on them."""


@dataclass(frozen=True)
class Drawn(Loss):
    """draws: points, or terms, per event and step, for events with truth."""

    draws: int = 8

    def __post_init__(self) -> None:
        check_count("draws", self.draws)


@dataclass(frozen=True)
class Pointwise(Drawn):
    """A loss that compares r with the rates of events at points, one by one."""

    compares = True

    def bind(self, data: Data, source: Source) -> Evaluate:
        del data

        def function(ratio: Ratio, batch: Data, generator: torch.Generator) -> Tensor:
            points = source.points(batch, self.draws, generator)
            return self.values(ratio, points, generator).mean(dim=-1)

        return function

    @abstractmethod
    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        """Return the loss at each point, (M, ..., D)."""


@dataclass(frozen=True)
class WithScore(Pointwise):
    """A loss of the ratio plus the squared error of the joint score. alpha: weight of the latter."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha < math.inf:
            raise InputError(f"alpha must be a number of zero or above, got {self.alpha}")

    def values(self, ratio: Ratio, points: Points, generator: torch.Generator) -> Tensor:
        points = self.labelled(points, generator)
        r, slope = ratio.with_slope(points)
        return points.size * (self.ratio_term(r, points) + self.alpha * score_error(r, slope, points))

    def labelled(self, points: Points, generator: torch.Generator) -> Points:
        """Return the points as the loss sees them; with the joint ratio as label unless overridden."""
        del generator
        return points

    @abstractmethod
    def ratio_term(self, r: Tensor, points: Points) -> Tensor:
        """Return the loss of the ratio at each point, (M, ..., D), without the size."""


def log_ratio(r: Tensor) -> Tensor:
    """Return log r above FLOOR and its tangent below: ratios that turn negative cost, and keep a slope."""
    safe = torch.clamp(r, min=FLOOR)
    return torch.log(safe) + torch.clamp(r - FLOOR, max=0.0) / FLOOR


def cross_entropy(r: Tensor, points: Points) -> Tensor:
    """Return sm log(1 + r) + rate log(1 + 1/r), smallest in the mean at r = E[rate]/E[sm]; (M, ..., D).

    Below FLOOR the logarithm stops and a penalty begins, whatever the sign of the rate: single terms of the
    rate can be negative, and must not reward a negative ratio without bound.
    """
    log = torch.log(torch.clamp(r, min=FLOOR))
    below = torch.clamp(FLOOR - r, min=0.0) / FLOOR
    softplus = torch.nn.functional.softplus
    return points.sm * softplus(log) + points.rate * softplus(-log) + points.rate.abs() * below


def hard_labels(points: Points, generator: torch.Generator) -> Points:
    """Return the points with each event taken as drawn from the SM or from the point, by a fair coin."""
    heads = torch.rand(points.rate.shape[-2:], generator=generator) < 0.5
    coin = heads.to(points.rate.device, points.rate.dtype)
    sm, rate = 2.0 * (1.0 - coin) * points.sm, 2.0 * coin * points.rate
    return Points(points.u, points.size, sm, rate, points.score, points.masks)


def score_error(r: Tensor, slope: Tensor, points: Points) -> Tensor:
    """Return R |grad log R - grad log r|^2 of gradients by u, mean over components; (M, ..., D).

    The mean over events drawn at the point, hence the factor R, is smallest at grad r = E[grad R]
    (arXiv:1805.00020, eq. 27).
    """
    assert points.score is not None
    found = slope / torch.clamp(r, min=FLOOR)[..., None]
    return torch.clamp(points.rate, min=0.0) * (points.score - found).square().mean(dim=-1)
