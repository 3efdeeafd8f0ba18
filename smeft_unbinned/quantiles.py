"""Quantiles of chi2 and normal distributions.

From scipy.special: scipy.stats has the same, and takes longer to import than a small fit takes to run.
Where more of it is needed, `import scipy` and `scipy.stats.NAME` load it on first use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special


def chi2_quantile(level: Any, dimensions: float) -> Any:
    """Return the value below which chi2 of so many dimensions lies with a probability, array or float."""
    return special.chdtri(dimensions, 1.0 - np.asarray(level))[()]


def chi2_tail(value: Any, dimensions: float) -> Any:
    """Return the probability of a larger chi2 of so many dimensions, array or float."""
    return special.chdtrc(dimensions, value)


def half_width(level: float) -> float:
    """Return the standard deviations to each side of a normal's centre that hold a probability."""
    return float(special.ndtri(0.5 + level / 2))
