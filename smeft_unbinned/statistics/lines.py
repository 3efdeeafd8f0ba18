"""Results of many toys in a file of JSON lines, written as they come, so that a second run goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..errors import InputError
from ..storage import make_folder

FORMAT = 1


class Lines:
    """One line of settings and then one per toy, each with its `number`; or memory alone without a folder.

    settings: of JSON types. What is in the file already was made with the same ones: numbers may differ in
    rounding, and anything else raises InputError naming what differs. A last line that was cut off is
    removed.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, name: str, settings: Mapping[str, Any]) -> None:
        self.done: dict[int, dict[str, Any]] = {}
        self._stream: TextIO | None = None
        if folder is None:
            return
        path = make_folder(folder) / name
        head = {"format": FORMAT, **settings}
        kept = self._read(path, head) if path.exists() else 0
        try:
            with path.open("r+b" if path.exists() else "wb") as raw:
                raw.truncate(kept)
            self._stream = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
        if not kept:
            self._write(head)

    def _read(self, path: Path, head: Mapping[str, Any]) -> int:
        """Read what is done and return how many bytes of whole lines there are."""
        kept = 0
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
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
        self._stream.write(json.dumps(entry) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
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
