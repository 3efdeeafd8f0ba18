"""Options that methods of fitting share: keywords of their functions, and the values that they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

STARTS = 20
"""Random starts: two in five fits of 52 coefficients with quadratic terms miss the lowest minimum without."""


class MinimumOptions(TypedDict, total=False):
    """How the lowest minimum of -2 log L is looked for.

    start: coefficients in TeV^-2, and nuisances, where the search begins; default the SM. Further starts lie
        where -2 log L falls again along lines through the minima that are found.
    starts: how many random ones there are besides, around the best minimum so far; default 20. With dozens
        of coefficients and quadratic terms a lower minimum may lie on no line: take more of them to see
        whether the lowest stays the same. Large unbinned datasets are searched with a few thousand events
        first (`rough`).
    seed: of the random starts; default 0.
    strategy: of Minuit, which confirms the minimum; default 0.
    bounded: keep the fit inside `likelihood.bounds`. By default ranges have no effect, and a message names
        those that exclude the minimum.
    """

    start: Mapping[str, float] | None
    starts: int
    seed: int
    strategy: int
    bounded: bool


@dataclass(frozen=True)
class MinimumSearch:
    """`MinimumOptions` with a value for each."""

    start: Mapping[str, float] | None = None
    starts: int = STARTS
    seed: int = 0
    strategy: int = 0
    bounded: bool = False


class SamplingOptions(TypedDict, total=False):
    """What all methods that draw samples need.

    bounds: prior ranges (lower, upper) by name, in TeV^-2 for coefficients; default those of the likelihood.
        A coefficient without one has, with `sample` and `laplace`, eight Hesse errors to each side of the
        best fit (recorded in the result), with `nuts` no limit. A nuisance with a constraint is cut to its
        range.
    seed: of all random numbers; default 0.
    progress: show a bar; default False.
    """

    bounds: Mapping[str, tuple[float, float]] | None
    seed: int
    progress: bool


@dataclass(frozen=True)
class Sampling:
    """`SamplingOptions` with a value for each."""

    bounds: Mapping[str, tuple[float, float]] | None = None
    seed: int = 0
    progress: bool = False


class NestedOptions(SamplingOptions, total=False):
    """`SamplingOptions`, and how nested sampling finds its points.

    rotate: minimise first, and draw mostly near the minima along principal axes (`nested_focus`), the
        default: the same posterior and evidence with fewer evaluations. False searches the prior box evenly.
    step_sampler: walk by slice sampling instead of drawing from regions; default above 15 parameters.
    steps: of each walk, default twice the number of parameters.
    """

    rotate: bool
    step_sampler: bool | None
    steps: int | None


@dataclass(frozen=True)
class Nested(Sampling):
    """`NestedOptions` with a value for each."""

    rotate: bool = True
    step_sampler: bool | None = None
    steps: int | None = None
