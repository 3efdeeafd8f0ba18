"""ZH and WH production as processes of the registry: `vh` with the boson chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from ..events import Events
from ..polynomial import Polynomial
from . import vh
from .densities import Density

WH_DEFAULT = ("cHW", "cHq3", "cHbox", "cHWtil")
"""Of the default coefficients of ZH those on which WH depends."""


@dataclass(frozen=True)
class VHProcess:
    """The functions of `vh` for one `process`, "ZH" or "WH"; see there for the arguments."""

    process: str
    OPERATORS: tuple[str, ...] = vh.OPERATORS
    DEFAULT: tuple[str, ...] = vh.DEFAULT

    def _names(self, operators: Iterable[str] | None) -> Iterable[str]:
        return self.DEFAULT if operators is None else operators

    def columns(self) -> tuple[str, ...]:
        """See `vh.columns`."""
        return vh.columns(self.process)

    def truth(
        self, points: pd.DataFrame | Mapping[str, ArrayLike], *, operators: Iterable[str] | None = None,
        energy: float = 14_000.0, density: Density | None = None, scale: str | float = vh.DEFAULT_SCALE,
    ) -> Polynomial:  # fmt: skip
        """See `vh.truth`."""
        return vh.truth(
            points,
            process=self.process,
            operators=self._names(operators),
            energy=energy,
            density=density,
            scale=scale,
        )

    def generate(
        self, n: int, *, seed: int, operators: Iterable[str] | None = None, progress: bool = False,
        energy: float = 14_000.0, unweighted: bool = True, density: Density | None = None,
        scale: str | float = vh.DEFAULT_SCALE, pt_min: float = 0.0,
        mass_range: tuple[float, float] = (0.0, float("inf")), tail: float | None = None,
    ) -> Events:  # fmt: skip
        """See `vh.generate`."""
        return vh.generate(
            n, process=self.process, seed=seed, operators=self._names(operators), progress=progress,
            energy=energy, unweighted=unweighted, density=density, scale=scale, pt_min=pt_min,
            mass_range=mass_range, tail=tail,
        )  # fmt: skip

    def cross_section(
        self, *, operators: Iterable[str] | None = None, energy: float = 14_000.0,
        density: Density | None = None, scale: str | float = vh.DEFAULT_SCALE,
        mass_range: tuple[float, float] = (0.0, float("inf")), order: int = 20, **options: Any,
    ) -> Polynomial:  # fmt: skip
        """See `vh.cross_section`; `options` may hold `pt_edges`."""
        return vh.cross_section(
            process=self.process, operators=self._names(operators), energy=energy, density=density,
            scale=scale, mass_range=mass_range, order=order, **options,
        )  # fmt: skip
