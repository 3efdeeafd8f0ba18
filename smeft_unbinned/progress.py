"""The progress bar of every long step: on standard error, so that results can be piped."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

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
    console = Console(
        stderr=True, quiet=not enabled
    )  # some versions of rich end a hidden bar with a new line
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not enabled)


class Rate:
    """How many calls per second a long step makes, for the note beside its bar.

    `add` counts, `str` gives "1,234 calls/s": the mean since the start.
    clock: seconds since whenever, ever growing.
    """

    def __init__(self, what: str = "calls", clock: Callable[[], float] = monotonic) -> None:
        self.what = what
        self.calls = 0
        self._clock = clock
        self._start = clock()

    def add(self, calls: int = 1) -> None:
        """Count so many calls more."""
        self.calls += calls

    @property
    def per_second(self) -> float:
        """Calls per second since the start; 0 before any time went by."""
        seconds = self._clock() - self._start
        return self.calls / seconds if seconds > 0 else 0.0

    def __str__(self) -> str:
        rate = self.per_second
        return f"{rate:,.0f} {self.what}/s" if rate >= 10 else f"{rate:.2g} {self.what}/s"
