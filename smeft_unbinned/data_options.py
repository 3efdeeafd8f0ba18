"""Options of what becomes the data of an exported measurement, shared by events and histograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from .errors import InputError

FB_PER_PB = 1000.0
PSEUDO_DATA = ("asimov", "toy")


class DataOptions(TypedDict, total=False):
    """What the data are, and in which rate and coefficients they are counted.

    efficiency: all that multiplies the rate, branching fractions included; default 1.
    pseudo_data: what is made of simulated events, "asimov" data, the default (expected, fractional numbers),
        or a "toy" (numbers drawn from Poisson distributions).
    at: the coefficients of pseudo-data, in TeV^-2; default the SM.
    seed: of a toy; default 0.
    basis: of the coefficients, one of `operators.DATASET_BASES`; default that of the simulated events, or
        "warsaw".
    """

    efficiency: float
    pseudo_data: str
    at: Mapping[str, float] | None
    seed: int
    basis: str | None


@dataclass(frozen=True)
class DataChoice:
    """`DataOptions` with a value for each; raises InputError for one that is of no use."""

    efficiency: float = 1.0
    pseudo_data: str = PSEUDO_DATA[0]
    at: Mapping[str, float] | None = None
    seed: int = 0
    basis: str | None = None

    def __post_init__(self) -> None:
        if self.pseudo_data not in PSEUDO_DATA:
            raise InputError(f"pseudo_data is one of {', '.join(PSEUDO_DATA)}, got {self.pseudo_data!r}")
        if not 0 < self.efficiency < np.inf:
            raise InputError(f"the efficiency must be positive, got {self.efficiency}")

    def scale(self, luminosity: float) -> float:
        """Return the expected events per pb at a luminosity in fb^-1; InputError unless it is positive."""
        if not 0 < luminosity < np.inf:
            raise InputError(f"the luminosity must be positive, got {luminosity} fb^-1")
        return luminosity * FB_PER_PB * self.efficiency
