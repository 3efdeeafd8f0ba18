"""Options and printing that several subcommands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.table import Table

from ..errors import InputError
from ..storage import check_target

console = Console() if Console().is_terminal else Console(width=120)
F = Callable[..., Any]


def _target(_: click.Context, __: click.Parameter, value: Path) -> Path:
    """Refuse a file that cannot be written before the work starts."""
    return check_target(value)


output_file = click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, callback=_target,
    help="File to write.",
)  # fmt: skip
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
luminosity_option = click.option("--luminosity", type=float, help="Integrated luminosity, fb^-1.")
efficiency_option = click.option(
    "--efficiency", type=float, default=1.0, show_default=True,
    help="All that multiplies the rate: branching fractions, acceptance, efficiency.",
)  # fmt: skip


def names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse a comma-separated list of names."""
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


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


def print_frame(frame: pd.DataFrame, title: str, digits: int = 4) -> None:
    """Print a frame of numbers as a table, the index as first column."""
    table = Table(title=title, title_justify="left")
    table.add_column(str(frame.index.name or ""))
    for column in frame.columns:
        table.add_column(str(column), justify="right", no_wrap=True)
    for name, row in frame.iterrows():
        cells = [f"{x:.{digits}g}" if isinstance(x, float) else str(x) for x in row]
        table.add_row(str(name), *cells)
    console.print(table)


def say(path: Path, what: str) -> None:
    """Tell which file was written."""
    console.print(f"wrote [bold]{path}[/bold]: {what}", highlight=False, soft_wrap=True)
