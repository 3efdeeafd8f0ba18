"""kill -9 at any moment: files are whole, old or absent, and the same command goes on to the same result."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands_run import Done, Running, run, succeed, temporary
from materials import COMMANDS, Command
from whole import SEED, check_end, check_left, inputs, put_old, whole

LOADING = 1.2
"""Seconds until a process that starts from nothing has loaded the package."""
KINDS = (("moment", "step"), ("temporary", "moment"), ("step", "step"), ("step", "moment"), ("cold", "step"))
"""Deaths in one folder, one after the other: at a moment, at the sight of a temporary file, at a step of
writing, and at a moment in a process that was not copied from another."""


def after(process: Running, seconds: float) -> None:
    """Kill a process after so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not process.ended():
        time.sleep(min(0.02, max(end - time.monotonic(), 0.0)))
    process.signal(signal.SIGKILL)


def at_temporary(process: Running, folder: Path, number: int) -> None:
    """Kill a process as soon as it has begun to write so many files."""
    seen = set(temporary(folder))
    wanted = len(seen) + number
    while len(seen) < wanted and not process.ended():
        seen |= set(temporary(folder))
    process.signal(signal.SIGKILL)


def killed(folder: Path, command: Command, rng: random.Random, kind: str) -> Done:
    """Run a command and kill it in some way."""
    arguments, results = command.seeded(SEED), len(whole(command).contents)
    if kind == "step":  # four steps for each file
        return run(
            folder, *arguments, faults=[("killed_at", (rng.randint(1, 4 * results), rng.random() < 0.5))]
        )
    process = Running(folder, *arguments, warm=kind != "cold")
    if kind == "temporary":
        at_temporary(process, folder, rng.randint(1, results))
    else:
        share = rng.uniform(0.9, 1.0) if rng.random() < 0.3 else rng.random()
        after(process, share * whole(command).seconds + LOADING * (kind == "cold"))
    return process.wait()


@pytest.mark.parametrize("command", COMMANDS, ids=[c.name for c in COMMANDS])
def test_a_killed_command_leaves_whole_files_and_goes_on(
    command: Command, tmp_path: Path, full: bool, tally: Callable[[str, int], None]
) -> None:
    """Twice in the same folder, then to the end."""
    rng, deaths = random.Random(command.name), 0
    for number, kinds in enumerate((*KINDS, *KINDS[1:], *KINDS[1:4]) if full else KINDS[:1]):
        folder, old = inputs(command, tmp_path / str(number)), rng.random() < 0.5
        if old:
            put_old(folder, command)
        for kind in kinds:
            done = killed(folder, command, rng, kind)
            assert done.code in (-signal.SIGKILL, 0), done
            deaths += done.code != 0
            check_left(folder, command, old)
        succeed(folder, *command.seeded(SEED))
        check_end(folder, command)
    tally("kill -9", deaths)
