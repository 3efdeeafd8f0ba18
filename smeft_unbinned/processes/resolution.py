"""Resolutions of a detector: the width of the noise on each feature, in Python or in a YAML file.

In YAML, with the fields of `Resolution` under the name of each feature:

    pt_z: {stochastic: 1.0, constant: 0.02, limits: [0, .inf]}
    phi_l: {absolute: 0.02, period: 6.283185307179586}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import yamlfile
from ..errors import InputError, brief, nearest

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Resolution:
    """Width of the noise on one feature of value E: E (stochastic/sqrt(|E|) + constant) + absolute.

    stochastic: in GeV^(1/2). constant: relative. absolute: in the units of the feature, for angles and the
    like. limits: a smeared value beyond them is reflected back, for instance (-1, 1) for a cosine, (0, inf)
    for a momentum. period: a smeared value is moved into [-period/2, period/2), for instance 2 pi for an
    azimuth.
    """

    stochastic: float = 0.0
    constant: float = 0.0
    absolute: float = 0.0
    limits: tuple[float, float] | None = None
    period: float | None = None

    def __post_init__(self) -> None:
        for name in ("stochastic", "constant", "absolute"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} of a resolution must be zero or above and finite, got {value}")
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise InputError(f"limits of a resolution must be (low, high) with low < high, got {self.limits}")
        if self.period is not None and not self.period > 0.0:
            raise InputError(f"the period of a resolution must be positive, got {self.period}")
        if self.period is not None and self.limits is not None:
            raise InputError("a resolution has either limits or a period, not both")

    def width(self, values: Real) -> Real:
        """Standard deviation of the noise at values (N,) of the feature."""
        size = np.abs(values)
        return np.asarray(self.stochastic * np.sqrt(size) + self.constant * size + self.absolute)

    def apply(self, values: Real, rng: np.random.Generator) -> Real:
        """Return values (N,) with noise, brought back into limits or period."""
        smeared = values + self.width(values) * rng.normal(size=values.shape)
        if self.period is not None:
            return np.asarray((smeared + 0.5 * self.period) % self.period - 0.5 * self.period)
        return smeared if self.limits is None else _reflect(smeared, *self.limits)


def _reflect(values: Real, low: float, high: float) -> Real:
    if np.isfinite(high) and np.isfinite(low):
        folded = (values - low) % (2.0 * (high - low))
        return np.asarray(low + np.minimum(folded, 2.0 * (high - low) - folded))
    return np.asarray(
        np.where(values < low, 2.0 * low - values, np.where(values > high, 2.0 * high - values, values))
    )


ZH_DETECTOR: Mapping[str, Resolution] = MappingProxyType(
    {
        "m_zh": Resolution(stochastic=1.5, constant=0.02, limits=(0.0, float("inf"))),
        "pt_z": Resolution(stochastic=1.0, constant=0.02, limits=(0.0, float("inf"))),
        "y_zh": Resolution(absolute=0.05),
        "cos_theta_star": Resolution(absolute=0.05, limits=(-1.0, 1.0)),
        "cos_theta_l": Resolution(absolute=0.02, limits=(-1.0, 1.0)),
        "phi_l": Resolution(absolute=0.05, period=2.0 * np.pi),
    }
)
"""A plain detector for every feature of pp -> ZH: 12 % on a transverse momentum of 100 GeV and on the mass of
Z and H at threshold, 7 % on a transverse momentum of 400 GeV, fixed widths for angles (radians) and rapidity.
"""


def load_resolutions(path: str | os.PathLike[str]) -> dict[str, Resolution]:
    """Read resolutions by feature from a YAML file.

    Raises InputError for a missing or unreadable file, an unknown field (naming the nearest), and values that
    are no numbers or out of range, naming the feature.
    """
    file = Path(path)
    content = yamlfile.read(file, "file of resolutions")
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"{file} must hold at least one feature with its resolution, such as pt: {{constant: 0.1}}; "
            f"got {brief(content)}"
        )
    return {
        str(name): _resolution(entry, f"{file}: feature {brief(name)}") for name, entry in content.items()
    }


def _resolution(entry: Any, where: str) -> Resolution:
    known = [field.name for field in fields(Resolution)]
    if not isinstance(entry, dict):
        raise InputError(f"{where} needs a mapping with {', '.join(known)}; got {brief(entry)}")
    for key, value in entry.items():
        if key not in known:
            raise InputError(
                f"{where}: unknown key {brief(key)}; known are {', '.join(known)}.{nearest(str(key), known)}"
            )
        numbers = value if key == "limits" and isinstance(value, list) else [value]
        if (key == "limits" and len(numbers) != 2) or not all(map(_is_number, numbers)):
            expected = "a list of two numbers" if key == "limits" else "a number"
            raise InputError(f"{where}: {key} must be {expected}, got {brief(value)}")
    values: dict[str, Any] = {
        k: tuple(map(float, v)) if k == "limits" else float(v) for k, v in entry.items()
    }
    try:
        return Resolution(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
