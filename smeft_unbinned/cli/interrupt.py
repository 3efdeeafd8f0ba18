"""What Ctrl-C and SIGTERM leave behind: a line with the folder of what is done, and exit code 130 or 143."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from click.exceptions import Exit

from ..errors import InputError
from ..locks import claim

_KEY = "smeft_unbinned.kept"


def keep(place: Path) -> None:
    """Note where the work of the running command is stored, and that the same command goes on from there."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_KEY] = place


def hold(target: Path) -> None:
    """Keep other runs out of a file or folder of results until the running command ends.

    Raises InputError where another one is at work.
    """
    click.get_current_context().with_resource(claim(target))


class Terminated(KeyboardInterrupt):
    """SIGTERM, with which batch systems end a job before they kill it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the work within as Ctrl-C does, unless the program around has its own use of it."""
    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def told_once(first: bool) -> Iterator[None]:
    """Leave mistakes and Ctrl-C, which all processes meet, to the first one to tell; the others just end."""
    try:
        yield
    except (InputError, KeyboardInterrupt) as error:
        if first:
            raise
        raise Exit(_kind(error).exit_code if isinstance(error, KeyboardInterrupt) else 2) from None


class Interrupted(click.ClickException):
    """Ctrl-C on its way to the terminal."""

    exit_code = 128 + signal.SIGINT  # what shells make of a signal
    word = "interrupted"

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


class Ended(Interrupted):
    """SIGTERM on its way to the terminal."""

    exit_code = 128 + signal.SIGTERM
    word = "terminated"


def interrupted(context: click.Context, cause: KeyboardInterrupt) -> Interrupted:
    """Return the error to raise in place of KeyboardInterrupt."""
    place, kind = context.meta.get(_KEY), _kind(cause)
    if place is None or not place.exists():
        return kind(f"{kind.word}; nothing is kept, the same command begins anew")
    return kind(f"{kind.word}; what is done is in {place}: the same command goes on")


def _kind(cause: KeyboardInterrupt) -> type[Interrupted]:
    return Ended if isinstance(cause, Terminated) else Interrupted
