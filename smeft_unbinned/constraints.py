"""What is known of parameters beforehand: fixed values, rules, ranges, and Gaussian constraints.

Also the blocks `coefficients` and `nuisances` of a runcard, which say all this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import rules
from .errors import InputError, brief, check_name, nearest
from .polynomial import Array, Point, as_point, convert, namespace
from .rules import Rule

_KEYS = ("min", "max", "constrain", "value", "is_mass")
_NUISANCE_KEYS = ("constraint", "value", "min", "max")
Constraint = tuple[float, float]
"""Centre and error of a Gaussian constraint."""


@dataclass(frozen=True)
class Coefficients:
    """Free coefficients in order, fixed values, rules of dependent ones, and prior ranges, all by name.

    dependent: {other: factor} for linear rules, else products (factor, ((other, power), ...)). The others may
        be free, fixed and dependent; `rules.resolve` writes them out.
    notes: what the user should know about the block.
    """

    free: tuple[str, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    dependent: Mapping[str, Rule] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, block: Mapping[str, Any], partial: bool = False) -> Coefficients:
        """Read the block; raise InputError naming the coefficient whose entry cannot be used.

        partial: leave out, with a note, products of coefficients that the block does not have; without it
            they are an error. In fits of one or two coefficients at a time they have no effect.
        """
        free: list[str] = []
        fixed: dict[str, float] = {}
        given: dict[str, tuple[rules.Product, ...]] = {}
        bounds: dict[str, tuple[float, float]] = {}
        if not isinstance(block, Mapping):
            raise InputError(f"coefficients must be a mapping of names, got {brief(block)}")
        for name, raw in block.items():
            if not isinstance(name, str) or not name:
                raise InputError(f"a coefficient is called by a text that is not empty, got {brief(name)}")
            entry = _entry(check_name(name), raw)
            if entry.get("constrain") is True:
                fixed[name] = _fixed(name, entry)
            elif "value" in entry:
                what = "dependent" if entry.get("constrain") else "free"
                raise InputError(
                    f"coefficient {name} is {what}, yet has the value {brief(entry['value'])}; write "
                    f"{{constrain: true, value: {brief(entry['value'])}}} to fix it, or remove the value"
                )
            elif entry.get("constrain", False) is not False:
                given[name] = rules.parse(name, entry["constrain"])
            else:
                free.append(name)
                if "min" in entry or "max" in entry:
                    bounds[name] = _range(name, entry)
        notes = _leave_out(given, block) if partial else []
        try:
            rules.resolve(given, fixed, free)
        except InputError as error:
            raise InputError(f"coefficients: {error}") from None
        dependent = {name: rules.normal(name, rule) for name, rule in given.items()}
        return cls(tuple(free), fixed, dependent, bounds, tuple(notes))


def _leave_out(given: dict[str, tuple[rules.Product, ...]], names: Iterable[str]) -> list[str]:
    """Remove products of names that do not exist, and return what to say about each rule that had some."""
    notes = []
    for name, rule in given.items():
        absent = dict.fromkeys(other for _, powers in rule for other, _ in powers if other not in names)
        if absent:
            given[name] = tuple(p for p in rule if not any(other in absent for other, _ in p[1]))
            notes.append(
                f"{name} is constrained by {', '.join(absent)}, not in the card: these terms are left out"
            )
    return notes


def _fixed(name: str, entry: Mapping[str, Any]) -> float:
    if "value" not in entry:
        raise InputError(f"coefficient {name} is fixed (constrain: true) without a value; give one")
    value = _number(name, "value", entry["value"])
    lower, upper = (_number(name, k, entry[k]) if k in entry else value for k in ("min", "max"))
    if not lower <= value <= upper:
        raise InputError(
            f"coefficient {name} is fixed at {value:g}, outside of its own range [{lower:g}, {upper:g}]; "
            "correct one or remove min and max"
        )
    return value


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
            entry = _entry(check_name(name), raw, "nuisance", _NUISANCE_KEYS)
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
    if not isinstance(entry.get("is_mass", False), bool):
        raise InputError(f"{what} {name}: is_mass must be true or false, got {brief(entry['is_mass'])}")
    optional = ("value", "constrain") if what == "coefficient" else ()
    return {key: value for key, value in entry.items() if value is not None or key not in optional}


def _number(name: str, key: str, value: Any, what: str = "coefficient") -> float:
    result = rules.number(value)
    if result is None:
        raise InputError(f"{what} {name}: {key} must be a finite number, got {brief(value)}")
    return result


def _range(name: str, entry: Mapping[str, Any], what: str = "coefficient") -> tuple[float, float]:
    if "min" not in entry or "max" not in entry:
        raise InputError(f"{what} {name}: give both min and max, got {brief(dict(entry))}")
    lower, upper = (_number(name, key, entry[key], what) for key in ("min", "max"))
    if not lower < upper:
        raise InputError(f"{what} {name}: the prior range [{lower}, {upper}] is empty; need min < max")
    return lower, upper


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
        except (TypeError, ValueError, OverflowError):
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
