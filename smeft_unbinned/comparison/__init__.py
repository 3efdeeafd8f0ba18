"""Binned against unbinned constraints: one measurement, many versions, all from the same events."""

from .card import ComparisonCard
from .influence import influence
from .intervals import ALONE, LEVELS, TOGETHER, compare, wide, width_ratios
from .result import Comparison
from .run import run
from .sample import Sample, estimator_of, sample_of
from .schemes import Scheme, parse_schemes
from .versions import Version, versions_of

__all__ = [
    "ALONE", "LEVELS", "TOGETHER", "Comparison", "ComparisonCard", "Sample", "Scheme", "Version", "compare",
    "estimator_of", "influence", "parse_schemes", "run", "sample_of", "versions_of", "wide", "width_ratios",
]  # fmt: skip
