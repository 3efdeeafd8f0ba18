"""A section of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

Draw = Callable[[Path], Path]
"""Draws one file, of the format that its suffix names, and returns its path."""


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the page.

    key: its identifier, and the chart it holds. lead: what is to be seen, in words.
    tables: by the name of their CSV file, a caption and the frame. whole: frames for CSV files alone.
    drawings: by the name of their files, a caption and what draws them. interactive: whether it has a chart.
    body: HTML, everything in it escaped already.
    """

    key: str
    title: str
    lead: str
    tables: Mapping[str, tuple[str, pd.DataFrame]] = field(default_factory=dict)
    drawings: Mapping[str, tuple[str, Draw]] = field(default_factory=dict)
    whole: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    interactive: bool = True
    body: str = ""
