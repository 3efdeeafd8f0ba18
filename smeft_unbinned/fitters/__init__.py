"""What every adapter of a fitter shares: a dataset as a term of its likelihood, and the list of fitters."""

from .registry import Fitter, fitters
from .term import Term

__all__ = ["Fitter", "Term", "fitters"]
