"""Diagnostics of trained estimators: is r(x|c) right, and are the intervals that follow from it?

`diagnose(estimator, events)` runs every check and returns a `Report`. Each check is one module.
"""

from __future__ import annotations

from .case import Case, Ratios, prepare
from .closure import closure
from .coverage import coverage
from .expectation import expectation
from .positivity import positivity
from .reference import reference
from .report import Report
from .result import Check
from .run import CHECKS, diagnose
from .spread import spread
from .truth import accuracy, coefficient_accuracy, interval_accuracy, truth_check

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "Ratios",
    "Report",
    "accuracy",
    "closure",
    "coefficient_accuracy",
    "coverage",
    "diagnose",
    "expectation",
    "interval_accuracy",
    "positivity",
    "prepare",
    "reference",
    "spread",
    "truth_check",
]
