"""ROOT ntuples and NanoAOD: events with weights at several points, read in chunks by uproot.

Weights stand in one branch with an entry per point (NanoAOD's `LHEReweightingWeight`) or in one branch each.
In NanoAOD they are relative to the generator's weight, which multiplies them (`nominal="genWeight"`).
Features are branches of one number per event, or elements of branches with a list per event, such as
`Jet_pt[0]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from rich.progress import Progress

from ..errors import InputError, nearest, require
from ..keywords import take
from ..progress import progress_bar
from .assembly import Benchmarks, Paths, Point, Weighting, WeightOptions, as_paths, provenance
from .events import Events
from .layout import Layout
from .reweight_card import parse_reweight_card

if TYPE_CHECKING:
    from typing_extensions import Unpack

Missing = Literal["error", "drop"] | float
Points = Mapping[str, Point] | Sequence[Point] | str | os.PathLike[str]
_BRANCH = re.compile(r"([\w.:/]+)\s*(?:\[\s*(\d+)\s*\])?")


class BranchOptions(TypedDict, total=False):
    """Which branches hold weights, and what they mean.

    points: of the weights, in order: a list of {operator: value in TeV^-2}, {name: {...}}, or the path of a
        MadGraph reweighting card. None, the default: no truth, the nominal weight alone.
    weights: the branch with an entry per point, by default LHEReweightingWeight, or one branch per point.
    nominal: branch that multiplies the weights, by default genWeight; None where they are absolute.
    operators: those to keep.
    missing: for an element that an event lacks, "error" (the default), "drop" the event, or a number to put
        there.
    """

    points: Points | None
    weights: str | Sequence[str]
    nominal: str | None
    operators: Sequence[str] | None
    missing: Missing


@dataclass(frozen=True)
class Branches:
    """`BranchOptions` with a value for each."""

    points: Points | None = None
    weights: str | Sequence[str] = "LHEReweightingWeight"
    nominal: str | None = "genWeight"
    operators: Sequence[str] | None = None
    missing: Missing = "error"

    def __post_init__(self) -> None:
        number = isinstance(self.missing, (int, float)) and np.isfinite(self.missing)
        if self.missing not in ("error", "drop") and not number:
            raise InputError(f"missing must be 'error', 'drop' or a finite number, got {self.missing!r}")


class RootOptions(BranchOptions, WeightOptions, total=False):
    """`BranchOptions` and `WeightOptions`."""


def read_root(
    paths: Paths,
    tree: str = "Events",
    *,
    observables: Mapping[str, str] | Sequence[str],
    sum_of_weights: float | None = None,
    chunk: int | str = "50 MB",
    progress: bool = False,
    **options: Unpack[RootOptions],
) -> Events:
    """Read a tree of one or several ROOT files.

    observables: {feature: branch} or a list of branches; `Jet_pt[0]` is the first element of a list.
    sum_of_weights: for files from which events were dropped: the SM weights are scaled by cross_section_pb
        over it, not over their own sum (NanoAOD: genEventSumw times the mean relative SM weight).
    chunk: size of what is held in memory as uproot takes it, events or "50 MB".
    options: see `BranchOptions` and `WeightOptions`.

    Raises InputError, naming file, event and branch, for what cannot be read or used.
    """
    given: dict[str, Any] = {**options}
    reader = _Reader(tree, observables, take(Branches, given))
    weighting = Weighting(**given)
    files = as_paths(paths, "ROOT")
    blocks: list[tuple[np.ndarray, np.ndarray]] = []
    counts: list[tuple[Path, int]] = []
    dropped = 0
    with progress_bar(progress) as bar:
        for path in files:
            read = 0
            for values, table, total in reader.blocks(path, chunk, bar):
                blocks.append((values, table))
                read += total
                dropped += total - len(values)
            counts.append((path, read))
    name = files[0].name + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    if not sum(len(values) for values, _ in blocks):
        raise InputError(
            f"{name}: tree {tree!r} holds no events" + (" with all observables" if dropped else "")
        )
    values, table = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    if sum_of_weights is not None:
        if weighting.cross_section_pb is None or not sum_of_weights > 0:
            raise InputError("sum_of_weights must be positive and needs cross_section_pb")
        table = table * (weighting.cross_section_pb / sum_of_weights)
        weighting = replace(weighting, cross_section_pb=None)
    about = {
        **(weighting.metadata or {}),
        "tree": tree,
        "branches": reader.branches,
        "events_without_an_observable": dropped,
        "files": provenance(counts),
    }
    return reader.layout.events(values, table, name, replace(weighting, metadata=about))


class _Reader:
    """What to read of each file; `layout` says what the arrays mean."""

    def __init__(self, tree: str, observables: Mapping[str, str] | Sequence[str], wanted: Branches) -> None:
        self.tree, self.missing = tree, wanted.missing
        if isinstance(observables, str) or not observables:
            raise InputError(f"observables must map features to branches, got {observables!r}")
        pairs = observables.items() if isinstance(observables, Mapping) else [(o, o) for o in observables]
        self.branches = {str(feature): str(branch) for feature, branch in pairs}
        self.parsed = {feature: _parse(branch) for feature, branch in self.branches.items()}
        named, weights = {} if wanted.points is None else _named(wanted.points), wanted.weights
        if not isinstance(weights, str) and named and len(weights) != len(named):
            raise InputError(f"{len(weights)} weight branches do not fit {len(named)} points")
        self.weights = weights if isinstance(weights, str) else list(weights)
        self.labels = list(named)
        benchmarks = Benchmarks.parse(named, wanted.operators, "points") if named else None
        columns = () if benchmarks is None else benchmarks.labels
        features = {f: f"feature {f}" for f in self.branches}
        self.layout = Layout(features, columns, benchmarks, nominal=wanted.nominal)

    def blocks(
        self, path: Path, chunk: int | str, bar: Progress
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """Yield features (M, F), weights (M, W) and the number of events read, N >= M."""
        needed = {branch for branch, _ in self.parsed.values()}
        if self.labels:
            needed |= {self.weights} if isinstance(self.weights, str) else set(self.weights)
        if self.layout.nominal is not None:
            needed.add(self.layout.nominal)
        with _open(path, self.tree) as tree:
            known = [str(name) for name in tree.keys()]  # noqa: SIM118 (not a dict)
            for branch in sorted(needed):
                if branch not in known:
                    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
                    raise InputError(
                        f"{path.name}: tree {self.tree!r} has no branch {branch!r}; it has {shown}."
                        f"{nearest(branch, known)}"
                    )
            task = bar.add_task(path.name, total=int(tree.num_entries), note="")
            first = 0
            for arrays in _iterate(tree, sorted(needed), chunk, path):
                n = len(arrays)
                block, kept = self._columns(arrays, path.name, first, n)
                if kept.any():
                    yield (*self.layout.split(block, path.name, first), n)
                else:
                    yield np.empty((0, len(self.parsed))), np.empty((0, max(1, len(self.layout.weights)))), n
                first += n
                bar.update(task, completed=first)

    def _columns(
        self, arrays: Any, source: str, first: int, n: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        block, kept = {}, np.ones(n, dtype=bool)
        for feature, (branch, index) in self.parsed.items():
            values, found = _element(arrays[branch], branch, index, f"{source}, event", first)
            if not found.all() and self.missing == "error":
                event = first + int(np.flatnonzero(~found)[0])
                raise InputError(
                    f"{source}, event {event}: {self.branches[feature]!r} is not defined, its list is too "
                    f"short (in {int(np.sum(~found))} events); pass missing='drop' or a number to put there"
                )
            if self.missing == "drop":
                kept &= found
            elif self.missing != "error":
                values = np.where(found, values, self.missing)
            block[f"feature {feature}"] = values
        if self.labels and isinstance(self.weights, str):
            table = _rectangle(
                arrays[self.weights], self.weights, len(self.labels), f"{source}, event", first
            )
            block |= {label: table[:, b] for b, label in enumerate(self.labels)}
        elif self.labels:
            for label, branch in zip(self.labels, self.weights, strict=True):
                block[label] = _element(arrays[branch], branch, None, f"{source}, event", first)[0]
        if (nominal := self.layout.nominal) is not None:
            block[nominal] = _element(arrays[nominal], nominal, None, f"{source}, event", first)[0]
        return {name: values[kept] for name, values in block.items()}, kept


def _parse(branch: str) -> tuple[str, int | None]:
    match = _BRANCH.fullmatch(branch.strip())
    if match is None:
        raise InputError(f"cannot read the branch {branch!r}; write 'MET_pt' or 'Jet_pt[0]'")
    return match.group(1), None if match.group(2) is None else int(match.group(2))


def _named(points: Points) -> dict[str, Point]:
    if isinstance(points, (str, os.PathLike)):
        return dict(parse_reweight_card(points))
    if isinstance(points, Mapping):
        return {str(name): point for name, point in points.items()}
    return {f"weight[{b}]": point for b, point in enumerate(points)}


@contextmanager
def _open(path: Path, tree: str) -> Iterator[Any]:
    uproot = require("uproot", "root")
    try:
        file = uproot.open(path)
    except Exception as error:  # a damaged file trips uproot in many ways
        raise _unreadable(path, error) from error
    with file:
        try:
            end, size = int(file.file.fEND), path.stat().st_size
            names = {name.split(";")[0]: kind for name, kind in file.classnames().items()}
            found = file[tree] if tree in names else None
            readable = found is not None and hasattr(found, "num_entries") and hasattr(found, "iterate")
        except Exception as error:  # a damaged file trips uproot in many ways
            raise _unreadable(path, error) from error
        if end > size:
            raise InputError(f"{path.name} is truncated: {size} bytes of {end}; fetch it again")
        if not readable:
            raise InputError(
                f"{path.name} has no tree {tree!r}; it holds {', '.join(names)}.{nearest(tree, names)}"
            )
        yield found


def _iterate(tree: Any, branches: Sequence[str], chunk: int | str, path: Path) -> Iterator[Any]:
    try:
        yield from tree.iterate(branches, step_size=chunk, library="ak")
    except InputError:
        raise
    except Exception as error:  # a damaged file trips uproot in many ways
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> InputError:
    try:
        reason = " ".join(str(error).split())[:200]
    except Exception:  # the text of uproot's errors is made of the object that could not be read
        reason = ""
    reason = reason or type(error).__name__
    return InputError(f"{path.name} is not a readable ROOT file (truncated, or something else): {reason}")


def _element(
    array: Any, branch: str, index: int | None, where: str, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (N,) of a branch, or of element `index` of its lists, and where they exist."""
    ak = require("awkward", "root")
    try:
        if array.ndim == 1 and index is None:
            return np.asarray(ak.to_numpy(array, allow_missing=False), dtype=float), np.ones(
                len(array), dtype=bool
            )
        if array.ndim == 2 and index is not None:
            picked = ak.pad_none(array, index + 1, axis=1)[:, index]
            found = ~np.asarray(ak.is_none(picked))
            return np.asarray(ak.to_numpy(ak.fill_none(picked, np.nan)), dtype=float), found
    except Exception as error:
        raise InputError(f"{where} {first} or after: branch {branch!r} holds no numbers: {error}") from error
    what = "a list per event; write " + repr(f"{branch}[0]") if array.ndim > 1 else "one number per event"
    raise InputError(f"{where} {first}: branch {branch!r} holds {what}")


def _rectangle(array: Any, branch: str, b: int, where: str, first: int) -> np.ndarray:
    """Return lists of B weights per event as (N, B); raise InputError for an event with another number."""
    ak = require("awkward", "root")
    if array.ndim != 2:
        raise InputError(f"{where} {first}: weight branch {branch!r} must hold a list per event")
    counts = np.asarray(ak.num(array, axis=1))
    bad = np.flatnonzero(counts != b)
    if bad.size:
        raise InputError(
            f"{where} {first + bad[0]}: branch {branch!r} holds {counts[bad[0]]} weights, expected {b}, one "
            "per point"
        )
    return np.asarray(ak.to_numpy(ak.to_regular(array, axis=1)), dtype=float).reshape(len(array), b)
