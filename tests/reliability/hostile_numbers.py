"""NaN and infinity in place of every number that a file holds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import yaml
from hostile_mutations import NUMBER, packed, places, unpacked

NEVER = (float("nan"), float("inf"), float("-inf"))
STRICT = (
    "commondata", "theory", "rotation", "points", "unbinned dataset", "dense dataset", "Poisson dataset",
    "events", "samples", "nuisances", "running", "estimator", "response estimator", "CSV", "parquet",
)  # fmt: skip
"""Formats in which every such number is refused; in the others it is, or it has no effect."""
LOOSE = (
    "runcard", "projection card", "comparison card", "reweight card", "parameter card", "LHE", "fit result",
    "comparison", "LHAPDF grid",
)  # fmt: skip


def spoiled(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what was replaced, and the file with it, for every number and each of NEVER."""
    if name in ("theory", "rotation", "fit result", "comparison"):
        for where, content in _leaves(json.loads(data)):
            yield where, json.dumps(content).encode()
    elif name in ("commondata", "points", "runcard", "projection card", "comparison card"):
        for where, content in _leaves(yaml.safe_load(data)):
            yield where, yaml.safe_dump(content, sort_keys=False).encode()
    elif name == "parquet":
        frame = pd.read_parquet(io.BytesIO(data))
        for column in frame:
            for value in NEVER:
                yield (
                    f"{column} = {value}",
                    frame.assign(**{str(column): frame[column].where(frame.index != 1, value)}).to_parquet(),
                )
    elif name == "CSV":
        rows = data.split(b"\n")
        for i, j in np.ndindex(len(rows) - 2, rows[0].count(b",") + 1):
            for value in (b"nan", b"inf", b"-inf", b"", b"1e400"):
                cells = rows[i + 1].split(b",")
                cells[j] = value
                yield f"row {i}, column {j}", b"\n".join([*rows[: i + 1], b",".join(cells), *rows[i + 2 :]])
    elif name in ("reweight card", "parameter card", "LHE", "LHAPDF grid"):
        for match in NUMBER.finditer(data):
            for text in (b"nan", b"inf", b"-1e400"):
                yield f"byte {match.start()}", data[: match.start()] + text + data[match.end() :]
    else:
        yield from _arrays(data)


def _leaves(content: Any) -> Iterator[tuple[str, Any]]:
    for path in places(content):
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        kept = holder[path[-1]]
        if isinstance(kept, (int, float)) and not isinstance(kept, bool):
            for value in NEVER:
                holder[path[-1]] = value
                yield f"{'/'.join(map(str, path))} = {value}", content
            holder[path[-1]] = kept


def _arrays(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield containers with right checksums and such a number in an array."""
    arrays, manifest = unpacked(data)
    for name, a in arrays.items():
        if a.dtype.kind == "f" and a.size:
            for k, value in enumerate(NEVER):
                changed = np.array(a)
                changed.reshape(-1)[(0, a.size // 2, a.size - 1)[k]] = value
                yield f"{name} = {value}", packed({**arrays, name: changed}, manifest)
