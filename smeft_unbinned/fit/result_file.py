"""Files of a FitResult: readable JSON, format 1; later keys may be missing in older files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..inputfile import fitting, read_json
from ..storage import write_text
from .result import FitResult

FORMAT = 1


def write(result: FitResult, path: str | os.PathLike[str]) -> None:
    """Write a result, whole or not at all; numbers that are not finite become null."""
    samples, minima, runcard = result.samples, result.minima, result.runcard
    content = {
        "kind": "fit result",
        "format": FORMAT,
        "method": result.method,
        "valid": result.valid,
        "messages": list(result.messages),
        "best": dict(result.best),
        "m2logl": result.m2logl,
        "operators": list(result.operators),
        "nuisances": list(result.nuisances),
        "parameters": list(result.parameters),
        "covariance": result.covariance.to_numpy().tolist(),
        "intervals": {
            f"{level:.10g}": {"method": f.attrs.get("method", ""), **f.to_dict("index")}
            for level, f in result.stored_intervals.items()
        },
        "minima": None if minima is None else minima.to_dict("list"),
        "samples": None if samples is None else samples.to_dict("list"),
        "logz": result.logz,
        "logz_error": result.logz_error,
        "provenance": dict(result.provenance),
        "runcard": None if runcard is None else dict(runcard),
    }
    lines = (f"{json.dumps(k)}: {json.dumps(finite_or_null(v), allow_nan=False)}" for k, v in content.items())
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read(path: str | os.PathLike[str]) -> FitResult:
    """Read a file written by `write`; raise InputError when it is missing or not one."""
    content = read_json(path, "fit result")
    if not isinstance(content, dict) or content.get("kind") != "fit result":
        raise InputError(f"{path} is not a fit result of this package; check the path")
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path} has format version {content.get('format')}, this package reads {FORMAT}; "
            "update smeft-unbinned"
        )
    with fitting(path, "fit result"):
        return _from(content)


def _from(content: dict[str, Any]) -> FitResult:
    names = content.get("parameters", content["operators"])  # files without nuisances lack the former
    nuisances = tuple(content.get("nuisances", ()))
    if [n for n in names if n not in nuisances] != content["operators"]:
        raise ValueError("operators and parameters do not agree")
    intervals = {}
    for level, rows in content["intervals"].items():
        method = rows.pop("method")
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["lower", "upper"], dtype=float)
        frame.attrs["method"] = method
        if missing := [n for n in names if n not in frame.index]:
            raise ValueError(f"no intervals of {', '.join(missing)} at level {level}")
        intervals[float(level)] = frame
    best = {n: _number(x) for n, x in content["best"].items()}
    if missing := [n for n in names if n not in best]:
        raise ValueError(f"no best value of {', '.join(missing)}")
    samples, minima = content["samples"], content.get("minima")
    samples = None if samples is None else pd.DataFrame(samples, dtype=float)
    if samples is not None and (missing := [n for n in names if n not in samples]):
        raise ValueError(f"no samples of {', '.join(missing)}")
    return FitResult(
        method=content["method"],
        best=best,
        covariance=pd.DataFrame(content["covariance"], index=names, columns=names, dtype=float),
        m2logl=_number(content["m2logl"]),
        valid=bool(content["valid"]),
        messages=tuple(map(str, content["messages"])),
        samples=samples,
        logz=None if content["logz"] is None else float(content["logz"]),
        logz_error=None if content["logz_error"] is None else float(content["logz_error"]),
        stored_intervals=intervals,
        provenance=content["provenance"],
        nuisances=nuisances,
        minima=None if minima is None else pd.DataFrame(minima, dtype=float),
        runcard=content.get("runcard"),
    )


def _number(value: Any) -> float:
    """Return a number; NaN for null, which stands for it in a file."""
    return float("nan" if value is None else value)


def finite_or_null(content: Any) -> Any:
    """Return JSON types with null in place of numbers that JSON does not know; numpy's become Python's."""
    if isinstance(content, Mapping):
        return {key: finite_or_null(value) for key, value in content.items()}
    if isinstance(content, list) and content and type(content[0]) is float and _finite(content):
        return content
    if isinstance(content, (list, tuple)):
        return [finite_or_null(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    return None if isinstance(content, float) and not np.isfinite(content) else content


def _finite(numbers: list[Any]) -> bool:
    """Whether a list holds finite numbers alone, such as a long column of samples."""
    try:
        return bool(np.isfinite(np.asarray(numbers, dtype=float)).all())
    except (TypeError, ValueError):
        return False
