"""What every subcommand takes: --json, which collects all that it tells, and -v for what happens inside."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import click

from .options import KEY, console

_NAMES = ("smeft_unbinned", "plugins")
"""Loggers of the package."""


def with_common(command: click.Command) -> click.Command:
    """Return the command with --json, unless it has one of its own, and -v."""
    taken = {option for parameter in command.params for option in parameter.opts}
    if "--json" not in taken:
        command.params.append(
            click.Option(
                ["--json"], is_flag=True, expose_value=False, is_eager=True, callback=_collect,
                help="Print tables, files and notes as JSON, for scripts.",
            )
        )  # fmt: skip
    if "--verbose" not in taken:
        command.params.append(
            click.Option(
                ["-v", "--verbose"], count=True, expose_value=False, is_eager=True, callback=_log,
                help="Log what happens inside to standard error; twice for more.",
            )
        )  # fmt: skip
    return command


def _collect(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and KEY not in context.meta:
        context.meta[KEY] = {"tables": [], "files": [], "notes": []}
        console.begin_capture()


def finish(context: click.Context, error: str | None = None) -> None:
    """Print what --json has collected, and the error that ended the command, if any."""
    collected: dict[str, Any] | None = context.meta.pop(KEY, None)
    if collected is None:
        return
    text = [line for line in console.end_capture().splitlines() if line.strip()]
    content = {"error": error, **collected, "text": text}
    click.echo(json.dumps(content, indent=1, allow_nan=False, default=str))


def _log(context: click.Context, _: click.Parameter, value: int) -> None:
    if not value:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for name in _NAMES:
        logger = logging.getLogger(name)
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO if value == 1 else logging.DEBUG)
        context.call_on_close(lambda logger=logger, before=before: _quiet(logger, handler, before))


def _quiet(logger: logging.Logger, handler: logging.Handler, level: int) -> None:
    logger.removeHandler(handler)
    logger.setLevel(level)
