"""SALLY: regress the joint score at the SM, t_i(z) = R_i(z), on SM events (arXiv:1805.00020, eq. 30).

The minimum is the score t_i(x) = r_i(x), all that a measurement close to the SM needs: the linear term of the
ratio and the optimal observables. The rate is included, so that the mean of t_i is that of sigma(c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .derivative import Derivative


@dataclass(frozen=True)
class Sally(Derivative):
    """No options."""

    name = "sally"
    heads: ClassVar[tuple[str, ...]] = ("linear",)
    reason = "it regresses the score at the SM, which holds no quadratic term"
