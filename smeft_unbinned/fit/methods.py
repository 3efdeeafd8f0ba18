"""Every way to fit by its name, for callers that leave the choice to the user."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..errors import InputError, brief, nearest
from ..likelihood import Likelihood
from .options import MinimumSearch, Nested, Sampling
from .result import FitResult

METHODS: Mapping[str, tuple[str, str, type | None]] = {
    "auto": ("auto", "auto", Sampling),
    "minuit": ("minuit", "minimise", MinimumSearch),
    "linear": ("linear", "solve", None),
    "laplace": ("laplace", "laplace", Sampling),
    "nuts": ("nuts", "nuts", Sampling),
    "ultranest": ("nested", "sample", Nested),
}
"""Module, function and options shared with others of each method; modules are imported when they are used."""
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
    module, name, _ = METHODS[method]
    function: Fit = getattr(importlib.import_module(f".{module}", __package__), name)
    return function


def options_of(method: str) -> tuple[str, ...]:
    """Return the names of the options of a method; raise InputError for an unknown method."""
    parameters = inspect.signature(function_of(method)).parameters.values()
    group = METHODS[method][2]
    return (
        *(p.name for p in parameters if p.kind is p.KEYWORD_ONLY),
        *(f.name for f in (fields(group) if group is not None else ())),
    )


def fit(likelihood: Likelihood, method: str = "minuit", **options: Any) -> FitResult:
    """Fit by a method with its own options, and `seed` and `progress` where it knows them.

    Raises InputError for an unknown method and for an option that the method does not have.
    """
    known = options_of(method)
    for name in options:
        if name not in known and name not in COMMON:
            raise InputError(
                f"method {method!r} has no option {name!r}; it has {', '.join(known)}.{nearest(name, known)}"
            )
    return function_of(method)(likelihood, **{k: v for k, v in options.items() if k in known})
