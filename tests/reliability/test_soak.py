"""Nothing grows: memory over many calls and fits. A nested run of two ranks that was killed goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smeft_unbinned.fit.nested_run import POINTS

HERE = Path(__file__).parent
SOAK = HERE / "soak.py"
NESTED = HERE.parent / "fit" / "nested_example.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
GROWTH = 3.0
"""MB between a tenth of the work and its end: memory of the allocator, but no leak of one number a call."""
Tally = Callable[[str, int], None]


def soak(*arguments: object) -> dict[str, float]:
    command = [sys.executable, str(SOAK), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("kind", ["calls", "cycles"])
def test_memory_does_not_grow(kind: str, full: bool, tally: Tally, tmp_path: Path) -> None:
    number = {"calls": 1_000_000 if full else 50_000, "cycles": 1000 if full else 60}[kind]
    found = soak(kind, number, tmp_path)
    assert found["end"] - found["warm"] < GROWTH, found
    tally("likelihood calls without growth of memory" if kind == "calls" else "load and fit cycles", number)


def result(two_ranks: list[str], folder: Path) -> dict[str, object]:
    command = [*two_ranks, str(NESTED), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    first, second = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda r: r["rank"])
    assert {**first, "rank": 1} == second
    return dict(first)


def test_two_ranks_that_were_killed_go_on(
    two_ranks: list[str], full: bool, tally: Tally, tmp_path: Path
) -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    kept = 0
    for fraction in (0.2, 0.5, 0.8) if full else (0.5,):  # each kill goes on from what the last one left
        child = subprocess.Popen(
            [*two_ranks, str(NESTED), str(tmp_path), "0.02"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        try:
            wanted = int(fraction * 1400) * 8 * 10  # rows of ten numbers, about 1,400 points in all
            for _ in range(6000):
                kept = max((f.stat().st_size for f in tmp_path.glob(f"*/{POINTS}")), default=0)
                if kept > wanted or child.poll() is not None:
                    break
                time.sleep(0.01)
            assert child.poll() is None, "the run ended before it was killed"
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        tally("nested runs of two ranks killed", 1)
    resumed = result(two_ranks, tmp_path)
    assert max(f.stat().st_size for f in tmp_path.glob(f"*/{POINTS}")) >= kept
    whole = result(two_ranks, tmp_path / "undisturbed")
    assert abs(float(str(resumed["logz"])) - float(str(whole["logz"]))) < 4 * float(str(whole["error"]))
