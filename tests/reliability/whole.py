"""What commands leave that nobody disturbs, and what disturbed ones have to agree with."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands_run import content, files, succeed, temporary
from materials import Command, copied, inputs_of, make

from smeft_unbinned import FitResult

KEPT = (
    "/fits/",
    "ultranest/",
    "unfinished/",
    ".checkpoint",
    "coverage.jsonl",
    "network-",
    "/zh-",
    "report_files.json",
)
"""What marks files from which a command goes on; they are not among its results."""
OLD = b"what was here before\n"
SEED = 1


@dataclass(frozen=True)
class Whole:
    """Contents of the files by name, and how long the command takes, in seconds."""

    contents: dict[str, Any]
    seconds: float


@functools.cache
def materials() -> Path:
    """Return a folder with all inputs, made once."""
    folder = Path(tempfile.mkdtemp(prefix="materials"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make(folder)
    return folder


def inputs(command: Command, folder: Path) -> Path:
    """Return a new folder with the inputs of a command."""
    return copied(materials(), folder, command)


@functools.cache
def whole(command: Command, seed: int = SEED) -> Whole:
    """Return what the command leaves."""
    with tempfile.TemporaryDirectory() as place:
        folder = inputs(command, Path(place).resolve() / "w")
        start = time.monotonic()
        succeed(folder, *command.seeded(seed))
        seconds = time.monotonic() - start
        assert temporary(folder) == []
        return Whole(made(folder, command), seconds)


def made(folder: Path, command: Command) -> dict[str, Any]:
    """Return the contents of all files but the inputs, by name."""
    given = inputs_of(folder, command)
    return {k: content(p, folder) for k, p in files(folder).items() if k not in given}


def put_old(folder: Path, command: Command) -> None:
    """Put files where the results will be."""
    for name in whole(command).contents:
        if not any(mark in name for mark in KEPT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(OLD)


def check_left(folder: Path, command: Command, old: bool) -> None:
    """Require that every file is an old one or a whole new one, and that no other name appears."""
    expected = whole(command).contents
    for name, path in files(folder).items():
        if name in inputs_of(folder, command) or name.endswith(("points.f64", ".jsonl")):
            continue
        if old and path.read_bytes() == OLD:
            continue
        found = content(path, folder)
        if name.endswith((".checkpoint", "report_files.json")) or "/unfinished/" in name:  # as far as it came
            continue
        assert name in expected, f"{name} is no file of the command"
        if command.name != "nested":  # its name in the folder holds the seed
            assert found == expected[name], f"{name} is another than that of an undisturbed run"


def check_end(folder: Path, command: Command) -> None:
    """Require the result of an undisturbed run, and no trace of what went wrong before."""
    found, expected = made(folder, command), whole(command).contents
    assert set(found) == set(expected)
    assert temporary(folder) == []
    if command.name == "nested":
        _check_nested(folder, expected["fit/fit_result.json"])
        return
    for name, value in found.items():
        assert value == expected[name], name


def _check_nested(folder: Path, expected: dict[str, Any]) -> None:
    """Require the same evidence within its error: a run that goes on draws other numbers."""
    result = FitResult.load(folder / "fit" / "fit_result.json")
    assert result.logz is not None
    assert result.logz_error is not None
    error = (result.logz_error**2 + expected["logz_error"] ** 2) ** 0.5
    assert abs(result.logz - expected["logz"]) < 5 * error
    assert result.best["cHW"] == pytest.approx(expected["best"]["cHW"], abs=0.3)
