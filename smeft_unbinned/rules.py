"""Rules that make coefficients functions of others: sums of products, written out in the free ones.

A rule is {name: factor, ...}, a linear combination, or a sequence of products (factor, ((name, power), ...)).
`resolve` inserts fixed values and follows rules that name other dependent coefficients, exactly and in any
order, until only free coefficients are left.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from .errors import InputError, brief, nearest

Monomial: TypeAlias = "tuple[tuple[str, int], ...]"
"""Names with their powers, all of them positive, sorted by name; () is one."""
Terms: TypeAlias = "dict[Monomial, float]"
"""A polynomial in the free coefficients: the factor of each monomial."""
Product: TypeAlias = "tuple[float, tuple[tuple[str, float], ...]]"
"""A factor, and names with their powers."""
Rule: TypeAlias = "Mapping[str, float] | Sequence[Product]"

MOST_TERMS, MOST_DEGREE = 10_000, 32
"""Limits of a rule that is written out in the free coefficients."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def number(value: Any) -> float | None:
    """Return a finite number, also one in a text (YAML reads 1e-3 as text), None for anything else."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < sys.float_info.max:
        return None
    return float(value)


def finite(name: str, value: Any) -> float:
    """Return a number; raise InputError, naming whose it is, for what is none or not finite."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        result = float("nan")
    if not abs(result) < float("inf"):
        raise InputError(f"the value or factor of {name} must be a finite number, got {value!r}")
    return result


def parse(name: str, rule: Any) -> tuple[Product, ...]:
    """Return the products of what a card holds under `constrain`, which is neither true nor false.

    {c1: a1, c2: [a2, n2]} is one product, a1 c1 a2 c2^n2, and a list of these is a sum.
    Raises InputError naming the coefficient for anything else.
    """
    terms = rule if isinstance(rule, list) else [rule]
    result = []
    for term in terms:
        if not isinstance(term, Mapping) or not term:
            break
        factor, powers = 1.0, []
        for other, entry in term.items():
            pair = entry if isinstance(entry, list) else [entry, 1]
            if not isinstance(other, str) or len(pair) != 2:
                raise InputError(
                    f"coefficient {name}: a product is {{name: factor, name: [factor, power]}}, got "
                    f"{brief(term)}"
                )
            a, n = (number(x) for x in pair)
            if a is None or n is None:
                raise InputError(
                    f"coefficient {name}: factor and power must be finite numbers, got {brief(entry)}"
                )
            factor *= a
            powers.append((other, n))
        result.append((factor, tuple(powers)))
    if not terms or len(result) < len(terms):
        raise InputError(
            f"coefficient {name}: constrain must be true, a product {{name: factor}} or a list of products, "
            f"got {brief(rule)}"
        )
    return tuple(result)


def products(name: str, rule: Any) -> tuple[Product, ...]:
    """Return a rule as products; raise InputError, naming whose it is, for what is no rule."""
    try:
        if isinstance(rule, Mapping):
            return tuple((finite(name, a), ((str(other), 1.0),)) for other, a in rule.items())
        return tuple(
            (finite(name, a), tuple((str(other), finite(name, n)) for other, n in powers))
            for a, powers in rule
        )
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name} must depend on others by {{name: factor}} or by products "
            f"(factor, ((name, power), ...)), got {brief(rule)}"
        ) from None


def resolve(rules: Mapping[str, Any], fixed: Mapping[str, float], free: Sequence[str]) -> dict[str, Terms]:
    """Return every dependent coefficient as a polynomial in the free ones.

    rules: by name of the dependent coefficient. fixed: values by name. free: the names left over.
    Raises InputError for rules in circles, naming the circle, for names that are none of these, and for
    powers that are negative or no whole numbers, unless of fixed values.
    """
    given = {name: products(name, rule) for name, rule in rules.items()}
    known = (*free, *given, *fixed)
    done: dict[str, Terms] = {name: {((name, 1),): 1.0} for name in free}
    done |= {name: {(): value} for name, value in fixed.items()}
    for name in _in_order(given):
        if name in done:
            continue
        total: Terms = {}
        for factor, powers in given[name]:
            part: Terms = {(): factor}
            for other, power in powers:
                if other not in done:
                    raise InputError(
                        f"{name} is constrained by {other!r}, not a coefficient of the fit."
                        + nearest(other, known)
                    )
                part = _times(name, part, _power(name, other, done[other], power))
            for monomial, value in part.items():
                total[monomial] = total.get(monomial, 0.0) + value
        done[name] = {monomial: finite(name, value) for monomial, value in total.items() if value}
    return {name: done[name] for name in given}


def _in_order(given: Mapping[str, Sequence[Product]]) -> list[str]:
    """Return the dependent coefficients, each after those that it depends on."""
    needs = {n: [o for _, powers in rule for o, _ in powers if o in given] for n, rule in given.items()}
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = error.args[1][::-1]
        raise InputError(
            f"{circle[0]} is constrained by itself: {' -> '.join(circle)}; make one of them free"
        ) from None


def _power(name: str, other: str, terms: Terms, power: float) -> Terms:
    if power == 0:
        return {(): 1.0}
    if all(monomial == () for monomial in terms):
        value = terms.get((), 0.0)
        if (value == 0 and power < 0) or (value < 0 and power != int(power)):
            raise InputError(
                f"{name} is constrained by {other} = {value:g} to the power {power:g}, no number"
            )
        return {(): finite(name, value**power)}
    if power < 0 or power != int(power):
        raise InputError(
            f"{name} is constrained by {other} to the power {power:g}; of a coefficient that varies only "
            "whole powers from 0 have a meaning at the SM"
        )
    _limit(name, len(terms), int(power) * max(map(degree, terms)))
    result: Terms = {(): 1.0}
    for _ in range(int(power)):
        result = _times(name, result, terms)
    return result


def _times(name: str, a: Terms, b: Terms) -> Terms:
    result: Terms = {}
    for one, x in a.items():
        for two, y in b.items():
            powers = dict(one)
            for other, n in two:
                powers[other] = powers.get(other, 0) + n
            monomial = tuple(sorted(powers.items()))
            result[monomial] = result.get(monomial, 0.0) + x * y
    _limit(name, len(result), max(map(degree, result), default=0))
    return result


def _limit(name: str, terms: int, highest: int) -> None:
    if terms > MOST_TERMS or highest > MOST_DEGREE:
        raise InputError(
            f"{name} has {terms} terms and degree {highest} when written out in free coefficients; at most "
            f"{MOST_TERMS} and {MOST_DEGREE} are supported"
        )


def degree(monomial: Monomial) -> int:
    """Return the degree of a monomial."""
    return sum(n for _, n in monomial)


def compact(terms: Terms) -> Rule:
    """Return a polynomial as the simplest rule: {name: factor} where that is all, products elsewhere."""
    if all(degree(monomial) == 1 for monomial in terms):
        return {monomial[0][0]: factor for monomial, factor in terms.items()}
    return tuple((factor, monomial) for monomial, factor in terms.items())


def normal(name: str, rule: Any) -> Rule:
    """Return a rule in its simplest form; raise InputError, naming whose it is, for what is no rule."""
    given = products(name, rule)
    if any(len(powers) != 1 or powers[0][1] != 1 for _, powers in given):
        return given
    row: dict[str, float] = {}
    for factor, powers in given:
        row[powers[0][0]] = row.get(powers[0][0], 0.0) + factor
    return row


def names_in(rule: Rule) -> tuple[str, ...]:
    """Return the names of the coefficients in a rule."""
    return tuple(dict.fromkeys(other for _, powers in products("a rule", rule) for other, _ in powers))
