"""Options of `train` that choose a method: each axis by name, common settings, and all others by --set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..catalogue import AXES
from ..errors import InputError
from .options import SEED, assignments

if TYPE_CHECKING:
    from ..estimators import TrainSettings

DEFAULTS: dict[str, object] = {
    "loss": "derivative", "head": "the first that the loss can train", "backbone": "mlp",
    "ensemble": "bootstrap", "prior_shape": "gaussian", "replicas": 10, "epochs": 40, "patience": 15,
    "hidden": "64,64,64", "rank": 0, "batch": 512, "learning_rate": 0.01, "validation": 0.1, "seed": 0,
    "device": "cpu",
}  # fmt: skip
"""What --help shows of TrainSettings and the entries that it names."""
ABOUT = {
    "loss": "What is minimised",
    "head": "How the ratio depends on the coefficients",
    "backbone": "The network",
    "ensemble": "How the members differ",
}
_KINDS: dict[type[Any], tuple[tuple[type[Any], ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a word"),
    tuple: ((list,), "numbers separated by commas"),
}


def _option(name: str, kind: Any, about: str, **more: Any) -> Callable[[Any], Any]:
    shown = f"  [default: {DEFAULTS[name]}]" if name in DEFAULTS else ""
    return click.option("--" + name.replace("_", "-"), name, type=kind, help=about + shown, **more)


def _axis(axis: str) -> Callable[[Any], Any]:
    """Return the option of an axis, which lists the entries of this package and of others by name."""

    def complete(_: click.Context, __: click.Parameter, start: str) -> list[str]:
        return [name for name in AXES[axis] if name.startswith(start)]

    about = f"{ABOUT[axis]}: {', '.join(AXES[axis])}."
    return _option(axis, str, about, metavar="NAME", shell_complete=complete)


_OPTIONS = (
    *(_axis(axis) for axis in ABOUT),
    click.option("--set", "more", multiple=True, metavar="NAME=VALUE",
                 help="Any other setting or option of the method, as alpha=2 or schedule=one-cycle; repeat."),
    click.option("--prior", multiple=True, metavar="OPERATOR=WIDTH",
                 help="Width in TeV^-2 of the coefficients at which ratios are compared; repeat for all. "
                 "Without it they are drawn by their effect on each event."),
    _option("prior_shape", click.Choice(("gaussian", "uniform")), "Shape of the prior."),
    _option("replicas", int, "Networks in the ensemble."),
    _option("epochs", int, "Passes over the events, at most."),
    _option("patience", int, "Epochs without improvement before a member stops."),
    _option("hidden", str, "Widths of the hidden layers.", metavar="WIDTHS"),
    _option("rank", int, "Squares in the ratio; 0 takes n + 1, at most 8."),
    _option("batch", int, "Events per step."),
    _option("learning_rate", float, "Peak learning rate."),
    _option("validation", float, "Fraction of the events held out for early stopping."),
    _option("seed", SEED, "Seed of every random choice."),
    _option("device", str, "cpu or cuda.", metavar="NAME"),
)  # fmt: skip
_NAMES = (*ABOUT, *(name for name in DEFAULTS if name not in ABOUT))


def method_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command takes them as keywords, for `settings_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_of(options: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> TrainSettings:
    """Return the settings that the options ask for; what is not given keeps the default of the method.

    base: the manifest of settings from which to start in place of the defaults.

    Raises InputError for unknown names, values of another type, and combinations that make no sense.
    """
    from ..estimators import TrainSettings

    given = given_options(options)
    settings = TrainSettings(**(base or {})).changed(**{k: v for k, v in given.items() if k in AXES})
    rest = {k: v for k, v in given.items() if k not in AXES}
    for name, value in rest.items():
        _check_type(name, value, [settings, *(getattr(settings, axis) for axis in AXES)])
    return settings.changed(**rest)


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings and options of entries that were given, by name."""
    given = {name: options[name] for name in _NAMES if options[name] is not None}
    if "hidden" in given:
        given["hidden"] = widths(given["hidden"])
    if options["prior"]:
        given["prior"] = assignments(options["prior"], "--prior")
    for text in options["more"]:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise InputError(f"--set must read NAME=VALUE, got {text!r}")
        if name in given:
            raise InputError(f"{name} is given twice; leave one out")
        given[name] = _value(value.strip())
    return given


def widths(text: str) -> list[int]:
    """Parse the value of --hidden, whole numbers separated by commas."""
    try:
        return [int(x) for x in text.split(",")]
    except ValueError:
        raise InputError(f"--hidden takes whole numbers separated by commas, got {text!r}") from None


def _value(text: str) -> Any:
    """Return a JSON value, a list of them without brackets, or the text itself."""
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json.loads(candidate, parse_constant=_refuse)
        except ValueError:
            continue
    return text


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _check_type(name: str, value: Any, places: Sequence[Any]) -> None:
    """Refuse a value of another type than the default; unknown names are refused later."""
    default = next((getattr(place, name) for place in places if hasattr(place, name)), None)
    types, words = _KINDS.get(type(default), ((object,), ""))
    if not isinstance(value, types) or (
        isinstance(value, bool) and default is not None and bool not in types
    ):
        raise InputError(f"{name} takes {words}, got {value!r}; the default is {default!r}")
