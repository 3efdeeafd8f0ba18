"""What a likelihood has to know of its datasets to put them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from .datasets.overlap import Overlaps
from .maps import Evolution


class CombinationOptions(TypedDict, total=False):
    """How the datasets of a likelihood belong together.

    evolution: {dataset: {operator: {coefficient: factor}}} for datasets that depend on linear combinations of
        the coefficients of the fit: those at the scale of the dataset, say. Operators of such a dataset that
        are not listed are zero. Default none.
    allow_overlap: groups of names of datasets that may be made of the same events, [("a", "b")]: different
        selections of one simulated sample, say. Others that are would count them twice, and are refused.
    """

    evolution: Evolution | None
    allow_overlap: Overlaps


@dataclass(frozen=True)
class Combination:
    """`CombinationOptions` with a value for each."""

    evolution: Evolution | None = None
    allow_overlap: Overlaps = ()
