"""Which datasets of a card are meant, and in which folders their files are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest

Dataset = str | Mapping[str, Any]
"""An entry of `datasets`: a name, or a mapping {name, order, theory_cov}."""
Folders = str | Path | Sequence[str | Path] | None
"""One folder or several; None for that of the package `theory_tables`."""


@dataclass(frozen=True)
class Entry:
    """A dataset of a card: its name, the order of its corrections, and which theory covariance it takes."""

    name: str
    order: str
    theory_cov: str = "current"


@dataclass(frozen=True)
class Files:
    """Where the two files of a dataset are."""

    data: Path
    theory: Path


def parse_entries(datasets: Dataset | Sequence[Dataset], default_order: str) -> list[Entry]:
    """Return the entries of a card; raise InputError for unknown keys, no entry, and repeated names."""
    listed = [datasets] if isinstance(datasets, str | Mapping) else list(datasets)
    known = ("name", "order", "theory_cov")
    entries = []
    for item in listed:
        fields = {"name": item} if isinstance(item, str) else item
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
            raise InputError(f"a dataset is a name or a mapping {{name, order, theory_cov}}, got {item!r}")
        for key, value in fields.items():
            if key not in known:
                raise InputError(f"dataset {fields['name']}: unknown key {key!r}.{nearest(str(key), known)}")
            if not isinstance(value, str):
                raise InputError(f"dataset {fields['name']}: {key} must be text, got {value!r}")
        entries.append(Entry(**{"order": default_order, **fields}))
    names = [e.name for e in entries]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not names:
        raise InputError(
            f"datasets must be distinct and not none at all; given twice: {', '.join(twice) or '-'}"
        )
    return entries


def find_files(entries: Sequence[Entry], data_path: Folders, theory_path: Folders) -> list[Files]:
    """Return the files of every dataset, in order; without `theory_path` its file lies with the data.

    Raises InputError for folders that do not exist, for all datasets that are missing at once, and for a
    name that two folders hold.
    """
    data = _search(data_path, "commondata")
    theory = _search(data_path if theory_path is None else theory_path, "theory")
    known = [n for n in data if n in theory]
    missing, twice = [], []
    for name in (e.name for e in entries):
        lacks = [what for what, have in (("data", data), ("theory", theory)) if name not in have]
        if lacks:
            missing.append(f"{name} (no {' and no '.join(lacks)}).{nearest(name, known)}")
        twice += [paths for have in (data, theory) if len(paths := have.get(name, [])) > 1]
    if missing:
        raise InputError(
            f"datasets not found (data_path: {_said(data_path)}, "
            f"theory_path: {_said(data_path if theory_path is None else theory_path)}):\n  "
            + "\n  ".join(missing)
        )
    if twice:
        listing = "\n  ".join(" and ".join(map(str, paths)) for paths in twice)
        raise InputError(f"datasets found in two folders; rename or remove one of each:\n  {listing}")
    return [Files(data[e.name][0], theory[e.name][0]) for e in entries]


def _listed(path: Folders) -> list[Path] | None:
    if path is None:
        return None
    return [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]


def _said(path: Folders) -> str:
    return "theory_tables" if path is None else ", ".join(map(str, _listed(path) or []))


def _search(path: Folders, kind: str) -> dict[str, list[Path]]:
    """Return the files of all folders by name without suffix."""
    listed = _listed(path)
    folders = [Path(str(files("theory_tables"))) / kind] if listed is None else listed
    suffix = ".yaml" if kind == "commondata" else ".json"
    found: dict[str, list[Path]] = {}
    for folder in dict.fromkeys(p.resolve() for p in folders):
        if not os.path.isdir(folder):  # False, not an error, for an impossible name
            raise InputError(f"no such folder: {folder}; give data_path and theory_path")
        for file in folder.iterdir():
            if file.suffix == suffix:
                found.setdefault(file.stem, []).append(file)
    if not folders:
        raise InputError("data_path and theory_path name no folder; give at least one, or leave them out")
    return found
