"""Losses: the methods of the field. One file each; see `base.Loss`."""

from .alice import Alice
from .alices import Alices
from .base import Loss, Pointwise, Ratio
from .cascal import Cascal
from .cross_entropy import CrossEntropy
from .decomposed import Decomposed
from .derivative import Derivative
from .multiclass import Multiclass
from .quadratic_classifier import QuadraticClassifier
from .rascal import Rascal
from .rolr import Rolr
from .sally import Sally

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        Derivative, CrossEntropy, Multiclass, Decomposed, QuadraticClassifier, Alice, Alices, Rolr, Rascal,
        Cascal, Sally,
    )
}  # fmt: skip

__all__ = ["LOSSES", "Derivative", "Loss", "Pointwise", "Ratio"]
