"""The coefficients block: what each kind of entry means, and that no entry gives another error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError
from smeft_unbinned.constraints import Coefficients


def test_every_kind_of_entry() -> None:
    c = Coefficients.parse(
        {
            "cHW": {"min": -1, "max": 2.5},
            "cHq3": None,
            "cHu": {},
            "cHd": {"constrain": True},
            "cHB": {"constrain": True, "value": 0.5},
            "cHD": {"value": 1},
            "a": {"constrain": [{"cHW": 2.0}, {"cHq3": [-1.0, 1]}]},
            "b": {"constrain": {"cHW": 3}},
            "e": {"constrain": False, "min": 0, "max": 1, "value": 0.3},
        }
    )
    assert c.free == ("cHW", "cHq3", "cHu", "e")
    assert c.bounds == {"cHW": (-1.0, 2.5), "e": (0.0, 1.0)}
    assert c.fixed == {"cHd": 0.0, "cHB": 0.5, "cHD": 1.0}
    assert c.dependent == {"a": {"cHW": 2.0, "cHq3": -1.0}, "b": {"cHW": 3.0}}


def test_repeated_terms_add() -> None:
    c = Coefficients.parse({"x": {}, "a": {"constrain": [{"x": 2.0}, {"x": 0.5}]}})
    assert c.dependent == {"a": {"x": 2.5}}


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
        ({"mim": 0, "max": 1}, "unknown key 'mim'. Did you mean 'min'"),
        ({3: 0}, "unknown key 3"),
        ([0, 1], r"expected keys such as min and max, got \[0, 1\]"),
        ({"constrain": "yes"}, "constrain must be true or a list"),
        ({"constrain": 1}, "constrain must be true or a list"),
        ({"constrain": [{}]}, "constrain must be true or a list"),
        ({"constrain": [{"x": 1, "y": 2}]}, "only linear combinations"),
        ({"constrain": [{"x": [1, 2]}]}, "only linear combinations"),
        ({"constrain": [{"x": [1]}]}, "only linear combinations"),
        ({"constrain": [{"x": "two"}]}, "factor must be a finite number, got 'two'"),
        ({"constrain": [{"cHu": 1.0}]}, "constrained by 'cHu', not a free coefficient. Did you mean 'cHq'"),
        ({"constrain": [{"cHW": 1.0}]}, "constrained by 'cHW', not a free coefficient"),
        ({"constrain": [{5: 1.0}]}, "constrained by 5, not a free coefficient"),
        ({"constrain": True, "value": None}, "value must be a finite number, got None"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(entry: object, message: str) -> None:
    with pytest.raises(InputError, match=f"coefficient cHW.*{message}"):
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
