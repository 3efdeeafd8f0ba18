"""What Ctrl-C leaves behind: one line with the folder of what is done, and exit code 130."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from click.exceptions import Exit

from ..errors import InputError

_KEY = "smeft_unbinned.kept"


def keep(place: Path) -> None:
    """Note where the work of the running command is stored, and that the same command goes on from there."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_KEY] = place


@contextmanager
def told_once(first: bool) -> Iterator[None]:
    """Leave mistakes and Ctrl-C, which all processes meet, to the first one to tell; the others just end."""
    try:
        yield
    except (InputError, KeyboardInterrupt) as error:
        if first:
            raise
        raise Exit(Interrupted.exit_code if isinstance(error, KeyboardInterrupt) else 2) from None


class Interrupted(click.ClickException):
    """Ctrl-C on its way to the terminal."""

    exit_code = 130

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


def interrupted(context: click.Context) -> Interrupted:
    """Return the error to raise in place of KeyboardInterrupt."""
    place = context.meta.get(_KEY)
    if place is None or not place.exists():
        return Interrupted("interrupted; nothing is kept, the same command begins anew")
    return Interrupted(f"interrupted; what is done is in {place}: the same command goes on")
