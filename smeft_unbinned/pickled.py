"""Pickles read without being executed: what a file says, as inert values.

A pickle is a program for a stack machine, and loading one runs whatever function it names. Here its
instructions, split by `pickletools.genops`, only ever build numbers, texts, bytes, tuples, lists and `Pairs`;
where the program names a function or calls one, a `Name` or a `Call` stands in the result for the caller to
recognise. Nothing is imported, called or compared, and what is built takes no more memory than the length of
the file allows.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from .errors import InputError, brief

MAX_STEPS = 2_000_000
"""Instructions of the longest program; a file of 1,000 matrices has some 300,000."""
MAX_LINE = 500
"""Bytes of a line of text, which only the name of a module or of what is taken from it may be."""
_VALUES = frozenset((
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
))  # fmt: skip
"""Instructions that put their argument on the stack."""
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": lambda: Pairs(),
}  # fmt: skip


@dataclass(eq=False, frozen=True, repr=False)
class Name:
    """Something that the program takes from a module, which is not imported."""

    module: str
    attribute: str

    @property
    def short(self) -> str:
        """Package and name, whatever the module in between, which changes with versions: "numpy.dtype"."""
        package = self.module.split(".")[0]
        return f"{'builtins' if package == '__builtin__' else package}.{self.attribute}"


@dataclass(eq=False, repr=False)
class Call:
    """A call that the program makes, or an object that it creates, and the state that it then gives that."""

    function: object
    arguments: tuple[object, ...]
    created: bool = False
    state: object = None


@dataclass(eq=False, repr=False)
class Pairs:
    """A dictionary as the keys and values in the order in which they were put in."""

    items: list[tuple[object, object]] = field(default_factory=list)


def describe(value: object) -> str:
    """Return what a value is in a few words, without looking inside of lists."""
    if isinstance(value, Call):
        return f"a call of {describe(value.function)}"
    if isinstance(value, Name):
        return brief(f"{value.module}.{value.attribute}")
    if isinstance(value, Pairs):
        return f"a dictionary of {len(value.items)} entries"
    if isinstance(value, str | float | bool | None):
        return brief(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 2**63 else "a huge number"
    size = f" of length {len(value)}" if isinstance(value, bytes | bytearray | tuple | list) else ""
    return f"a {type(value).__name__}{size}"


class _Source(io.BytesIO):
    """A program of protocol 2 or later; the lines of text of earlier ones, slow to parse, are refused."""

    def readline(self, size: int | None = -1, /) -> bytes:
        before = self.tell() - 1
        if self.getbuffer()[before] not in b"c\n":  # the instruction GLOBAL, or the first of its two lines
            raise ValueError("an instruction of an early protocol")
        line = super().readline(MAX_LINE)
        if not line.endswith(b"\n") or b"\\" in line:
            raise ValueError(f"a name of more than {MAX_LINE} bytes, or with a backslash")
        return line


class _Machine:
    """The stack, the marks in it, and the values that the program remembers."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("the stack is empty")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("a mark is missing")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind: type) -> Any:
        value = self.pop()
        self.stack.append(value)
        if not isinstance(value, kind):
            raise ValueError(f"a change of {describe(value)}")
        return value

    def call(self, function: object, arguments: object, created: bool) -> None:
        if not isinstance(arguments, tuple):
            raise ValueError(f"a call with {describe(arguments)}")
        self.stack.append(Call(function, arguments, created))

    def name(self, module: object, attribute: object) -> None:
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise ValueError(f"the name {describe(attribute)} in {describe(module)}")
        self.stack.append(Name(module, attribute))

    def step(self, code: str, argument: Any) -> None:
        """Carry out one instruction."""
        if code in _VALUES:
            self.stack.append(argument)
        elif code in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if code == "MEMOIZE" else argument] = self.top(object)
        elif code in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise ValueError("a value that was not remembered")
            self.stack.append(self.memo[argument])
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code]())
        elif code == "MARK":
            self.marks.append(len(self.stack))
        elif code == "TUPLE":
            self.stack.append(tuple(self.since_mark()))
        elif code in ("TUPLE1", "TUPLE2", "TUPLE3"):
            values = [self.pop() for _ in range(int(code[-1]))]
            self.stack.append(tuple(reversed(values)))
        elif code in ("APPEND", "APPENDS"):
            values = [self.pop()] if code == "APPEND" else self.since_mark()
            self.top(list).extend(values)
        elif code in ("SETITEM", "SETITEMS"):
            values = [self.pop(), self.pop()][::-1] if code == "SETITEM" else self.since_mark()
            self.top(Pairs).items.extend(zip(values[::2], values[1::2], strict=True))
        elif code == "GLOBAL":
            self.name(*str(argument).split(" ", 1))
        elif code == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            self.name(module, attribute)
        elif code in ("REDUCE", "NEWOBJ"):
            arguments, function = self.pop(), self.pop()
            self.call(function, arguments, code == "NEWOBJ")
        elif code == "BUILD":
            state, target = self.pop(), self.top(Call)
            if target.state is not None:
                raise ValueError("an object whose state is set twice")
            target.state = state
        elif code not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"the instruction {code}")


def interpret(data: bytes) -> object:
    """Return what a pickle describes, of protocol 2 or later, as inert values.

    Raises InputError for bytes that are no such pickle, with the position and the reason.
    """
    machine, position = _Machine(), 0
    try:
        for steps, (operation, argument, at) in enumerate(pickletools.genops(cast(Any, _Source(data)))):
            position = cast(int, at)
            if steps >= MAX_STEPS:
                raise ValueError(f"more than {MAX_STEPS:,} instructions")
            if operation.name == "FRAME" and int(argument or 0) > len(data):
                raise ValueError("a frame that is longer than the file")
            machine.step(operation.name, argument)
        if position != len(data) - 1:
            raise ValueError(f"{len(data) - 1 - position} bytes after its end")
        result: object = machine.pop()
        if machine.stack or machine.marks:
            raise ValueError("values left on the stack")
    except (ValueError, TypeError) as error:
        raise InputError(f"byte {position}: {brief(str(error))}") from error
    return result
