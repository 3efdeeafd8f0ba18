"""The coefficients block: what each kind of entry means, and that no entry gives another error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError, rules
from smeft_unbinned.constraints import Coefficients


def test_every_kind_of_entry() -> None:
    c = Coefficients.parse(
        {
            "cHW": {"min": -1, "max": 2.5},
            "cHq3": None,
            "cHu": {},
            "cHd": {"constrain": True, "value": 0},
            "cHB": {"constrain": True, "value": "5e-1", "min": 0, "max": 1},
            "a": {"constrain": [{"cHW": 2.0}, {"cHq3": [-1.0, 1]}]},
            "b": {"constrain": {"cHW": 3}, "min": 4, "value": None},
            "e": {"constrain": False, "min": "-1e-1", "max": 1, "value": None, "is_mass": False},
            "f": {"constrain": None, "value": None, "is_mass": True},
        }
    )
    assert c.free == ("cHW", "cHq3", "cHu", "e", "f")
    assert c.bounds == {"cHW": (-1.0, 2.5), "e": (-0.1, 1.0)}
    assert c.fixed == {"cHd": 0.0, "cHB": 0.5}
    assert c.dependent == {"a": {"cHW": 2.0, "cHq3": -1.0}, "b": {"cHW": 3.0}}
    assert c.notes == ()


def test_products_powers_and_constants() -> None:
    c = Coefficients.parse(
        {
            "lam": {},
            "y": {},
            "M": {"constrain": True, "value": 2.0},
            "a": {"constrain": [{"lam": [1e-7, 0]}, {"lam": [2.0, 1], "y": [1, 3]}]},
            "b": {"constrain": {"lam": [3.0, 2], "y": -1}},
            "c": {"constrain": [{"b": 1, "M": [1, -2]}]},
        }
    )
    assert c.dependent == {
        "a": ((1e-7, (("lam", 0),)), (2.0, (("lam", 1), ("y", 3)))),
        "b": ((-3.0, (("lam", 2), ("y", 1))),),
        "c": ((1.0, (("b", 1), ("M", -2))),),
    }
    assert rules.resolve(c.dependent, c.fixed, c.free)["c"] == {(("lam", 2), ("y", 1)): -0.75}


def test_repeated_terms_add() -> None:
    c = Coefficients.parse({"x": {}, "a": {"constrain": [{"x": 2.0}, {"x": 0.5}]}})
    assert c.dependent == {"a": {"x": 2.5}}


def test_chains_and_their_order() -> None:
    block = {"c": {"constrain": {"b": 2}}, "b": {"constrain": [{"a": 3}, {"x": 1}]}, "x": {}}
    c = Coefficients.parse({**block, "a": {"constrain": [{"x": 5}]}})
    x = (("x", 1),)
    assert rules.resolve(c.dependent, c.fixed, c.free) == {"c": {x: 32.0}, "b": {x: 16.0}, "a": {x: 5.0}}


def test_fits_of_some_coefficients_leave_out_terms_of_absent_ones() -> None:
    block = {
        "Oll1221": {},
        "Oll1111": {"constrain": [{"Oll": 1}]},
        "a": {"constrain": [{"x": 2, "Oll1221": 1}]},
    }
    block["b"] = {"constrain": [{"Oll1221": 2}, {"Oll": 1}]}
    with pytest.raises(InputError, match=r"Oll1111 is constrained by 'Oll', not a .*Did you mean 'Oll1221'"):
        Coefficients.parse(block)
    c = Coefficients.parse(block, partial=True)
    assert c.dependent == {"Oll1111": {}, "a": {}, "b": {"Oll1221": 2.0}}
    assert [note.split(",")[0] for note in c.notes] == [
        "Oll1111 is constrained by Oll",
        "a is constrained by x",
        "b is constrained by Oll",
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"min": 1, "max": 1}, r"the prior range \[1.0, 1.0\] is empty; need min < max"),
        ({"min": 0}, "give both min and max, got {'min': 0}"),
        ({"max": 0}, "give both min and max"),
        ({"min": "low", "max": 1}, "min must be a finite number, got 'low'"),
        ({"min": float("nan"), "max": 1}, "min must be a finite number"),
        ({"min": 0, "max": float("inf")}, "max must be a finite number"),
        ({"min": 0, "max": 10**400}, "max must be a finite number"),
        ({"min": 0, "max": True}, "max must be a finite number"),
        ({"min": None, "max": 1}, "min must be a finite number"),
        ({"mim": 0, "max": 1}, "unknown key 'mim'. Did you mean 'min'"),
        ({3: 0}, "unknown key 3"),
        ([0, 1], r"expected keys such as min and max, got \[0, 1\]"),
        ({"constrain": "yes"}, "constrain must be true, a product"),
        ({"constrain": 1}, "constrain must be true, a product"),
        ({"constrain": 0}, "constrain must be true, a product"),
        ({"constrain": []}, r"constrain must be true, a product .*got \[\]"),
        ({"constrain": {}}, "constrain must be true, a product"),
        ({"constrain": [{}]}, "constrain must be true, a product"),
        ({"constrain": [{"cHq": 1}, "cHq"]}, "constrain must be true, a product"),
        ({"constrain": [{"cHq": [1]}]}, "a product is {name: factor, name: .factor, power.}, got"),
        ({"constrain": [{5: 1.0}]}, "a product is {name: factor"),
        ({"constrain": [{"cHq": "two"}]}, "factor and power must be finite numbers, got 'two'"),
        ({"constrain": [{"cHq": [1, None]}]}, "factor and power must be finite numbers"),
        ({"constrain": [{"cHq": [1, -1]}]}, "constrained by cHq to the power -1"),
        ({"constrain": [{"cHqq": 1.0}]}, "constrained by 'cHqq', not a coefficient of .*Did you mean 'cHq'"),
        ({"constrain": [{"cHW": 1.0}]}, "constrained by itself: cHW -> cHW"),
        ({"constrain": True}, "is fixed .constrain: true. without a value; give one"),
        ({"constrain": True, "value": None}, "without a value"),
        ({"constrain": True, "value": "one"}, "value must be a finite number, got 'one'"),
        (
            {"constrain": True, "value": 3, "min": -1, "max": 1},
            r"fixed at 3, outside of its own range \[-1, 1\]",
        ),
        ({"value": 1}, "is free, yet has the value 1; write {constrain: true, value: 1} to fix it"),
        ({"constrain": False, "value": 0.3, "min": 0, "max": 1}, "is free, yet has the value 0.3"),
        ({"constrain": [{"cHq": 1.0}], "value": 0.0}, "is dependent, yet has the value 0.0"),
        ({"is_mass": 1}, "is_mass must be true or false, got 1"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(entry: object, message: str) -> None:
    with pytest.raises(InputError, match=f"coefficients?:? cHW.*{message}"):
        Coefficients.parse({"cHq": {}, "cHW": entry})


@pytest.mark.parametrize("block", [[], "cHW", None, {1: {}}, {"": {}}, {None: {}}])
def test_a_block_that_is_none_is_refused(block: object) -> None:
    with pytest.raises(InputError, match="coefficient"):
        Coefficients.parse(block)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
keys = st.sampled_from(["min", "max", "constrain", "value", "cHW", "x"]) | scalars
anything = st.recursive(
    scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(keys, x, max_size=3), max_leaves=12
)


@given(st.dictionaries(keys, anything, max_size=4))
def test_random_blocks_are_read_or_refused(block: dict[object, object]) -> None:
    try:
        c = Coefficients.parse(block)
    except InputError:
        return
    assert set(c.free) | set(c.fixed) | set(c.dependent) == set(block)
