"""What the manifest of a bundle says: names, units, provenance, formulas, and the files with checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..datasets import UnbinnedDataset
from ..engine import FLOOR
from ..errors import require
from ..events.morphing import monomial_names
from ..operators import UNITS
from ..version import __version__
from .builder import IR_VERSION, OPSET
from .likelihood import total_yield

if TYPE_CHECKING:
    from ..estimators import Estimator

ESTIMATOR, EVENTS, LIKELIHOOD = "estimator.onnx", "events.onnx", "likelihood.onnx"
MANIFEST = "manifest.json"
KIND = "onnx bundle"
SCHEMA = 1
"""Version of what the manifest says and the files do; it rises when programs must change."""
FORMULAS = {
    "ratio": "sum_a coefficients[e, a] monomials[a](c)",
    "yield": "sum_a yield[a] monomials[a](c)",
    "m2logl_events": "-2 weights[e] (L(ratio[e]) - L(coefficients[e, 0]))",
    "m2logl": "2 (yield(c) - yield(0)) + sum_e m2logl_events[e]",
    "L": "L(r) = log(r) for r > floor, else log(floor) + (r - floor)/floor",
}
_KEPT = (
    "energy_GeV", "scale", "input_scheme", "luminosity_fb-1", "efficiency", "data", "at", "incomplete",
    "compression", "low_rank", "precision",
)  # fmt: skip
_UNITS = {
    "GeV": ("pt", "mass", "m", "energy", "ht", "met"),
    "rad": ("phi", "delta_phi"),
    "1": ("eta", "rapidity", "y", "delta_eta", "delta_r", "cos", "q", "charge"),
}
_UNIT = {word: unit for unit, words in _UNITS.items() for word in words}


def manifest(
    dataset: UnbinnedDataset, estimator: Estimator | None, folder: Path, notes: Sequence[str]
) -> dict[str, Any]:
    """Return the manifest, JSON types, of a bundle whose other files lie in a folder.

    notes: to be told besides those of dataset and estimator.
    """
    onnx = require("onnx", "onnx")
    source = dataset.metadata.get("source", {})
    trained = {} if estimator is None else estimator.metadata.get("events", {})
    names = dataset.metadata.get("features", []) if estimator is None else estimator.features
    declared = {**trained.get("units", {}), **source.get("units", {})}
    features = [{"name": name, "unit": unit_of(name, declared)} for name in names]
    told = [*dataset.metadata.get("notes", []), *([] if estimator is None else estimator.notes), *notes]
    if unknown := [str(f["name"]) for f in features if f["unit"] is None]:
        told.append(f"unit not recorded, that of the training holds: {', '.join(unknown)}")
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "name": dataset.name,
        "process": source.get("process", trained.get("process")),
        **{key: dataset.metadata[key] for key in _KEPT if dataset.metadata.get(key) is not None},
        "operators": list(dataset.operators),
        "basis": dataset.basis,
        "units": UNITS,
        "Lambda": "1 TeV",
        "monomials": monomial_names(dataset.operators),
        "yield": total_yield(dataset).tolist(),
        "backgrounds": len(dataset.backgrounds),
        "events": len(dataset),
        "features": features,
        "formulas": FORMULAS,
        "floor": FLOOR,
        "files": {
            name: _file(onnx, folder / name)
            for name in (ESTIMATOR, EVENTS, LIKELIHOOD)
            if (folder / name).exists()
        },
        "versions": {
            "smeft_unbinned": __version__,
            "onnx": onnx.__version__,
            "opset": OPSET,
            "ir": IR_VERSION,
        },
        "notes": told,
    }


def unit_of(feature: str, declared: Mapping[str, str]) -> str | None:
    """Return the unit of a feature, None where nothing says it.

    declared: units that the metadata of the events give. Known besides are those of named observables,
    `pt[h]`, and of the features of our own processes, whose metadata declare the unit of a mass.
    """
    if feature in declared:
        return declared[feature]
    if "[" in feature:
        return _UNIT.get(feature.split("[")[0])
    return _UNIT.get(feature.split("_")[0]) if "mass" in declared else None


def _file(onnx: ModuleType, path: Path) -> dict[str, Any]:
    """Return size, checksum, and what goes in and out: shapes by name, all float64."""
    content = path.read_bytes()
    graph = onnx.load_model_from_string(content).graph

    def shapes(values: Any) -> dict[str, list[int | str]]:
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    constants = {constant.name for constant in graph.initializer}
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "inputs": shapes(graph.input),
        "optional": [v.name for v in graph.input if v.name in constants],
        "outputs": shapes(graph.output),
    }
