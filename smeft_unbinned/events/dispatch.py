"""read_events: any file of simulated events, by its ending."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from .. import yamlfile
from ..errors import InputError, brief
from ..rules import number
from .events import Events
from .lhe import read_lhe
from .madminer import read_madminer
from .morphing import NonPositive
from .root import read_root
from .table import read_table

if TYPE_CHECKING:
    from typing_extensions import Unpack

ENDINGS = {
    "LHE": (".lhe", ".lhe.gz"),
    "MadMiner": (".h5", ".hdf5"),
    "ROOT": (".root",),
    "table": (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz"),
}
"""File formats by name, and the endings they are known by."""


def file_format(path: str | os.PathLike[str]) -> str:
    """Return the name of the format; raise InputError for an unknown ending."""
    name = Path(path).name.lower()
    for kind, endings in ENDINGS.items():
        if name.endswith(endings):
            return kind
    known = ", ".join(e for endings in ENDINGS.values() for e in endings)
    raise InputError(f"cannot tell the format of {path} by its name; known endings are {known}")


class FileOptions(TypedDict, total=False):
    """Options of which each format of files knows some; one left out or None is up to the reader.

    operators: those to keep.
    nominal: branch or column that multiplies every weight (ROOT, tables).
    cross_section_pb: SM cross section in pb that the SM weights are scaled to sum to (ROOT, tables).
    non_positive: "error" or "drop" for events whose SM weight is not positive.
    max_events: read at most so many (LHE, MadMiner).
    """

    operators: Sequence[str] | None
    nominal: str | None
    cross_section_pb: float | None
    non_positive: NonPositive | None
    max_events: int | None


@dataclass(frozen=True)
class Given:
    """`FileOptions`, None for those left out."""

    operators: Sequence[str] | None = None
    nominal: str | None = None
    cross_section_pb: float | None = None
    non_positive: NonPositive | None = None
    max_events: int | None = None


def read_events(
    paths: Sequence[str | os.PathLike[str]],
    *,
    observables: Mapping[str, str] | Sequence[str] | None = None,
    points: str | os.PathLike[str] | None = None,
    tree: str = "Events",
    progress: bool = False,
    **options: Unpack[FileOptions],
) -> Events:
    """Read one or several files of one format (see ENDINGS) with the reader of that format.

    observables: features to compute (LHE), keep (MadMiner), or read, as a list or {feature: column}.
    points: file with the points of the weights: YAML {weight: {operator: value in TeV^-2}}, or for ROOT also
        a MadGraph reweighting card. LHE and MadMiner files bring their own.
    tree: see `read_root`. options: see `FileOptions`.
    Raises InputError for mixed formats, and for options that the format does not know.
    """
    kinds = {file_format(p) for p in paths}
    if len(kinds) != 1:
        raise InputError(f"give files of one format, got {', '.join(sorted(kinds)) or 'none'}")
    kind = kinds.pop()
    wanted = {"observables": observables, "points": points, **vars(Given(**options))}
    given = {name: value for name, value in wanted.items() if value is not None}
    return _READERS[kind]([Path(p) for p in paths], given, tree, progress)


def _lhe(paths: list[Path], options: dict[str, Any], _: str, progress: bool) -> Events:
    _only(options, "LHE", "observables", "points", "operators", "max_events")
    if "points" in options:
        options["points"] = read_points(options["points"])
    return read_lhe(paths, progress=progress, **options)


def _madminer(paths: list[Path], options: dict[str, Any], _: str, __: bool) -> Events:
    _only(options, "MadMiner", "observables", "operators", "max_events")
    if len(paths) != 1:
        raise InputError(f"give one MadMiner file, got {len(paths)}; MadMiner itself combines samples")
    keep = options.pop("operators", None)
    events = read_madminer(paths[0], **options)
    if keep is None or events.truth is None or events.cross_section is None:
        return events
    truth, sigma = (form.restrict(keep).dense() for form in (events.truth, events.cross_section))
    return Events(events.features, truth, events.weights, sigma, events.metadata)


def _root(paths: list[Path], options: dict[str, Any], tree: str, progress: bool) -> Events:
    _only(options, "ROOT", "observables", "points", "operators", "nominal", "cross_section_pb")
    if "observables" not in options:
        raise InputError("ROOT files need the branches that become features: observables=, such as Jet_pt[0]")
    if "points" in options and str(options["points"]).lower().endswith((".yaml", ".yml", ".json")):
        options["points"] = read_points(options["points"])
    return read_root(paths, tree, progress=progress, **options)


def _table(paths: list[Path], options: dict[str, Any], _: str, progress: bool) -> Events:
    _only(options, "table", "observables", "points", "operators", "nominal", "cross_section_pb")
    if "points" in options:
        options["points"] = read_points(options["points"])
    features = options.pop("observables", None)
    return read_table(paths, features=features, progress=progress, **options)


_READERS: dict[str, Callable[[list[Path], dict[str, Any], str, bool], Events]] = {
    "LHE": _lhe,
    "MadMiner": _madminer,
    "ROOT": _root,
    "table": _table,
}


def _only(options: Mapping[str, Any], kind: str, *known: str) -> None:
    extra = [name for name in options if name not in (*known, "non_positive")]
    if extra:
        raise InputError(f"{kind} files take no {', '.join(extra)}; they take {', '.join(known)}")


def read_points(path: str | os.PathLike[str]) -> dict[str, dict[str, float]]:
    """Read {weight: {operator: value in TeV^-2}} from a YAML or JSON file."""
    file = Path(path)
    content = yamlfile.read(file, "file of points")
    if not isinstance(content, dict) or not all(isinstance(p, dict) for p in content.values()):
        raise InputError(f"{file} must hold {{weight: {{operator: value}}}}, got {type(content).__name__}")
    return {str(weight): _point(file, str(weight), p) for weight, p in content.items()}


def _point(file: Path, weight: str, point: Mapping[Any, Any]) -> dict[str, float]:
    for name, value in point.items():
        if isinstance(value, str) or number(value) is None:
            raise InputError(
                f"{file}: the value of {name} at {weight} must be a finite number, got {brief(value)}"
            )
    return {str(name): float(value) for name, value in point.items()}
