"""Heads: how the ratio depends on the coefficients. One file each; see `base.Head`."""

from .base import Head
from .linear import Linear
from .morphing import Morphing
from .quadratic import Quadratic
from .squares import Squares

HEADS: dict[str, type[Head]] = {h.name: h for h in (Squares, Quadratic, Linear, Morphing)}

__all__ = ["HEADS", "Head", "Linear", "Morphing", "Quadratic", "Squares"]
