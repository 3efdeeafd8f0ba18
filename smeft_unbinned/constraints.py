"""The coefficients block of a runcard: which are free, fixed, or combinations of others."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError, brief, nearest

_KEYS = ("min", "max", "constrain", "value")


@dataclass(frozen=True)
class Coefficients:
    """Free coefficients in order, fixed values, linear combinations, and prior ranges, all by name."""

    free: tuple[str, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    dependent: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, block: Mapping[str, Any]) -> Coefficients:
        """Read the block; raise InputError naming the coefficient whose entry cannot be used."""
        free: list[str] = []
        fixed: dict[str, float] = {}
        dependent: dict[str, Mapping[str, float]] = {}
        bounds: dict[str, tuple[float, float]] = {}
        if not isinstance(block, Mapping):
            raise InputError(f"coefficients must be a mapping of names, got {brief(block)}")
        for name, raw in block.items():
            if not isinstance(name, str) or not name:
                raise InputError(f"a coefficient is called by a text that is not empty, got {brief(name)}")
            entry = _entry(name, raw)
            rule = entry.get("constrain", False)
            if rule is True or (not rule and "value" in entry and "min" not in entry):
                fixed[name] = _number(name, "value", entry.get("value", 0.0))
            elif rule:
                dependent[name] = _combination(name, rule)
            else:
                free.append(name)
                if "min" in entry or "max" in entry:
                    bounds[name] = _range(name, entry)
        for name, row in dependent.items():
            for other in row:
                if other not in free:
                    raise InputError(
                        f"coefficient {name} is constrained by {brief(other)}, not a free coefficient."
                        + nearest(other, free)
                    )
        return cls(tuple(free), fixed, dependent, bounds)


def _entry(name: str, raw: Any) -> Mapping[str, Any]:
    entry = {} if raw is None else raw
    if not isinstance(entry, Mapping):
        raise InputError(f"coefficient {name}: expected keys such as min and max, got {brief(raw)}")
    for key in entry:
        if key not in _KEYS:
            raise InputError(f"coefficient {name}: unknown key {brief(key)}.{nearest(key, _KEYS)}")
    return entry


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < sys.float_info.max:
        raise InputError(f"coefficient {name}: {key} must be a finite number, got {brief(value)}")
    return float(value)


def _range(name: str, entry: Mapping[str, Any]) -> tuple[float, float]:
    if "min" not in entry or "max" not in entry:
        raise InputError(f"coefficient {name}: give both min and max, got {brief(dict(entry))}")
    lower, upper = (_number(name, key, entry[key]) for key in ("min", "max"))
    if not lower < upper:
        raise InputError(f"coefficient {name}: the prior range [{lower}, {upper}] is empty; need min < max")
    return lower, upper


def _combination(name: str, rule: Any) -> Mapping[str, float]:
    terms = rule if isinstance(rule, list) else [rule]
    row: dict[str, float] = {}
    for term in terms:
        if not isinstance(term, Mapping) or not term:
            raise InputError(
                f"coefficient {name}: constrain must be true or a list of {{name: factor}}, got {brief(rule)}"
            )
        powers = {k: v if isinstance(v, list) else [v, 1] for k, v in term.items()}
        if len(powers) != 1 or any(len(v) != 2 or v[1] != 1 for v in powers.values()):
            raise InputError(f"coefficient {name}: only linear combinations are supported, got {brief(term)}")
        for other, (factor, _) in powers.items():
            row[other] = row.get(other, 0.0) + _number(name, "factor", factor)
    return row
