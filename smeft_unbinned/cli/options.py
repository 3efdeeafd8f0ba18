"""Options and printing that several subcommands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..errors import InputError, require
from ..storage import check_folder, check_target

console = Console() if Console().is_terminal else Console(width=120)
F = Callable[..., Any]
KEY = "smeft_unbinned.json"
"""Where the context of a command collects what it tells, when that is wanted as JSON."""


SEED = click.IntRange(0, 2**32 - 1)


def target(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file that cannot be written before the work starts."""
    return None if value is None else check_target(value)


def folder(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a folder that cannot be made before the work starts."""
    return None if value is None else check_folder(value)


def finite(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse nan and infinities."""
    if value is not None and not math.isfinite(value):
        raise InputError(f"{parameter.opts[0]} must be a finite number, got {value}")
    return value


def positive(_: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what is not a finite number above zero."""
    if value is not None and not 0 < value < math.inf:
        raise InputError(f"{parameter.opts[0]} must be a finite number above zero, got {value}")
    return value


def check_distinct(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse an output that is one of the inputs, which it would replace, or that is named twice."""
    taken = {path.resolve() for path in inputs if path is not None}
    for path in outputs:
        if path.resolve() in taken:
            raise InputError(f"{path} would be overwritten, but it is in use; choose another name")
        taken.add(path.resolve())


output_file = click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, callback=target,
    help="File to write.",
)  # fmt: skip
seed_option = click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Seed of every random choice."
)
luminosity_option = click.option(
    "--luminosity", type=float, callback=positive, help="Integrated luminosity, fb^-1."
)
efficiency_option = click.option(
    "--efficiency", type=float, default=1.0, show_default=True, callback=positive,
    help="All that multiplies the rate: branching fractions, acceptance, efficiency.",
)  # fmt: skip


def names(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse names separated by commas, where commas in brackets belong to a name; refuse an empty list."""
    if value is None:
        return None
    parts = tuple(part.strip() for part in re.split(r",(?![^\[]*\])", value) if part.strip())
    if not parts:
        raise InputError(f"{parameter.opts[0]} names nothing; give names separated by commas or leave it out")
    return parts


operators_option = click.option("--operators", callback=names, help="Coefficients, separated by commas.")


def assignments(values: tuple[str, ...], what: str) -> dict[str, float]:
    """Parse repeated NAME=NUMBER options; raise InputError for anything else."""
    result = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            result[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"{what} must read NAME=NUMBER, got {value!r}") from None
    return result


def edges(values: tuple[str, ...]) -> dict[str, list[float]]:
    """Parse repeated FEATURE=E0,E1,... options (inf allowed)."""
    result = {}
    for value in values:
        name, _, numbers = value.partition("=")
        try:
            result[name.strip()] = [float(x) for x in numbers.split(",")]
        except ValueError:
            raise InputError(f"--bins must read FEATURE=EDGE,EDGE,... got {value!r}") from None
    return result


def _collected(kind: str, entry: Any) -> bool:
    """Add to what is collected for --json; return whether anything is."""
    context = click.get_current_context(silent=True)
    if context is None or KEY not in context.meta:
        return False
    context.meta[KEY][kind].append(entry)
    return True


def _plain(value: Any) -> Any:
    """Return a value as JSON type; a number that is not finite becomes None."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def print_frame(frame: pd.DataFrame, title: str, digits: int = 4) -> None:
    """Print a frame of numbers as a table, the index as first column."""
    rows = [
        [_plain(index), *map(_plain, row)] for index, row in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    columns = [str(frame.index.name or ""), *map(str, frame.columns)]
    if _collected("tables", {"title": title, "columns": columns, "rows": rows}):
        return
    table = Table(title=escape(title), title_justify="left")
    table.add_column(escape(str(frame.index.name or "")))
    for column in frame.columns:
        table.add_column(escape(str(column)), justify="right", no_wrap=True)
    for name, row in frame.iterrows():
        cells = [f"{x:.{digits}g}" if isinstance(x, float) else str(x) for x in row]
        table.add_row(*(Text(cell) for cell in (str(name), *cells)))
    console.print(table)


def print_held_out(table: pd.DataFrame) -> None:
    """Print the errors of responses, `ResponseEstimator.held_out`."""
    print_frame(table.rename(columns={"up": "error up", "down": "error down"}), "responses to nuisances")
    console.print(
        "errors are of held-out events, over that of a constant: below 1 something was learned",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def say(path: Path, what: str) -> None:
    """Tell which file was written."""
    if _collected("files", {"path": str(path), "what": what}):
        return
    console.print(Text.assemble("wrote ", (str(path), "bold"), f": {what}"), highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Tell what the user should know about the result."""
    if _collected("notes", text):
        return
    console.print(Text.assemble(("note:", "yellow"), f" {text}"), highlight=False)


def say_figure(draw: Callable[[], Path], what: str) -> None:
    """Draw a figure and tell so; without matplotlib tell how to get it, since the work is done."""
    try:
        require("matplotlib", "plot")
    except InputError as error:
        note(f"no figure: {error}")
        return
    say(draw(), what)
