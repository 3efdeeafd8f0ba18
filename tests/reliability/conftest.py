"""How far the tests of reliability go, and how much each of them has tried.

They run in a short form, and in full with SMEFT_UNBINNED_RELIABILITY=full, as `make reliability` does. A test
says what it did by `tally("kill -9", 12)`; the sums stand at the end of the run, and as JSON in the file that
SMEFT_UNBINNED_TALLY names.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FULL = os.environ.get("SMEFT_UNBINNED_RELIABILITY") == "full"
KEY = "reliability"


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether the tests go as far as they can instead of running in seconds."""
    return FULL


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Return a function (what, number) that adds to what was tried."""

    def add(what: str, number: int) -> None:
        record_property(KEY, [what, number])

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was tried by all tests, also those of other processes."""
    tried: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, value in (
                getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ()
            ):
                if key == KEY:
                    tried[value[0]] += value[1]
    if not tried:
        return
    terminalreporter.section("tried")
    for what, number in sorted(tried.items()):
        terminalreporter.line(f"{number:>10,}  {what}")
    if path := os.environ.get("SMEFT_UNBINNED_TALLY"):
        Path(path).write_text(json.dumps(dict(sorted(tried.items())), indent=1) + "\n")
