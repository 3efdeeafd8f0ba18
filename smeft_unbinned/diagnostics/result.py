"""What a check finds: a verdict, a sentence, numbers, and tables that the figures are drawn from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

PASS, WARN, FAIL, NOT_APPLICABLE = "pass", "warn", "fail", "not applicable"
_ORDER = (NOT_APPLICABLE, PASS, WARN, FAIL)


@dataclass(frozen=True, eq=False)
class Check:
    """The outcome of one check.

    name: of the check. verdict: "pass", "warn", "fail" or "not applicable".
    sentence: what was found and what to do, in plain words.
    numbers: the figures behind the verdict, JSON types.
    tables: frames by name, one row per point, coefficient or bin.
    """

    name: str
    verdict: str
    sentence: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Check({self.name}: {self.verdict}; {self.sentence})"


def not_applicable(name: str, why: str) -> Check:
    """Return the outcome of a check that cannot be made."""
    return Check(name, NOT_APPLICABLE, why)


def worst(verdicts: Iterable[str]) -> str:
    """Return the worst of some verdicts; "not applicable" counts least."""
    return max(verdicts, key=_ORDER.index, default=NOT_APPLICABLE)


def plain(value: Any) -> Any:
    """Return a value in JSON types; what is not finite becomes None, a frame a list of its rows."""
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict(orient="records")]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
