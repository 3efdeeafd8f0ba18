"""Readers against damaged files, in a process of its own: limited in memory and time, and seen to die.

`Worker.run` asks the process for cases of a format by number. Each number makes one file from the seed file,
always the same one. What is found are cases that end in neither a result nor InputError, that take too long
or too much memory, that kill the process, or that give numbers which are not finite.
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from hostile_formats import FORMATS
from hostile_seeds import make

from smeft_unbinned.errors import InputError

SECONDS = 5.0
"""Longest time of a case, of the processor; other work on the machine does not count."""
WAIT = 30.0
"""Longest time of a case by the clock, for what waits for a device or a pipe."""
MEMORY = 2**30
"""Most bytes by which the process can grow."""
LARGEST = 3 * 2**28
"""Most bytes that a case may take; less, since at the limit any reader fails in an orderly way."""
GRACE = 60.0
"""Seconds without an answer after which the process is killed, stuck where no signal reaches it."""


class Hang(BaseException):
    """A case that takes too long; no reader catches it."""


class Worker:
    """A process that reads damaged files, started again after every death.

    folder: for seed files and damaged ones; made by the process at its first start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    def _start(self) -> subprocess.Popen[str]:
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, str(Path(__file__).resolve()), str(self.folder)]
        with (self.folder / "stderr").open("w") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1,
                env=variables,
            )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError((self.folder / "stderr").read_text())
        return process

    def run(self, name: str, start: int, stop: int) -> tuple[int, list[str]]:
        """Return how many of the cases start <= number < stop were read as sound, and what failed."""
        sound, failures = 0, []
        while start < stop:
            answer = self._ask({"format": name, "start": start, "stop": stop})
            sound += answer["sound"]
            failures += [f"{name}, case {k}: {what}" for k, what in answer["failures"]]
            start = answer["next"]
        return sound, failures

    def read(self, name: str, path: Path) -> str:
        """Return "" for a file that is read, "InputError: ..." for one refused, and else what went wrong."""
        return str(self._ask({"format": name, "path": str(path)})["outcome"])

    def attempt(self, name: str, data: bytes) -> str:
        """Return what `read` does of these bytes in place of the seed file of a format."""
        place = self.folder / "work" / FORMATS[name].file
        place.write_bytes(data)
        try:
            return self.read(name, place)
        finally:
            place.write_bytes(self.seed(name))

    def seed(self, name: str) -> bytes:
        """Return the sound file of a format."""
        self._process = self._process or self._start()
        return (self.folder / "seeds" / FORMATS[name].file).read_bytes()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._process = self._process or self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        stuck = ""
        while not select.select([self._process.stdout], [], [], GRACE)[0]:
            before, stuck = stuck, self._progress()
            if stuck == before:
                return self._died(request, "never ends")
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else self._died(request, "")
        return answer

    def _progress(self) -> str:
        path = self.folder / "progress"
        return path.read_text() if path.exists() else ""

    def _died(self, request: dict[str, Any], what: str) -> dict[str, Any]:
        """Return what a case did that the process did not survive."""
        assert self._process is not None
        code = self._end()
        what = what or f"kills the process, exit code {code}"
        if "path" in request:
            return {"outcome": what}
        number = int(self._progress())
        return {"sound": 0, "failures": [[number, what]], "next": number + 1}

    def _end(self) -> int:
        """Kill the process and return its exit code."""
        assert self._process is not None
        self._process.kill()
        with self._process:  # closes the pipes
            code = self._process.wait()
        self._process = None
        return code

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end()


def _stop(signum: int, frame: FrameType | None) -> None:
    raise Hang


def _watch(on: bool) -> None:
    signal.setitimer(signal.ITIMER_PROF, SECONDS if on else 0.0)
    signal.setitimer(signal.ITIMER_REAL, WAIT if on else 0.0)


def _limit() -> None:
    """Let the process grow by MEMORY at most."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _attempt(read: Any, path: Path) -> str:
    """Return "" for a file that is read, and how reading it ended otherwise."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _watch(True)
    try:
        for array in read(path):
            if not np.all(np.isfinite(np.asarray(array, dtype=float))):
                return "gives numbers that are not finite"
    except InputError as error:
        _watch(False)
        return _grown(before) or f"InputError: {error}"[:2000]
    except Hang:
        where = traceback.extract_tb(sys.exc_info()[2])[-1]
        return f"takes more than {SECONDS:g} s, {where.filename}:{where.lineno}"
    except BaseException as error:
        _watch(False)
        own = [f for f in traceback.extract_tb(error.__traceback__) if "smeft_unbinned" in f.filename]
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
        return f"{type(error).__name__} at {where}: {str(error)[:200]}"
    finally:
        _watch(False)
    return _grown(before)


def _grown(before: int) -> str:
    """Return what a case took of memory if that is too much, before it being the most until then, in KiB."""
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return f"takes {grown >> 20} MiB of memory" if grown > LARGEST else ""


def _cases(folder: Path, name: str, start: int, stop: int) -> dict[str, Any]:
    what = FORMATS[name]
    data, place = (folder / "seeds" / what.file).read_bytes(), folder / "work" / what.file
    sound, failures = 0, []
    with (folder / "progress").open("w") as progress:
        for number in range(start, stop):
            progress.seek(0)
            progress.write(f"{number}\n")
            progress.flush()
            place.write_bytes(what.damage(data, random.Random(f"{name} {number}")))
            outcome = _attempt(what.read, place)
            sound += not outcome
            if outcome and not outcome.startswith("InputError"):
                failures.append([number, outcome])
    place.write_bytes(data)
    return {"sound": sound, "failures": failures, "next": stop}


def main(folder: Path) -> None:
    """Answer requests, one per line, until the input ends."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what native libraries print is no answer
    signal.signal(signal.SIGALRM, _stop)
    signal.signal(signal.SIGPROF, _stop)
    if not (folder / "seeds").exists():
        make(folder / "seeds")
    shutil.rmtree(folder / "work", ignore_errors=True)
    shutil.copytree(folder / "seeds", folder / "work")
    for name, what in FORMATS.items():  # what is imported on the way does not count as memory of a case
        if outcome := _attempt(what.read, folder / "work" / what.file):
            raise SystemExit(f"{name}: the sound file is not read: {outcome}")
    _limit()
    answers.write("ready\n")
    for line in sys.stdin:
        request = json.loads(line)
        if "path" in request:
            answer = {"outcome": _attempt(FORMATS[request["format"]].read, Path(request["path"]))}
        else:
            answer = _cases(folder, request["format"], request["start"], request["stop"])
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
