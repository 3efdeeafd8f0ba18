"""What is known of parameters beforehand: fixed values, combinations, ranges, and Gaussian constraints.

Also the blocks `coefficients` and `nuisances` of a runcard, which say all this.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import InputError, brief, nearest
from .polynomial import Array, Point, as_point, convert, namespace

_KEYS = ("min", "max", "constrain", "value")
_NUISANCE_KEYS = ("constraint", "value", "min", "max")
Constraint = tuple[float, float]
"""Centre and error of a Gaussian constraint."""


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


@dataclass(frozen=True)
class NuisanceBlock:
    """Constraints, fixed values and prior ranges of nuisance parameters by name."""

    constraints: dict[str, Constraint | None] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, block: Any) -> NuisanceBlock:
        """Read {name: {constraint: [centre, error] or null, value, min, max}}.

        Raises InputError naming the nuisance whose entry cannot be used.
        """
        new = cls()
        if not isinstance(block, Mapping):
            raise InputError(f"nuisances must be a mapping of names, got {brief(block)}")
        for name, raw in block.items():
            if not isinstance(name, str) or not name:
                raise InputError(f"a nuisance is called by a text that is not empty, got {brief(name)}")
            entry = _entry(name, raw, "nuisance", _NUISANCE_KEYS)
            if "value" in entry and len(entry) > 1:
                raise InputError(
                    f"nuisance {name}: a fixed value leaves no room for {brief(dict(entry))}; remove the rest"
                )
            if "value" in entry:
                new.fixed[name] = _number(name, "value", entry["value"], "nuisance")
            if "constraint" in entry:
                new.constraints[name] = check_constraints({name: entry["constraint"]}, [name])[name]
            if "min" in entry or "max" in entry:
                new.bounds[name] = _range(name, entry, "nuisance")
        return new


def _entry(
    name: str, raw: Any, what: str = "coefficient", known: tuple[str, ...] = _KEYS
) -> Mapping[str, Any]:
    entry = {} if raw is None else raw
    if not isinstance(entry, Mapping):
        raise InputError(f"{what} {name}: expected keys such as min and max, got {brief(raw)}")
    for key in entry:
        if key not in known:
            raise InputError(f"{what} {name}: unknown key {brief(key)}.{nearest(key, known)}")
    return entry


def _number(name: str, key: str, value: Any, what: str = "coefficient") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < sys.float_info.max:
        raise InputError(f"{what} {name}: {key} must be a finite number, got {brief(value)}")
    return float(value)


def _range(name: str, entry: Mapping[str, Any], what: str = "coefficient") -> tuple[float, float]:
    if "min" not in entry or "max" not in entry:
        raise InputError(f"{what} {name}: give both min and max, got {brief(dict(entry))}")
    lower, upper = (_number(name, key, entry[key], what) for key in ("min", "max"))
    if not lower < upper:
        raise InputError(f"{what} {name}: the prior range [{lower}, {upper}] is empty; need min < max")
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


def finite(name: str, value: Any) -> float:
    """Return a number; raise InputError, naming whose it is, for what is none or not finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"the value or factor of {name} must be a finite number, got {value!r}")
    return number


def check_bounds(bounds: Mapping[str, tuple[float, float]], names: Sequence[str]) -> None:
    """Raise InputError for a range of an unknown parameter, an empty one or one that is not finite."""
    for name, pair in bounds.items():
        if name not in names:
            raise InputError(f"a range is given for {name!r}, not a free coefficient.{nearest(name, names)}")
        try:
            lower, upper = pair
            usable = bool(np.isfinite(lower) and np.isfinite(upper) and lower < upper)
        except (TypeError, ValueError):
            raise InputError(
                f"the prior range of {name} must be two numbers (lower, upper), got {brief(pair)}"
            ) from None
        if not usable:
            raise InputError(
                f"the prior range of {name} is empty or not finite: [{lower}, {upper}]; need min < max"
            )


def check_constraints(given: Any, nuisances: Sequence[str]) -> dict[str, Constraint | None]:
    """Return the constraint of every nuisance, (0, 1) where none is given and None for no constraint.

    Raises InputError for a name that is no nuisance and for what is not (centre, error) with error > 0.
    """
    if not isinstance(given or {}, Mapping):
        raise InputError(f"constraints must be a mapping {{name: (centre, error)}}, got {brief(given)}")
    result: dict[str, Constraint | None] = dict.fromkeys(nuisances, (0.0, 1.0))
    for name, pair in (given or {}).items():
        if name not in nuisances:
            known = ", ".join(nuisances) or "none"
            raise InputError(
                f"a constraint is given for {name!r}, not a nuisance parameter; known are {known}."
                + nearest(name, nuisances)
            )
        if pair is None:
            result[name] = None
            continue
        try:
            centre, error = (float(x) for x in pair)
            usable = bool(np.isfinite(centre) and np.isfinite(error) and error > 0)
        except (TypeError, ValueError):
            usable = False
        if not usable:
            raise InputError(
                f"the constraint of {name} must be (centre, error) with error > 0, or None, got {brief(pair)}"
            )
        result[name] = (centre, error)
    return result


class ConstraintTerm:
    """The sum of ((theta - centre)/error)^2 over nuisances, less its value at theta = 0.

    constraints: (centre, error) by name; those that are None have no part in it.
    """

    name = "constraints"
    operators: tuple[str, ...] = ()

    def __init__(self, constraints: Mapping[str, Constraint | None]) -> None:
        pairs = {name: pair for name, pair in constraints.items() if pair is not None}
        self.nuisances = self.parameters = tuple(pairs)
        table = np.array(list(pairs.values()), dtype=float).reshape(-1, 2)
        self._centre, self._weight = table[:, 0], 1.0 / table[:, 1] ** 2

    def _parts(self, theta: Point) -> tuple[Any, Array, Array, Array]:
        point = as_point(theta, self.parameters)
        xp = namespace(point)
        return xp, point, convert(xp, self._centre, point.dtype), convert(xp, self._weight, point.dtype)

    def m2logl(self, theta: Point) -> Array:
        """Return the value, shape (...), at theta, a mapping or (..., K)."""
        xp, point, centre, weight = self._parts(theta)
        return xp.sum(point * (point - 2.0 * centre) * weight, axis=-1)

    def gradient(self, theta: Point) -> Array:
        """Return the first derivatives, shape (..., K)."""
        _, point, centre, weight = self._parts(theta)
        return 2.0 * (point - centre) * weight

    def hessian(self, theta: Point) -> Array:
        """Return the second derivatives, shape (..., K, K)."""
        xp, point, _, weight = self._parts(theta)
        rows = xp.zeros_like(point) + 2.0 * weight
        return rows[..., None] * xp.eye(len(self.parameters), dtype=point.dtype)
