"""Les Houches event files with weights at several points: parton-level events with truth polynomials.

The format is that of arXiv:hep-ph/0609017 with the weights of its version 3; files are read by pylhe.

Normalisation. Generators scale XWGTUP differently (arXiv:hep-ph/0109068): its mean is the cross section
(IDWTUP = -4, MadGraph's `event_norm = average`), or its sum is, or it is one throughout (IDWTUP = 3). In each
case the cross section belonging to the sum of XWGTUP is XSECUP, summed over the processes of <init>, so that
event e stands for w_e XSECUP / sum(XWGTUP) pb, w_e being its weight at the SM. Where XSECUP is not given, the
mean of XWGTUP replaces it. Several files count as independent runs of one process and are averaged, each
with its number of events.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from rich.progress import Progress

from ..errors import InputError
from ..progress import progress_bar
from . import lhe_points, morphing
from .events import Events
from .lhe_stream import LheFile, sha256
from .lhe_tables import Features, nominal_weights, particle_table, weight_table

if TYPE_CHECKING:
    from typing_extensions import Unpack

NOMINAL = "XWGTUP"
"""Name of the event's own weight among the points, used where no other weight stands at its point."""
_SCHEMES = {"mw": "mW, mZ, GF", "alpha": "alpha, mZ, GF"}
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass
class _Run:
    """What was read of one file: weights (N, B), XWGTUP (N,), features per batch."""

    path: Path
    points: lhe_points.Points
    about: dict[str, Any]
    cross_section: float
    strategy: int
    weights: list[np.ndarray] = field(default_factory=list)
    nominal: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(w) for w in self.nominal)


class LheOptions(TypedDict, total=False):
    """Which weights and events of Les Houches files are read.

    points: {weight id: {operator: value in TeV^-2}}, for files whose header does not say it.
    operators: names to keep; the weights at which others are not zero are left out. Default: all that vary.
    max_events: read at most so many, over all files; default all.
    chunk: events held in memory as objects at a time, default 2000.
    """

    points: Mapping[str, Mapping[str, float]] | None
    operators: Sequence[str] | None
    max_events: int | None
    chunk: int


@dataclass(frozen=True)
class Wanted:
    """`LheOptions` with a value for each."""

    points: Mapping[str, Mapping[str, float]] | None = None
    operators: Sequence[str] | None = None
    max_events: int | None = None
    chunk: int = 2000

    def __post_init__(self) -> None:
        if self.chunk < 1 or (self.max_events is not None and self.max_events < 1):
            raise InputError(f"chunk and max_events must be positive, got {self.chunk} and {self.max_events}")


