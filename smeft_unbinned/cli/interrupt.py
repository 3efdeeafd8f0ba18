"""What Ctrl-C leaves behind: one line with the folder of what is done, and exit code 130."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import click

_KEY = "smeft_unbinned.kept"


def keep(place: Path) -> None:
    """Note where the work of the running command is stored, and that the same command goes on from there."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_KEY] = place


class Interrupted(click.ClickException):
    """Ctrl-C on its way to the terminal."""

    exit_code = 130

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


def interrupted(context: click.Context) -> Interrupted:
    """Return the error to raise in place of KeyboardInterrupt."""
    place = context.meta.get(_KEY)
    if place is None:
        return Interrupted("interrupted; nothing is kept, the same command begins anew")
    return Interrupted(f"interrupted; what is done is in {place}: the same command goes on")
