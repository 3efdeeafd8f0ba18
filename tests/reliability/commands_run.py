"""Commands as processes of their own, and what they leave behind: whole files, and the same as others."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smeft_unbinned import FitResult, storage

HERE = Path(__file__).parent
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "400", "NO_COLOR": "1"}
VARYING = ("seconds", "fitted")
"""Keys of durations in JSON, and of how much was done by the last call."""
ENDS = {
    ".png": b"IEND\xaeB`\x82", ".pdf": b"%%EOF\n", ".html": b"</html>\n", ".csv": b"\n", ".jsonl": b"\n",
}  # fmt: skip
"""How whole files end."""
Fault = tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class Done:
    """How a process ended: its exit code, or minus the number of the signal, and what it wrote."""

    code: int
    output: str
    errors: str

    @property
    def message(self) -> str:
        """The one line that tells what was wrong."""
        assert "Traceback" not in self.errors, self.errors
        lines = [
            x for x in self.errors.splitlines() if x.startswith(("Error: ", "interrupted", "terminated"))
        ]
        assert len(lines) == 1, self.errors
        return lines[0]


class Running:
    """A command under way, in a folder. warm: in a copy of a process that has the package loaded."""

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        faults: Sequence[Fault] = (),
        warm: bool = True,
        **environment: str,
    ) -> None:
        texts = [str(a) for a in arguments]
        self._process: subprocess.Popen[bytes] | None = None
        if not warm:
            assert not faults
            command = [str(Path(sys.executable).with_name("smeft-unbinned")), *texts]
            own = {**os.environ, **ENVIRONMENT, **environment}
            self._process = subprocess.Popen(
                command, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            self.pid = self._process.pid
            return
        self._ends, given = _pipes()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.connect(_server())
        request = {
            "arguments": texts, "folder": str(folder), "faults": list(faults),
            "environment": {**ENVIRONMENT, **environment},
        }  # fmt: skip
        socket.send_fds(self._connection, [json.dumps(request).encode()], given)
        for end in given:
            os.close(end)
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())

    def signal(self, number: int) -> None:
        """Send a signal; it does no harm when the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def ended(self) -> bool:
        """Return whether the process is no more."""
        if self._process is not None:
            return self._process.poll() is not None
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    def wait(self, seconds: float = 120.0) -> Done:
        """Wait for the end."""
        if self._process is not None:
            output, errors = self._process.communicate(timeout=seconds)
            return Done(self._process.returncode, output.decode(), errors.decode())
        self._connection.settimeout(seconds)
        try:
            code = int(self._answers.readline())
        finally:
            self.signal(signal.SIGKILL)
            self._answers.close()
            self._connection.close()
            texts = [_read(end) for end in self._ends]
        return Done(code, *texts)


def run(folder: Path, *arguments: object, **options: Any) -> Done:
    """Run a command to its end."""
    return Running(folder, *arguments, **options).wait()


def succeed(folder: Path, *arguments: object, **options: Any) -> Done:
    """Run a command, which has to succeed."""
    done = run(folder, *arguments, **options)
    assert done.code == 0, (arguments, done)
    return done


def _pipes() -> tuple[list[int], list[int]]:
    pairs = [os.pipe(), os.pipe()]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def _read(end: int) -> str:
    with os.fdopen(end, "rb") as stream:
        return stream.read().decode()


@functools.cache
def _server() -> str:
    """Start the process that others are copied from, unless it runs, and return where it listens."""
    folder = Path(tempfile.mkdtemp(prefix="forking"))
    place = folder / "socket"
    environment = {**os.environ, **ENVIRONMENT}
    process = subprocess.Popen(
        [sys.executable, HERE / "forking.py", place], stdin=subprocess.PIPE, env=environment
    )

    def close() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(close)
    for _ in range(600):
        assert process.poll() is None
        if place.exists():
            return str(place)
        time.sleep(0.1)
    raise AssertionError("the package was not loaded")


def files(folder: Path) -> dict[str, Path]:
    """Return the files in a folder and below by their names relative to it, without temporary ones."""
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {k: p for k, p in found.items() if not p.name.startswith(".")}


def temporary(folder: Path) -> list[str]:
    """Return the names of temporary files and locks in a folder and below."""
    return sorted(p.name for p in folder.rglob(".*") if p.is_file())


def content(path: Path, base: Path) -> Any:
    """Return what a file holds, without times and without the name of the folder `base`.

    It has to be whole: for the files of the package all checksums are checked, for others the ends.
    """
    data, suffix = path.read_bytes(), path.suffix
    if suffix in (".events", ".model", ".dataset", ".checkpoint"):
        arrays, manifest = storage.read(path, None)
        return {k: hashlib.sha256(a.tobytes()).hexdigest() for k, a in arrays.items()}, _steady(manifest)
    assert data.endswith(ENDS.get(suffix, b"")), f"{path} ends early"
    data = data.replace(str(base).encode(), b".")
    if suffix == ".json":
        if b'"fit result"' in data:
            FitResult.load(path)
        return _steady(json.loads(data))
    if suffix == ".yaml":
        return yaml.safe_load(data)
    return re.sub(rb"[\d.,]+ s\b", b"", data) if suffix == ".html" else data


def _steady(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _steady(v) for k, v in value.items() if k not in VARYING}
    return [_steady(v) for v in value] if isinstance(value, list) else value
