"""MadMiner files (arXiv:1907.10621): events with weights at benchmarks, in HDF5.

Layout, in MadMiner's words: `parameters` (names, place in the parameter card, transforms), `benchmarks`
(names, values theta, whether one stands for a nuisance), `morphing` (components, matrix), `observables`
(names, definitions), `nuisance_parameters`, `samples` (observations (N, F), weights (N, B) in pb),
`sample_summary`.

The weights of each benchmark sum to its cross section in pb. Where the events were generated at several
benchmarks, those of benchmark k count with the fraction of events generated there, background events in full.

A parameter theta enters the card through its transform, such as `16.52*theta`. Here the operator carries the
parameter's name and its value is theta unless `operators` says otherwise; check that it is c/Lambda^2 in
TeV^-2.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from . import morphing, nuisance
from .assembly import Benchmarks, Weighting, as_paths, assemble, finite, provenance
from .events import Events
from .hdf5 import Hdf5
from .nuisance import Nuisances

_AGREE = 1e-6  # how far the stored morphing matrix may be from an inverse of the benchmarks' monomials


@dataclass(frozen=True)
class _Content:
    """What a file holds: weights (N, B) in pb at all benchmarks, observations (N, F), names, points."""

    path: Path
    parameters: dict[str, dict[str, Any]]
    benchmarks: list[str]
    values: np.ndarray
    is_nuisance: np.ndarray
    reference: int
    observables: dict[str, str]
    observations: np.ndarray
    weights: np.ndarray
    nuisances: dict[str, tuple[str, str]]
    systematics: dict[str, str]


def read_madminer(
    path: str | os.PathLike[str],
    *,
    operators: Mapping[str, str | tuple[str, float]] | None = None,
    observables: Sequence[str] | None = None,
    non_positive: morphing.NonPositive = "error",
    max_events: int | None = None,
) -> Events:
    """Read a MadMiner file: features, truth polynomials and SM weights in pb.

    operators: {parameter of the file: name here, or (name, factor)}; the coefficient in TeV^-2 is factor
        times theta. Parameters left out keep their name, with factor one.
    observables: names to keep, in this order; default all.
    non_positive: "error" or "drop" for events whose SM weight is not positive.
    max_events: read at most so many; their weights are scaled up to the sample's cross section.

    Benchmarks of nuisance parameters do not enter the polynomials; see `read_nuisances`. The metadata hold
    parameters with their place in the card, definitions of observables, points, rank and condition number.
    Raises InputError, naming file, event and field, for another layout, a weight column missing, values that
    are not finite, and a stored morphing matrix that does not belong to the benchmarks.
    """
    content = _load(path)
    name = content.path.name
    points, renamed = _points(content, operators)
    chosen = list(content.observables) if observables is None else list(observables)
    if isinstance(observables, str) or not chosen:
        raise InputError(f"observables must be a sequence of at least one name, got {observables!r}")
    for o in chosen:
        if o not in content.observables:
            known = ", ".join(content.observables)
            raise InputError(
                f"{name}: unknown observable {o!r}; known are {known}.{nearest(o, content.observables)}"
            )
    count = _limit(len(content.weights), max_events)
    columns = [list(content.observables).index(o) for o in chosen]
    frame = pd.DataFrame(
        finite(content.observations[:count, columns], chosen, "observable", name), columns=chosen
    )
    weights = content.weights[:count, ~content.is_nuisance] * (len(content.weights) / count)
    metadata: dict[str, Any] = {
        "generator": "MadMiner",
        "basis": "unknown",
        "parameters": {renamed[p]: about for p, about in content.parameters.items()},
        "definitions": {o: content.observables[o] for o in chosen},
        "nuisance_parameters": list(content.nuisances),
        "systematics": content.systematics,
        "files": provenance([(content.path, count)]),
    }
    return assemble(frame, weights, points, name, Weighting(non_positive, metadata=metadata))


def read_nuisances(
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    non_positive: morphing.NonPositive = "error",
    max_events: int | None = None,
) -> Nuisances:
    """Return the responses of the events of a MadMiner file to its nuisance parameters (see `nuisance`).

    names: nuisance parameters to keep; default all. non_positive, max_events: as for `read_madminer`, which
    then returns the same events in the same order.
    Raises InputError for a file without nuisance parameters, an unknown name, a benchmark that the file does
    not hold, and weights that are not positive.
    """
    content = _load(path)
    source = content.path.name
    if not content.nuisances:
        raise InputError(f"{source} defines no nuisance parameters (group 'nuisance_parameters')")
    chosen = list(content.nuisances) if names is None else list(names)
    for k in chosen:
        if k not in content.nuisances:
            raise InputError(
                f"{source}: unknown nuisance parameter {k!r}; known are {', '.join(content.nuisances)}."
                f"{nearest(k, content.nuisances)}"
            )
    count = _limit(len(content.weights), max_events)
    weights = content.weights[:count]
    if non_positive == "drop":
        points, _ = _points(content, None)
        features = pd.DataFrame({"event": np.arange(count, dtype=float)})
        kept = assemble(features, weights[:, ~content.is_nuisance], points, source, Weighting("drop"))
        weights = weights[kept.column("event").astype(int)]
    up, down = (
        np.stack([_column(content, weights, k, content.nuisances[k][side]) for k in chosen], axis=1)
        for side in (0, 1)
    )
    return nuisance.from_weights(chosen, weights[:, content.reference], up, down, source)


def _column(content: _Content, weights: np.ndarray, parameter: str, benchmark: str) -> np.ndarray:
    """Return the weights (N,) at a benchmark; NaN where the file names none."""
    if not benchmark:
        return np.full(len(weights), np.nan)
    if benchmark not in content.benchmarks:
        raise InputError(
            f"{content.path.name}: nuisance parameter {parameter!r} stands at benchmark {benchmark!r}, which "
            f"the file does not hold.{nearest(benchmark, content.benchmarks)}"
        )
    return np.asarray(weights[:, content.benchmarks.index(benchmark)])


def _limit(n: int, max_events: int | None) -> int:
    if max_events is not None and max_events < 1:
        raise InputError(f"max_events must be positive, got {max_events}")
    return n if max_events is None else min(n, max_events)


def _points(
    content: _Content, operators: Mapping[str, str | tuple[str, float]] | None
) -> tuple[Benchmarks, dict[str, str]]:
    """Return the benchmarks without nuisances in our names and units, and the name of each parameter."""
    known = list(content.parameters)
    for name in operators or {}:
        if name not in known:
            raise InputError(
                f"{content.path.name}: unknown parameter {name!r} in operators; the file has "
                f"{', '.join(known)}.{nearest(name, known)}"
            )
    rules = {p: (operators or {}).get(p, p) for p in known}
    full = {
        p: (rule, 1.0) if isinstance(rule, str) else (rule[0], float(rule[1])) for p, rule in rules.items()
    }
    names = {p: rule[0] for p, rule in full.items()}
    if len(set(names.values())) < len(names) or not all(np.isfinite(f) and f for _, f in full.values()):
        raise InputError(f"operators must give distinct names and factors that are not zero, got {full}")
    values = content.values * np.array([factor for _, factor in full.values()])
    points = {
        b: dict(zip(names.values(), row, strict=True))
        for b, row, skip in zip(content.benchmarks, values.tolist(), content.is_nuisance, strict=True)
        if not skip
    }
    return Benchmarks.parse(points, None, content.path.name), names


def _load(path: str | os.PathLike[str]) -> _Content:
    (file,) = as_paths(path, "MadMiner")
    with Hdf5(file, "MadMiner") as h5:
        names = h5.texts("parameters/names")
        n = len(names)
        benchmarks = h5.texts("benchmarks/names")
        b = len(benchmarks)
        values = h5.numbers("benchmarks/values", (b, n))
        is_nuisance = h5.numbers("benchmarks/is_nuisance", (b,), default=0.0) != 0
        reference = np.flatnonzero(h5.numbers("benchmarks/is_reference", (b,), default=0.0))
        observables = h5.texts("observables/names")
        weights = h5.numbers("samples/weights", (None, b), "one column per benchmark")
        observations = h5.numbers("samples/observations", (len(weights), len(observables)))
        if not len(weights):
            raise InputError(f"{file.name} holds no events")
        if is_nuisance.all():
            raise InputError(f"{file.name}: all benchmarks belong to nuisance parameters, none to operators")
        finite(values, names, "value of parameter", f"{file.name}, benchmarks")
        finite(weights, benchmarks, "weight", file.name)
        _check_powers(h5, names)
        _check_morphing(h5, values[~is_nuisance])
        content = _Content(
            path=file,
            parameters=_parameters(h5, names),
            benchmarks=benchmarks,
            values=values,
            is_nuisance=is_nuisance,
            reference=int(reference[0]) if reference.size else int(np.flatnonzero(~is_nuisance)[0]),
            observables=dict(
                zip(observables, h5.texts("observables/definitions", len(observables)), strict=True)
            ),
            observations=observations,
            weights=weights * _sampling(h5, len(weights))[:, None],
            nuisances=_nuisances(h5),
            systematics=dict(
                zip(h5.texts("systematics/names", 0), h5.texts("systematics/values", 0), strict=False)
            ),
        )
    for what, listed in (("parameter", names), ("benchmark", benchmarks), ("observable", observables)):
        twice = [x for i, x in enumerate(listed) if x in listed[:i]]
        if twice:
            raise InputError(f"{file.name}: {what} {twice[0]!r} is listed twice")
    return content


def _parameters(h5: Hdf5, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    n = len(names)
    blocks = h5.texts("parameters/lha_blocks", n)
    ids = h5.numbers("parameters/lha_ids", (n,), default=0.0).astype(int).tolist()
    transforms = h5.texts("parameters/transforms", n)
    return {
        name: {"lha_block": blocks[i], "lha_id": ids[i], "transform": transforms[i]}
        for i, name in enumerate(names)
    }


def _nuisances(h5: Hdf5) -> dict[str, tuple[str, str]]:
    names = h5.texts("nuisance_parameters/names", 0)
    up = h5.texts("nuisance_parameters/benchmark_positive", len(names))
    down = h5.texts("nuisance_parameters/benchmark_negative", len(names))
    return {name: (up[k], down[k]) for k, name in enumerate(names)}


def _sampling(h5: Hdf5, n: int) -> np.ndarray:
    """Return the factor of each event (N,), one unless the events were generated at several benchmarks."""
    if not h5.has("samples/sampling_benchmarks") or not h5.has("sample_summary/signal_events_per_benchmark"):
        return np.ones(n)
    where = h5.numbers("samples/sampling_benchmarks", (n,)).astype(int)
    generated = h5.numbers("sample_summary/signal_events_per_benchmark", (None,))
    if where.max(initial=-1) >= len(generated) or not generated.sum() > 0:
        raise InputError(
            f"{h5.name}: 'samples/sampling_benchmarks' does not fit 'signal_events_per_benchmark' in "
            "'sample_summary'"
        )
    return np.where(where < 0, 1.0, generated[np.maximum(where, 0)] / generated.sum())


def _check_powers(h5: Hdf5, names: Sequence[str]) -> None:
    powers = h5.numbers("parameters/max_power", None, default=2.0)
    total = powers.reshape(len(names), -1).sum(axis=1) if powers.size % len(names) == 0 else powers
    if np.any(total > 2):
        raise InputError(
            f"{h5.name}: parameter {names[int(np.argmax(total))]!r} enters to power {total.max():g}, ratios "
            "here are quadratic in each coefficient"
        )


def _check_morphing(h5: Hdf5, points: np.ndarray) -> None:
    """Check that the stored matrix M (P, B), of components (P, n), inverts the monomials of the points."""
    if not h5.has("morphing/components") or not h5.has("morphing/morphing_matrix"):
        return
    components = h5.numbers("morphing/components", (None, points.shape[1]))
    matrix = h5.numbers("morphing/morphing_matrix", (len(components), None))
    b = matrix.shape[1]
    if b <= len(points):
        monomials = np.prod(points[:b, None, :] ** components, axis=-1)  # (B, P)
        scale = np.maximum(np.max(np.abs(monomials), axis=0, initial=0.0), 1e-300)
        if np.allclose((matrix * scale[:, None]) @ (monomials / scale), np.eye(len(components)), atol=_AGREE):
            return
    raise InputError(
        f"{h5.name}: 'morphing/morphing_matrix' of shape {matrix.shape} is not the inverse of the monomials "
        f"at the {len(points)} benchmarks; the file was altered after its set-up, make it anew"
    )
