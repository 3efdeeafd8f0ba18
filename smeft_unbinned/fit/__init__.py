"""Fits of a likelihood by several methods, one result type; single fits, scans, and ensembles of networks."""

from .auto import auto
from .contour import contour
from .disjoint import disjoint_intervals, hdi
from .laplace import laplace
from .linear import is_quadratic, solve
from .minuit import minimise
from .nested import sample
from .nuts import nuts
from .replicas import fit_replicas
from .result import FitResult
from .scan import scan
from .single import individual, pairwise

__all__ = [
    "FitResult", "auto", "contour", "disjoint_intervals", "fit_replicas", "hdi", "individual", "is_quadratic",
    "laplace", "minimise", "nuts", "pairwise", "sample", "scan", "solve",
]  # fmt: skip
