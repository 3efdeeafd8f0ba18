"""Heads: how the ratio depends on the coefficients. One file each, see `base.Head`; names in `catalogue`."""

from ...catalogue import HEADS
from .base import Head
from .linear import Linear
from .morphing import Morphing
from .quadratic import Quadratic
from .squares import Squares

__all__ = ["HEADS", "Head", "Linear", "Morphing", "Quadratic", "Squares"]
