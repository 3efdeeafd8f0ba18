"""Results of many toys in a file of JSON lines, written as they come, so that a second run goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypedDict

import numpy as np

from ..errors import InputError
from ..locks import lock
from ..storage import make_folder

FORMAT = 1


class RunOptions(TypedDict, total=False):
    """How many toys or replicas are run.

    seed: of the random numbers; number k depends on it and on k alone. Default 0.
    folder: where results are kept as they come, one JSON line each: a second call with the same arguments
        goes on where a first one was stopped, and more of them add to those that are there. Default: nowhere.
    progress: show a progress bar; default False.
    """

    seed: int
    folder: str | os.PathLike[str] | None
    progress: bool


@dataclass(frozen=True)
class Run:
    """`RunOptions` with a value for each."""

    seed: int = 0
    folder: str | os.PathLike[str] | None = None
    progress: bool = False


class Lines:
    """One line of settings and then one per toy, each with its `number`; or memory alone without a folder.

    settings: of JSON types. What is in the file already was made with the same ones: numbers may differ in
    rounding, and anything else raises InputError naming what differs. A last line that was cut off is
    removed. Raises InputError, too, where another run writes to the file, and where the disk is full.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, name: str, settings: Mapping[str, Any]) -> None:
        self.done: dict[int, dict[str, Any]] = {}
        self._stream: TextIO | None = None
        if folder is None:
            return
        path = make_folder(folder) / name
        self._path, head = path, {"format": FORMAT, **settings}
        try:
            self._stream = path.open("a", encoding="utf-8")
            if not lock(self._stream.fileno()):
                raise InputError(
                    f"another run is writing to {path}; wait until it is done, or choose another folder"
                )
            kept = self._read(path, head)
            self._stream.truncate(kept)
        except OSError as error:
            self.close()
            raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
        except InputError:
            self.close()
            raise
        if not kept:
            self._write(head)

    def _read(self, path: Path, head: Mapping[str, Any]) -> int:
        """Read what is done and return how many bytes of whole lines there are."""
        kept = 0
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except (ValueError, RecursionError):
                entry = None
            if not isinstance(entry, dict) or (kept and not isinstance(entry.get("number"), int)):
                break
            if kept == 0:
                self._check(path, entry, head)
            else:
                self.done[int(entry["number"])] = entry
            kept += len(line)
        return kept

    def _check(self, path: Path, found: Mapping[str, Any], head: Mapping[str, Any]) -> None:
        differ = [key for key in {**head, **found} if not _alike(found.get(key), head.get(key))]
        if differ:
            raise InputError(
                f"{path} was made with other settings ({', '.join(differ)}); choose another folder, or "
                "remove it to start anew"
            )

    def add(self, number: int, entry: Mapping[str, Any]) -> None:
        """Keep the result of one toy."""
        self.done[number] = {"number": number, **entry}
        if self._stream is not None:
            self._write(self.done[number])

    def _write(self, entry: Mapping[str, Any]) -> None:
        assert self._stream is not None
        try:
            self._stream.write(json.dumps(entry) + "\n")
            self._stream.flush()
        except OSError as error:
            raise InputError(
                f"cannot write {self._path}: {error.strerror}; make room, and the same command goes on"
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            with contextlib.suppress(OSError):  # of a full disk, which was told when it was met
                self._stream.close()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return bool(np.isclose(a, b, rtol=1e-6, atol=1e-6))
    return bool(a == b)
