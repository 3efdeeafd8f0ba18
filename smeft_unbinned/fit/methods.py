"""Every way to fit by its name, for callers that leave the choice to the user."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError, brief, nearest
from ..likelihood import Likelihood
from .result import FitResult

METHODS: Mapping[str, tuple[str, str]] = {
    "auto": ("auto", "auto"),
    "minuit": ("minuit", "minimise"),
    "linear": ("linear", "solve"),
    "laplace": ("laplace", "laplace"),
    "nuts": ("nuts", "nuts"),
    "ultranest": ("nested", "sample"),
}
"""Module and function of each method; modules are imported when they are used."""
SHARED = ("auto", "ultranest")
"""Methods whose work the processes under mpiexec share; they call them together."""
COMMON = ("seed", "progress")
"""Options that count for all methods; one that has no use for them does without."""
Fit = Callable[..., FitResult]


def function_of(method: str) -> Fit:
    """Return the function of a method; raise InputError for an unknown name."""
    if method not in METHODS:
        raise InputError(
            f"the method is one of {', '.join(METHODS)}, got {brief(method)}.{nearest(method, METHODS)}"
        )
    module, name = METHODS[method]
    function: Fit = getattr(importlib.import_module(f".{module}", __package__), name)
    return function


def accepted(method: str, option: str) -> bool:
    """Return whether the function of a method takes an option."""
    return option in inspect.signature(function_of(method)).parameters


def fit(likelihood: Likelihood, method: str = "minuit", **options: Any) -> FitResult:
    """Fit by a method with its own options, and `seed` and `progress` where it knows them.

    Raises InputError for an unknown method and for an option that the method does not have.
    """
    function = function_of(method)
    known = [name for name in inspect.signature(function).parameters if name != "likelihood"]
    for name in options:
        if name not in known and name not in COMMON:
            raise InputError(
                f"method {method!r} has no option {name!r}; it has {', '.join(known)}.{nearest(name, known)}"
            )
    return function(likelihood, **{k: v for k, v in options.items() if k in known})
