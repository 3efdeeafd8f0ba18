"""Rules of dependent coefficients: what a card may write, and what comes out in the free coefficients."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError
from smeft_unbinned.rules import compact, names_in, normal, number, parse, resolve

FREE = ("x", "y")


def at(terms: Any, point: dict[str, float]) -> float:
    return sum(f * np.prod([point[name] ** n for name, n in m]) for m, f in terms.items())


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"x": 2}, ((2.0, (("x", 1),)),)),
        ([{"x": 2.0}], ((2.0, (("x", 1),)),)),
        ([{"x": 2}, {"y": [3, 1]}], ((2.0, (("x", 1),)), (3.0, (("y", 1),)))),
        ({"x": [2, 3]}, ((2.0, (("x", 3),)),)),
        ({"x": 2, "y": [3, 2]}, ((6.0, (("x", 1), ("y", 2))),)),
        ([{"x": [2e-7, 0]}], ((2e-7, (("x", 0),)),)),
        ({"x": ["-1e-1", "2"], "y": -2}, ((0.2, (("x", 2), ("y", 1))),)),
    ],
)  # fmt: skip
def test_what_a_card_may_write(rule: Any, expected: Any) -> None:
    got = parse("a", rule)
    assert [powers for _, powers in got] == [powers for _, powers in expected]
    assert [factor for factor, _ in got] == pytest.approx([factor for factor, _ in expected])


def test_numbers_that_yaml_reads_as_text() -> None:
    assert [number(x) for x in ("-1e-1", "1e3", " 2. ", "+.5E+2", "3", 4, 0.5)] == [
        -0.1,
        1e3,
        2,
        50,
        3,
        4,
        0.5,
    ]
    for x in ("1_000", "0x1", "nan", "inf", "1e999", "", "e1", "one", True, None, [1], float("nan"), 10**400):
        assert number(x) is None


def test_fixed_values_and_chains_are_written_out() -> None:
    rules = {
        "a": ((2.0, (("b", 2), ("x", 1))), (1.0, (("f", -1.5),))),  # named before what it depends on
        "b": {"x": 1.0, "y": -1.0},
        "c": ((5.0, (("b", 0),)),),
        "d": {"f": 3.0, "c": 1.0},
        "e": ((1.0, (("d", -1),)),),
    }
    got = resolve(rules, {"f": 4.0, "g": 0.0}, FREE)
    x3, x2y, xy2 = (("x", 3),), (("x", 2), ("y", 1)), (("x", 1), ("y", 2))
    assert got["a"] == {x3: 2.0, x2y: -4.0, xy2: 2.0, (): 0.125}
    assert got["c"] == {(): 5.0}
    assert got["d"] == {(): 17.0}
    assert got["e"] == {(): pytest.approx(1 / 17)}
    assert compact(got["b"]) == {"x": 1.0, "y": -1.0}
    assert dict(compact(got["c"])) == {5.0: ()}
    assert resolve({"a": ((1.0, (("g", 2), ("x", 1))),)}, {"g": 0.0}, FREE) == {"a": {}}
    assert resolve({"a": ((1.0, (("g", 0), ("x", 1))),)}, {"g": 0.0}, FREE) == {"a": {(("x", 1),): 1.0}}


def test_terms_that_cancel_disappear() -> None:
    rules = {"a": ((1.0, (("x", 1),)), (-1.0, (("x", 1),))), "b": {"a": 3.0, "y": 1.0}}
    assert resolve(rules, {}, FREE) == {"a": {}, "b": {(("y", 1),): 1.0}}


small = st.floats(-2, 2)
powers = st.dictionaries(st.sampled_from(["x", "f", "before"]), st.integers(0, 2), min_size=1)


@given(st.lists(st.lists(st.tuples(small, powers), max_size=3), min_size=1, max_size=3), small, small, small)
def test_written_out_rules_equal_direct_substitution(chain: Any, x: float, y: float, f: float) -> None:
    rules: dict[str, Any] = {}
    values, before = {"x": x, "y": y, "f": f}, "y"
    for i, rule in enumerate(chain):
        named = [(a, tuple((before if n == "before" else n, k) for n, k in p.items())) for a, p in rule]
        values[f"a{i}"] = sum(a * np.prod([values[n] ** k for n, k in p]) for a, p in named)
        rules[f"a{i}"], before = tuple(named), f"a{i}"
    shuffled = dict(reversed(rules.items()))
    resolved = resolve(shuffled, {"f": f}, FREE)
    for name, terms in resolved.items():
        scale = sum(abs(a) * np.prod([abs(values[n]) ** k for n, k in m]) for m, a in terms.items())
        assert at(terms, values) == pytest.approx(values[name], rel=1e-9, abs=1e-12 * (1 + scale))
        again = resolve({name: compact(terms)}, {}, FREE)[name]
        assert again == terms


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"a": {"a": 1}}, "^a is constrained by itself: a -> a; make one of them free"),
        ({"a": {"b": 1}, "b": {"c": 1}, "c": {"a": 1}}, "constrained by itself: . -> . -> . -> .;"),
        ({"a": {"xx": 1}}, "a is constrained by 'xx', not a coefficient of the fit. Did you mean 'x'"),
        ({"a": ((1, (("x", -1),)),)}, "a is constrained by x to the power -1; .* only whole powers from 0"),
        ({"a": ((1, (("x", 0.5),)),)}, "x to the power 0.5"),
        ({"a": ((1, (("zero", -1),)),)}, "a is constrained by zero = 0 to the power -1, no number"),
        ({"a": ((1, (("minus", 0.5),)),)}, "minus = -2 to the power 0.5, no number"),
        ({"a": ((1, (("x", 33),)),)}, "a has 1 terms and degree 33 when written out.* at most 10000 and 32"),
        ({"a": {"x": float("nan")}}, "factor of a must be a finite number"),
        ({"a": ((1e300, (("big", 1),)),)}, "factor of a must be a finite number, got inf"),
        ({"a": "x"}, r"a must depend on others by \{name: factor\} or by products"),
        ({"a": ((1, "xy"),)}, "a must depend on others by"),
        ({"a": 3}, "a must depend on others by"),
    ],
)
def test_rules_that_cannot_be_followed_are_named(rules: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(rules, {"zero": 0.0, "minus": -2.0, "big": 1e300}, FREE)


def test_a_circle_is_named_in_the_order_of_dependence() -> None:
    with pytest.raises(InputError) as caught:
        resolve({"a": {"b": 1, "x": 1}, "b": {"c": 1}, "c": {"a": 1}, "d": {"a": 1}}, {}, FREE)
    circle = str(caught.value).split(": ")[1].split(";")[0].split(" -> ")
    assert circle[0] == circle[-1]
    needs = {"a": "b", "b": "c", "c": "a"}
    assert all(needs[one] == two for one, two in pairwise(circle))


def test_a_long_chain_is_followed() -> None:
    rules = {f"a{i}": {f"a{i + 1}": 1.0} for i in range(3000)} | {"a3000": {"x": 2.0}}
    assert resolve(rules, {}, FREE)["a0"] == {(("x", 1),): 2.0}


def test_an_explosion_of_terms_is_refused() -> None:
    names = [f"x{i}" for i in range(40)]
    with pytest.raises(InputError, match=r"a has .* terms and degree .* when written out"):
        resolve({"b": dict.fromkeys(names, 1.0), "a": ((1.0, (("b", 4),)),)}, {}, names)


def test_rules_have_a_simplest_form() -> None:
    assert normal("a", [(2, [("x", 1)]), (0.5, [("x", 1)]), (3, [("y", 1)])]) == {"x": 2.5, "y": 3.0}
    assert normal("a", ((2, (("x", 2),)),)) == ((2.0, (("x", 2.0),)),)
    assert normal("a", {"x": 1}) == {"x": 1.0}
    assert normal("a", ()) == normal("a", {}) == {}
    assert names_in(((2.0, (("x", 2), ("y", 1))), (1.0, (("x", 0),)))) == ("x", "y")
