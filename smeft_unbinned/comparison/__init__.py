"""Binned against unbinned constraints: one measurement, many versions, all from the same events."""

from .card import ComparisonCard
from .intervals import ALONE, LEVELS, TOGETHER, compare, wide, width_ratios
from .result import Comparison
from .run import run
from .schemes import Scheme, parse_schemes

__all__ = [
    "ALONE", "LEVELS", "TOGETHER", "Comparison", "ComparisonCard", "Scheme", "compare", "parse_schemes",
    "run", "wide", "width_ratios",
]  # fmt: skip
