"""The progress bar of every long step: on standard error, so that results can be piped."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def progress_bar(enabled: bool) -> Progress:
    """Return a bar whose tasks take the field `note`, a few words beside it; hidden when not enabled."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not enabled)
