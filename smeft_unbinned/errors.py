"""The error type of user mistakes, a special case of it, and the helpers that word it."""

from __future__ import annotations

import difflib
import importlib
import reprlib
from collections.abc import Iterable
from types import ModuleType

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 100, 100


class InputError(ValueError):
    """Input that cannot be used: the message says what came, what was expected and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class NonPositiveRatio(InputError):
    """A point at which the rate of an event is not positive, met by a likelihood with strict=True."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name most like `name`, or an empty string."""
    by_lower = {k.lower(): k for k in known}
    match = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[match[0]]!r}?" if match else ""


def brief(value: object) -> str:
    """Return what came, shortened, for a message; nested aliases of a YAML file can fill the memory."""
    return _SHORT.repr(value)


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency; raise InputError with the install hint when it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise InputError(
            f"this step needs the package {module!r}, which is not installed; "
            f"install it with: pip install 'smeft-unbinned[{extra}]'"
        ) from None
