"""The reader of pickles builds inert values, executes nothing, and ends with InputError for all else."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import pickle
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smeft_unbinned import pickled
from smeft_unbinned.errors import InputError
from smeft_unbinned.pickled import Call, Name, Pairs, describe, interpret


def thaw(value: object) -> Any:
    """Return the Python value that an inert one stands for."""
    if isinstance(value, Pairs):
        return {thaw(k): thaw(v) for k, v in value.items}
    if isinstance(value, list | tuple):
        return type(value)(thaw(x) for x in value)
    return value


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(max_size=300)
)
VALUES = st.recursive(
    SCALARS,
    lambda x: st.one_of(
        st.lists(x), st.tuples(x, x, x, x), st.tuples(x), st.tuples(), st.dictionaries(st.text(), x)
    ),
    max_leaves=30,
)


@given(VALUES, st.sampled_from([3, 4, 5]))
@settings(max_examples=80, deadline=None)
def test_plain_values_come_out_as_they_went_in(value: object, protocol: int) -> None:
    assert thaw(interpret(pickle.dumps(value, protocol))) == value


def test_shared_values_stay_shared() -> None:
    inner = [1, 2]
    first, second = interpret(pickle.dumps([inner, inner], 4))  # type: ignore[misc]
    assert first is second


def test_calls_and_names_are_symbols() -> None:
    value = interpret(pickle.dumps(np.float64(2.5), 4))
    assert isinstance(value, Call)
    assert isinstance(value.function, Name)
    assert value.function.short == "numpy.scalar"
    assert value.arguments[1] == struct.pack("<d", 2.5)
    assert isinstance(value.arguments[0], Call)
    assert value.arguments[0].state == (3, "<", None, None, None, -1, -1, 0)


class Command:
    """An object whose unpickling calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_is_executed_or_imported(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    commands = [
        Command(os.system, f"touch {mark}"),
        Command(eval, f"open({str(mark)!r}, 'w')"),
        Command(exec, f"open({str(mark)!r}, 'w')"),
        Command(importlib.import_module, "antigravity"),
        Command(open, str(mark), "w"),
        Command(builtins.__import__, "antigravity"),
    ]
    bodies = [pickle.dumps(c, protocol) for c in commands]
    for data, name in zip(
        bodies, ("system", "eval", "exec", "import_module", "open", "__import__"), strict=True
    ):
        value = interpret(data)
        assert isinstance(value, Call)
        assert name in describe(value)
    assert not mark.exists()
    assert "antigravity" not in sys.modules


BAD = {
    "empty": b"",
    "truncated": pickle.dumps({"a": [1.0, 2.0]}, 4)[:-4],
    "no stop": pickle.dumps({"a": 1}, 2)[:-1],
    "bytes after the end": pickle.dumps({"a": 1}, 2) + b"x",
    "protocol 0": pickle.dumps({"a": [1, "x", 2.5]}, 0),
    "protocol 1": pickle.dumps([2**70], 1),
    "text": b"mean,error\n1,2\n",
    "huge frame": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
    "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 2**64 - 1) + b"abc.",
    "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.",
    "negative length": b"\x80\x02\x8b" + struct.pack("<i", -5) + b".",
    "persistent": b"\x80\x02U\x01aQ.",
    "extension": b"\x80\x02\x82\x01.",
    "instance": b"\x80\x02(ios\nsystem\n.",
    "object": b"\x80\x02(cos\nsystem\no.",
    "out of band": b"\x80\x05\x97.",
    "stack underflow": b"\x80\x02R.",
    "mark underflow": b"\x80\x02t.",
    "pop below the mark": b"\x80\x02N(\x85.",
    "nothing left": b"\x80\x02.",
    "too much left": b"\x80\x02NN.",
    "mark left": b"\x80\x02N(.",
    "unknown memo": b"\x80\x02h\x05.",
    "odd items": b"\x80\x02}(Nu.",
    "append to a tuple": b"\x80\x02)Na.",
    "items of a list": b"\x80\x02]NNs.",
    "build a list": b"\x80\x02]Nb.",
    "build twice": b"\x80\x02cos\nsystem\n)R}b}b.",
    "call with a list": b"\x80\x02cos\nsystem\n]R.",
    "name of a number": b"\x80\x04K\x01K\x02\x93.",
    "endless name": b"\x80\x02c" + b"a" * 10_000,
    "name that is no text": b"\x80\x02c\xff\xff\n\xfe\n.",
    "name with a backslash": b"\x80\x02c\\]\n\\d\n.",
    "text that is no text": b"\x80\x02X\x02\x00\x00\x00\xff\xff.",
    "old integer": b"\x80\x02I" + b"9" * 100_000 + b"\n.",
    "old text": b"\x80\x02S'\\q'\n.",
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bytes_are_refused(case: str) -> None:
    with pytest.raises(InputError, match=r"^byte \d+: "):
        interpret(BAD[case])


@pytest.mark.parametrize("code", [b"]", b"(", b"}", b")", b"N", b"K\x01", b"(N", b"cos\nsystem\n"])
def test_a_program_that_is_too_long_is_refused(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled, "MAX_STEPS", 50_000)
    with pytest.raises(InputError, match="more than 50,000 instructions"):
        interpret(b"\x80\x02" + code * 60_000 + b".")


def test_memory_is_bounded_by_the_instructions() -> None:
    data = b"\x80\x02" + b"(" * 40_000 + b"]" * 40_000 + b"."
    tracemalloc.start()
    with pytest.raises(InputError, match="values left on the stack"):
        interpret(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]" + b"\x85" * 100_000 + b".",  # tuples in tuples
        b"\x80\x02cos\nsystem\nq\x00" + b"h\x00" * 100_000 + b")" + b"R\x85" * 100_001 + b".",
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02}q\x00K\x01h\x00s.",  # a dictionary that holds itself
        b"\x80\x02cos\nsystem\n)Rq\x00h\x00b.",  # an object that is its own state
    ],
)
def test_depth_and_loops_are_harmless(data: bytes) -> None:
    value = interpret(data)
    assert describe(value)
    del value


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"\x80\x05]", b"\x80\x02("]))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_a_value_or_an_input_error(data: bytes, head: bytes) -> None:
    with contextlib.suppress(InputError):
        assert describe(interpret(head + data + b"."))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**5000, "a huge number"),
        (7, "7"),
        ("x" * 500, "..."),
        ([1, 2], "a list of length 2"),
        (b"abc", "a bytes of length 3"),
        (Pairs([(1, 2)]), "a dictionary of 1 entries"),
        (Call(Name("os", "system"), ()), "a call of 'os.system'"),
        (Call(3, ()), "a call of 3"),
        (None, "None"),
    ],
)
def test_descriptions_are_short(value: object, words: str) -> None:
    assert words in describe(value)
    assert len(describe(value)) < 150
