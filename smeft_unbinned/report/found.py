"""What lies in a folder of results: fits, scans, contours, trainings, diagnostics and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .. import storage
from ..comparison.result import FILE, Comparison
from ..errors import InputError
from ..fit import FitResult
from ..inputfile import read_json
from ..statistics.parts import unique
from .written import MANIFEST

EXPECTED = "fit_result.json, fits/*.json, scan_*.csv, contour_*.csv, *.model, report.json, comparison.json"
"""The files that are looked for, in a folder and in the folders directly in it."""
ALONE, PAIRED = "one at a time", "two at a time"

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Found:
    """Everything of one folder.

    label: what it is called on the page, unique. result: the fit of all coefficients, or None.
    alone: fits of one coefficient each, by its name. pairs: of two each, by their names.
    scans: (parameter, kind, frame with value and delta).
    contours: (a, b, frame with level, curve, a and b). trainings: by file, the losses of every epoch.
    diagnostics: by folder, content of report.json. comparisons: by folder.
    notes: files that could not be used, and why.
    """

    label: str
    folder: Path
    result: FitResult | None
    alone: Mapping[str, FitResult]
    pairs: Mapping[Pair, FitResult]
    scans: Sequence[tuple[str, str, pd.DataFrame]]
    contours: Sequence[tuple[str, str, pd.DataFrame]]
    trainings: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]
    diagnostics: Mapping[str, Mapping[str, Any]]
    comparisons: Mapping[str, Comparison]
    notes: Sequence[str]

    @property
    def empty(self) -> bool:
        """Whether nothing was found."""
        parts = (
            self.alone,
            self.pairs,
            self.scans,
            self.contours,
            self.trainings,
            self.diagnostics,
            self.comparisons,
        )
        return self.result is None and not any(parts)


def find(folders: Sequence[Path], say: Callable[[str], None]) -> list[Found]:
    """Read all folders; one that is given twice counts once. Of many files `say` is told which are read.

    Raises InputError for one that does not exist or holds nothing to report, and for a damaged fit result.
    """
    places = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    for place in places:
        if not place.is_dir():
            hint = "give the folder it is in" if place.exists() else "check the path"
            raise InputError(f"no such folder: {place}; {hint}")
    labels = unique(_labels(places))
    found = [_read(place, label, say) for place, label in zip(places, labels, strict=True)]
    for one in found:
        if one.empty:
            raise InputError(
                f"nothing to report in {one.folder}: it has none of {EXPECTED}; give the folder that "
                f"`smeft-unbinned fit` wrote{'; ' if one.notes else ''}{'; '.join(one.notes)}"
            )
    return found


def _labels(places: Sequence[Path]) -> list[str]:
    """Return the names of the folders, with the name of the parent where they are the same."""
    names = [place.name or str(place) for place in places]
    return [
        f"{place.parent.name}/{name}" if names.count(name) > 1 else name
        for place, name in zip(places, names, strict=True)
    ]


def _read(folder: Path, label: str, say: Callable[[str], None]) -> Found:
    notes: list[str] = []
    path = folder / "fit_result.json"
    partial = _partial(folder, notes, lambda text: say(f"{label}: {text}"))
    result = FitResult.load(path) if path.exists() else None
    return Found(
        label,
        folder,
        result,
        {names[0]: result for names, result in partial.items() if len(names) == 1},
        {(names[0], names[1]): result for names, result in partial.items() if len(names) == 2},
        list(_scans(folder, notes)),
        list(_contours(folder, notes)),
        dict(_trainings(folder, notes)),
        dict(_diagnostics(folder, notes)),
        dict(_comparisons(folder, notes)),
        notes,
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a pattern in a folder and the folders directly in it, but for those of reports."""
    files = [p for p in (*folder.glob(pattern), *folder.glob(f"*/{pattern}")) if p.is_file()]
    return sorted(p for p in files if not (p.parent / MANIFEST).exists())


def _partial(folder: Path, notes: list[str], say: Callable[[str], None]) -> dict[tuple[str, ...], FitResult]:
    """Return the fits of one or two coefficients each: in `fits`, or in subfolders beside a global fit.

    What `compare` keeps in a folder `fits` is of another kind.
    """
    owners = [p for p in (folder, folder / "individual", folder / "pairwise") if not (p / FILE).exists()]
    places = [owner / "fits" for owner in owners]
    found: dict[tuple[str, ...], FitResult] = {}
    paths = sorted(p for place in places for p in place.glob("*.json"))
    for k, path in enumerate(paths):
        say(f"fit {k + 1} of {len(paths)}")
        try:
            result = FitResult.load(path)
        except InputError as error:
            notes.append(str(error))
            continue
        if len(result.operators) in (1, 2):
            found[result.operators] = result
    return found


def _table(path: Path, columns: Sequence[str], notes: list[str]) -> pd.DataFrame | None:
    """Return a CSV file that has some columns of numbers; None, with a note, for any other file."""
    try:
        frame = pd.read_csv(path)
        for name in columns:
            frame[name] = pd.to_numeric(frame[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        notes.append(f"{path.name} was left out: {error!r}")
        return None
    return frame


def _scans(folder: Path, notes: list[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for path in _files(folder, "scan_*.csv"):
        name = path.stem.removeprefix("scan_")
        kind = "individual" if name.endswith("_individual") else "profile"
        frame = _table(path, ("value", "delta"), notes)
        if frame is not None:
            yield name.removesuffix("_individual"), kind, frame


def _contours(folder: Path, notes: list[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for path in _files(folder, "contour_*.csv"):
        frame = _table(path, ("level", "curve"), notes)
        if frame is not None and len(names := [n for n in frame if n not in ("level", "curve")]) == 2:
            yield str(names[0]), str(names[1]), frame


def _trainings(
    folder: Path, notes: list[str]
) -> Iterator[tuple[str, Sequence[Mapping[str, Sequence[float]]]]]:
    """Yield the training history of every model: estimators and responses."""
    for path in _files(folder, "*.model"):
        try:
            manifest = storage.read(path, None, mapped=True)[1]
        except InputError as error:
            notes.append(f"{path.name} was left out: {error}")
            continue
        if history := (manifest.get("metadata") or {}).get("history"):
            yield str(path.relative_to(folder)), history


def _diagnostics(folder: Path, notes: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the reports of `diagnose`, by the folder they are in."""
    for path in _files(folder, "report.json"):
        try:
            content = read_json(path, "report")
        except InputError as error:
            notes.append(f"{path.name} was left out: {error}")
            continue
        if isinstance(content, dict) and content.get("kind") == "diagnostics":
            yield str(path.parent.relative_to(folder)), content


def _comparisons(folder: Path, notes: list[str]) -> Iterator[tuple[str, Comparison]]:
    """Yield the results of `compare`, by the folder they are in."""
    for path in _files(folder, FILE):
        try:
            yield str(path.parent.relative_to(folder)), Comparison.load(path)
        except InputError as error:
            notes.append(f"{path.name} was left out: {error}")
