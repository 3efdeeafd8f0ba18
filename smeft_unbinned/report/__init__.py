"""The report of fits: one HTML page with interactive figures, and the same figures and tables as files."""

from .build import report

__all__ = ["report"]
