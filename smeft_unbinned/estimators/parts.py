"""Parts of an ensemble: which members each has, and how they are joined to one estimator again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .estimator import Estimator


def part(replicas: int, i: int, n: int) -> range:
    """Return the members of part i of n, i from 1; every member is in one part, sizes differ by at most one.

    Raises InputError for a part that does not exist and for more parts than members.
    """
    if not 1 <= n <= replicas:
        raise InputError(f"an ensemble of {replicas} has 1 to {replicas} parts, got {n}; take fewer parts")
    if not 1 <= i <= n:
        raise InputError(f"parts are numbered from 1 to {n}, got {i}")
    return range((i - 1) * replicas // n, i * replicas // n)


def part_file(output: str | os.PathLike[str], i: int, n: int) -> Path:
    """Return where part i of n of the ensemble OUTPUT is written."""
    path = Path(output)
    return path.with_name(f"{path.name}.part-{i}-of-{n}")


def collect(output: str | os.PathLike[str], n: int) -> Estimator:
    """Return the ensemble of the n parts of OUTPUT.

    Raises InputError for parts that are missing, naming them, or damaged, and for parts that were trained on
    other events, with other settings, or as part of another ensemble.
    """
    if n < 1:
        raise InputError(f"the number of parts must be at least 1, got {n}")
    paths = [part_file(output, i, n) for i in range(1, n + 1)]
    missing = [i for i, path in enumerate(paths, start=1) if not path.exists()]
    if missing:
        others = sorted(p.name for p in Path(output).parent.glob(f"{Path(output).name}.part-*-of-*[0-9]"))
        found = f"; there are {', '.join(others[:3])}" if len(missing) == n and others else ""
        are = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{numbered(missing, n)} {are} missing{found}: run train --task {missing[0]}/{n}"
            + (" and so on" if len(missing) > 1 else "")
        )
    parts = [Estimator.load(path) for path in paths]
    for i, (path, estimator) in enumerate(zip(paths, parts, strict=True), start=1):
        _check_part(path, estimator, parts[0], i, n)
    return _joined(parts)


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in words where two manifests of settings differ; the device may."""
    plain = json.loads(json.dumps([dict(found), dict(wanted)]))
    a, b = (dict(content) for content in plain)
    keys = [k for k in {**a, **b} if k != "device" and a.get(k) != b.get(k)]
    return [f"{k} was {a.get(k)}, is {b.get(k)}" for k in keys]


def numbered(parts: Sequence[int], n: int) -> str:
    """Return the parts in words, as "parts 3, 7 of 20"."""
    return f"part{'s' if len(parts) > 1 else ''} {', '.join(map(str, parts))} of {n}"


def _check_part(path: Path, estimator: Estimator, first: Estimator, i: int, n: int) -> None:
    """Refuse a part that does not fit to the first one."""
    task, settings = estimator.metadata.get("task", {}), estimator.metadata["settings"]
    odd = differences(first.metadata["settings"], settings)
    if (task.get("part"), task.get("of")) != (i, n):
        odd.append(f"it holds part {task.get('part')} of {task.get('of')}, not {i} of {n}")
    elif estimator.metadata["members"] != list(part(settings["ensemble"]["replicas"], i, n)):
        odd.append(f"its members {estimator.metadata['members']} are not those of part {i}")
    if task.get("data") != first.metadata.get("task", {}).get("data"):
        odd.append("it was trained on other events, features, operators or calibration events")
    elif (estimator.operators, estimator.features) != (first.operators, first.features):
        odd.append("its operators or features are others")
    elif not np.allclose(estimator.growth.coefficients, first.growth.coefficients, rtol=1e-4, atol=1e-4):
        odd.append("its inputs were prepared in another way, by another version of this package")
    if odd:
        raise InputError(
            f"{path} does not belong to the other parts: {'; '.join(odd)}. Train it anew with --task {i}/{n}"
        )


def _joined(parts: Sequence[Estimator]) -> Estimator:
    """Return one estimator of the members of all, in order.

    Parts may have stopped after different numbers of epochs. The curves of a shorter one go on with its last
    values; `metadata["epochs"]` holds the number of epochs of each member.
    """
    first, about = parts[0], [p.metadata for p in parts]
    stacked = [_stacked(arrays) for arrays in zip(*(p.parameters for p in parts), strict=True)]
    length = max(len(m["history"]) for m in about)
    curves = [[*m["history"], *[m["history"][-1]] * (length - len(m["history"]))] for m in about]
    dropped = ("task", "checksums")
    metadata = {
        **{k: v for k, v in first.metadata.items() if k not in dropped},
        "members": [k for m in about for k in m["members"]],
        "history": [
            {kind: [v for entry in row for v in entry[kind]] for kind in row[0]}
            for row in zip(*curves, strict=True)
        ],
        "epochs": [len(m["history"]) for m in about for _ in m["members"]],
        "best_validation": [v for m in about for v in m["best_validation"]],
        "events": {**about[0]["events"], "checksum": about[0]["task"]["data"]},
        "seconds": {k: sum(m["seconds"][k] for m in about) for k in ("wall", "cpu")},
        "notes": list(dict.fromkeys(note for p in parts for note in p.notes)),
    }
    return replace(
        first,
        parameters=tuple(stacked),
        calibration=np.concatenate([p.calibration for p in parts]),
        metadata=metadata,
    )


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the members of arrays (M, ...) on one axis; texts, (M, L) bytes, are filled up with zeros."""
    if all(a.dtype == np.uint8 and a.ndim == 2 for a in arrays):
        longest = max(a.shape[1] for a in arrays)
        arrays = [np.pad(a, ((0, 0), (0, longest - a.shape[1]))) for a in arrays]
    return np.concatenate(arrays)
