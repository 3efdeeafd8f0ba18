"""ZH and WH production as processes of the registry: `vh` with the boson chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import pandas as pd
from numpy.typing import ArrayLike

from ..events import Events
from ..polynomial import Polynomial
from . import vh
from .collision import CollisionOptions, SampleOptions, SelectionOptions
from .quadrature import ORDER

if TYPE_CHECKING:
    from typing_extensions import Unpack

Given = TypeVar("Given", bound=CollisionOptions)


@dataclass(frozen=True)
class VHProcess:
    """The functions of `vh` for one `process`, "ZH" or "WH"; see there for the arguments."""

    HADRONIC: ClassVar[bool] = True

    process: str
    OPERATORS: tuple[str, ...] = vh.OPERATORS
    DEFAULT: tuple[str, ...] = vh.DEFAULT

    def _own(self, options: Given) -> Given:
        if options.get("operators") is None:
            options["operators"] = self.DEFAULT
        return options

    def columns(self) -> tuple[str, ...]:
        """See `vh.columns`."""
        return vh.columns(self.process)

    def truth(
        self, points: pd.DataFrame | Mapping[str, ArrayLike], **options: Unpack[CollisionOptions]
    ) -> Polynomial:
        """See `vh.truth`."""
        return vh.truth(points, process=self.process, **self._own(options))

    def generate(self, n: int, *, seed: int, **options: Unpack[SampleOptions]) -> Events:
        """See `vh.generate`."""
        return vh.generate(n, seed=seed, process=self.process, **self._own(options))

    def cross_section(
        self, *, pt_edges: ArrayLike | None = None, order: int = ORDER, **options: Unpack[SelectionOptions]
    ) -> Polynomial:
        """See `vh.cross_section`."""
        return vh.cross_section(process=self.process, pt_edges=pt_edges, order=order, **self._own(options))


ZH = VHProcess("ZH")
WH = VHProcess("WH", DEFAULT=("cHW", "cHq3", "cHbox", "cHWtil"))
"""By default the coefficients of ZH on which WH depends."""
