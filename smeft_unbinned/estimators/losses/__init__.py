"""Losses: the methods of the field. One file each, see `base.Loss`; `catalogue` has their names."""

from ...catalogue import LOSSES
from .base import Loss, Pointwise, Ratio
from .derivative import Derivative

__all__ = ["LOSSES", "Derivative", "Loss", "Pointwise", "Ratio"]
