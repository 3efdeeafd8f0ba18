"""The error type of user mistakes, a special case of it, and the helpers that word it."""

from __future__ import annotations

import difflib
import importlib
import reprlib
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from types import ModuleType

_SHORT = reprlib.Repr()
_KNOWN, _LONG = 2000, 200  # names that are compared, and characters of them: more take too long
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 100, 100


class InputError(ValueError):
    """Input that cannot be used: the message says what came, what was expected and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class NonPositiveRatio(InputError):
    """A point at which the rate of an event is not positive, met by a likelihood with strict=True."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name most like `name`, or an empty string."""
    by_lower = {k.lower(): k for k in islice(known, _KNOWN) if len(k) < _LONG}
    match = difflib.get_close_matches(str(name)[:_LONG].lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[match[0]]!r}?" if match else ""


def brief(value: object) -> str:
    """Return what came, shortened, for a message; nested aliases of a YAML file can fill the memory."""
    return _SHORT.repr(value)


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted."""
    return sorted(name for name, times in Counter(names).items() if times > 1)


def check_name(name: str) -> str:
    """Return the name of a coefficient or nuisance; raise InputError for one that no file can have.

    Results are files named after coefficients, and a name may come from a file that someone else made.
    """
    if name.startswith(".") or not name.isprintable() or {"/", "\\"} & {*name} or len(name) > 200:
        raise InputError(
            f"{brief(name)} is no name of a coefficient or nuisance: it has more than 200 characters, a "
            "slash, a control character or a leading dot; rename it"
        )
    return name


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
