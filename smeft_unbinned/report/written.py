"""The files beside the page: those a report wrote are known to the next one, which removes what it lacks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..storage import write_text

MANIFEST = "report_files.json"
"""In the folder of the files: their names, and the SHA-256 of what was written."""
KIND = "report files"


@contextmanager
def tracked(folder: Path) -> Iterator[dict[str, str]]:
    """Take down what is written to a folder within; then remove what only an earlier report wrote.

    Gives a mapping to be filled, from the name of every file to its digest. Files that the manifest of the
    earlier report does not list, or that have changed since, stay. After an error nothing is removed, and the
    manifest has the files of both.
    """
    earlier, now = _known(folder), dict[str, str]()
    try:
        yield now
    except BaseException:
        _write(folder, {**earlier, **now})
        raise
    for name, digest in earlier.items():
        path = folder / name
        if name not in now and path.is_file() and not path.is_symlink() and _digest(path) == digest:
            path.unlink()
    _write(folder, now)


def take_down(now: dict[str, str], paths: Iterable[Path]) -> None:
    """Take down files that have just been written."""
    now.update({path.name: _digest(path) for path in paths})


def _known(folder: Path) -> dict[str, str]:
    """Return the files of the earlier report, empty where there is no manifest that can be read."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    files = content.get("files") if isinstance(content, dict) and content.get("kind") == KIND else None
    if not isinstance(files, dict):
        return {}
    # names alone: a path could lead out of the folder
    return {name: str(digest) for name, digest in files.items() if Path(name).name == name}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    content = {"kind": KIND, "files": dict(sorted(files.items()))}
    write_text(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