def read_lhe(
    paths: Paths,
    *,
    observables: Sequence[str] | None = None,
    non_positive: morphing.NonPositive = "error",
    progress: bool = False,
    **options: Unpack[LheOptions],
) -> Events:
    """Read one or several .lhe or .lhe.gz files whose events carry weights at points in coefficient space.

    observables: names of the features (see `observables`); by default a set chosen from the particles that
        every event holds.
    non_positive: "error" or "drop" for events whose SM weight is not positive.
    options: see `LheOptions`.

    Returns Events with SM weights in pb that sum to the SM cross section, and in the metadata process, beams,
    energy, generator, basis, input scheme, points, rank and condition number, and each file's SHA-256.
    Raises InputError, naming file, event and field, for files, weights or points that cannot be used.
    """
    files = [Path(p) for p in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not files:
        raise InputError("no LHE file given; pass a path or a list of paths")
    wanted = Wanted(**options)
    _check_distinct(files)
    features = Features(observables)
    runs: list[_Run] = []
    with progress_bar(progress) as bar:
        for path in files:
            left = None
            if wanted.max_events is not None:
                left = wanted.max_events - sum(len(run) for run in runs)
            if left != 0:
                runs.append(_read(path, features, wanted, left, bar))
                _compatible(runs[0], runs[-1])
    return _assemble(runs, features, non_positive)


def _check_distinct(files: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files if len(files) > 1 else ():
        if os.path.isfile(path) and seen.setdefault(sha256(path), path) is not path:
            raise InputError(f"{seen[sha256(path)]} and {path} are the same file; give each sample once")


def _read(path: Path, features: Features, wanted: Wanted, limit: int | None, bar: Progress) -> _Run:
    chunk = wanted.chunk
    with closing(LheFile(path)) as file:
        run = _start(file, wanted)
        ids = list(run.points.points)
        task = bar.add_task(file.name, total=path.stat().st_size, note="")
        while events := file.batch(chunk if limit is None else min(chunk, limit - len(run))):
            first = len(run)
            run.weights.append(weight_table(events, ids, file.name, first))
            run.nominal.append(nominal_weights(events, file.name, first))
            features.add(particle_table(events, file.name, first))
            bar.update(task, completed=file.stream.position)
    if not len(run):
        raise InputError(f"{path} holds no events")
    return run


def _start(file: LheFile, wanted: Wanted) -> _Run:
    """Read header and <init> block, and check that the points determine the polynomials."""
    cards = file.text("MG5ProcCard")
    model = (re.findall(r"(?m)^\s*import model\s+(\S+)", cards) or [""])[-1]
    weights = file.weights()
    if wanted.points is not None:
        found = lhe_points.user_points(wanted.points, [i for i, _, _ in weights], file.name)
    else:
        card = lhe_points.parse_card(file.text("slha"))
        found = lhe_points.parse_points(weights, card, model=model, source=file.name)
    found = lhe_points.select(found, wanted.operators, file.name, model)
    used, _ = _distinct(found)
    try:
        morphing.check_points(found.operators, used)
    except InputError as error:
        raise InputError(f"{file.name}: {error}") from None
    init = file.init
    info, generators = init.initInfo, init.generators
    scheme = re.search(r"(Mw|alpha)Scheme", model, re.IGNORECASE)
    about: dict[str, Any] = {
        "process": "; ".join(re.findall(r"(?m)^\s*(?:generate|add process)\s+(.+?)\s*$", cards)),
        "model": model,
        "generator": "; ".join(f"{g.name} {g.version}".strip() for g in generators),
        "beams": [info.beamA, info.beamB],
        "energy_GeV": info.energyA + info.energyB,
        "basis": "warsaw" if model.startswith("SMEFTsim") else found.basis,
        "input_scheme": _SCHEMES[scheme.group(1).lower()] if scheme else "",
    }
    total = float(sum(p.xSection for p in init.procInfo))
    about |= {"xsecup_pb": total, "xerrup_pb": float(np.hypot.reduce([p.error for p in init.procInfo]))}
    return _Run(file.path, found, about, total, int(info.weightingStrategy))


def _distinct(found: lhe_points.Points) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Return the distinct points (B, n) and, by the first weight at each, all weights there.

    The nominal weight counts where nothing else stands at its point.
    """
    everything = dict(found.points)
    if found.nominal is not None and found.nominal not in list(everything.values()):
        everything[NOMINAL] = found.nominal
    groups: dict[tuple[float, ...], list[str]] = {}
    for identity, point in everything.items():
        groups.setdefault(tuple(point[name] for name in found.operators), []).append(identity)
    table = np.array(list(groups), dtype=float).reshape(len(groups), len(found.operators))
    return table, {ids[0]: ids for ids in groups.values()}


def _compatible(a: _Run, b: _Run) -> None:
    for what, x, y in (
        ("beams", a.about["beams"], b.about["beams"]),
        ("energies", a.about["energy_GeV"], b.about["energy_GeV"]),
        ("processes", a.about["process"], b.about["process"]),
        ("points", a.points.points, b.points.points),
    ):
        if x != y:
            raise InputError(f"{a.path.name} and {b.path.name} differ in their {what}; read them separately")


def _normalise(run: _Run) -> tuple[float, str]:
    """Return the factor from the file's weights to pb, and how the generator scaled them."""
    nominal = np.concatenate(run.nominal)
    total, mean, sigma = float(np.sum(nominal)), float(np.mean(nominal)), run.cross_section
    if not np.isfinite(total) or total == 0:
        raise InputError(f"{run.path.name}: the weights XWGTUP sum to {total}, which is no cross section")
    if not sigma > 0:
        if abs(run.strategy) == 3:
            raise InputError(f"{run.path.name}: events of unit weight (IDWTUP 3) need XSECUP, got {sigma}")
        return mean / total, "mean, XSECUP not given"
    kinds = {"mean": mean, "sum": total, "unit": 1.0 if abs(run.strategy) == 3 else np.nan}
    close = [k for k, x in kinds.items() if abs(x / (1.0 if k == "unit" else sigma) - 1) < 0.02]
    return sigma / total, (close or ["unrecognised"])[0]


def _assemble(runs: Sequence[_Run], features: Features, non_positive: morphing.NonPositive) -> Events:
    found, total = runs[0].points, sum(len(run) for run in runs)
    used, groups = _distinct(found)
    ids = list(found.points)
    blocks, conventions = [], []
    for run in runs:
        factor, convention = _normalise(run)
        block = np.column_stack([np.concatenate(run.weights), np.concatenate(run.nominal)])
        columns = [_merge(block, [*ids, NOMINAL], group, run.path.name) for group in groups.values()]
        blocks.append(np.column_stack(columns) * (factor * len(run) / total))
        conventions.append(convention)
    weights = np.concatenate(blocks)
    source = runs[0].path.name + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")
    try:
        truth, sm, report = morphing.invert(
            found.operators, used, weights, non_positive=non_positive, labels=list(groups)
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    metadata = {
        **runs[0].about,
        "normalisation": conventions[0],
        "points": {
            identity: dict(zip(found.operators, point.tolist(), strict=True))
            for identity, point in zip(groups, used, strict=True)
        },
        "weights_at_the_same_point": [ids for ids in groups.values() if len(ids) > 1],
        "weights_ignored": list(found.ignored),
        "rank": report.rank,
        "condition": report.condition,
        "smallest_eigenvalue": report.smallest_eigenvalue,
        "residual": report.residual,
        "events_dropped": report.dropped,
        "files": [{"name": r.path.name, "sha256": sha256(r.path), "events": len(r)} for r in runs],
    }
    return Events(features.frame()[report.kept], truth, sm, metadata=metadata)


def _merge(block: np.ndarray, ids: Sequence[str], group: Sequence[str], source: str) -> np.ndarray:
    """Return the weights of the first of a group at one point, after checking that the others agree."""
    first = block[:, ids.index(group[0])]
    for other in group[1:]:
        bad = np.flatnonzero(np.abs(block[:, ids.index(other)] - first) > 1e-5 * np.abs(first))
        if bad.size:
            raise InputError(
                f"{source}, event {bad[0]}: weights {group[0]!r} and {other!r} stand at the same point but "
                "differ; pass points= with only one of them"
            )
    return first
