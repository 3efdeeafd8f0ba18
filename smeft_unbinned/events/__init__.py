"""Simulated events: features, weights and truth polynomials, and the readers that produce them."""

from .events import Events

__all__ = ["Events"]
