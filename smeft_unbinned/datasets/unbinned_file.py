"""What the file of an unbinned dataset holds: named arrays, and a manifest of JSON types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..events.nuisance import Nuisances
from ..operators import UNITS
from ..polynomial import Polynomial, QuadraticForm, SumOfSquares
from .rates import Component

if TYPE_CHECKING:
    from .unbinned import UnbinnedDataset

Arrays = dict[str, np.ndarray]


def pack(dataset: UnbinnedDataset) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the manifest of a dataset."""
    arrays: Arrays = {"expected": dataset.expected.coefficients, "weights": dataset.weights}
    _put_form(arrays, "", dataset.ratios)
    _put_response(arrays, "response", dataset.response)
    _put_response(arrays, "expected_response", dataset.expected_response)
    if dataset.spread is not None:
        arrays["spread"] = dataset.spread
    if dataset.replicas is not None:
        _put_form(arrays, "replicas.", dataset.replicas)
    for i, b in enumerate(dataset.backgrounds):
        prefix = f"background{i}."
        _put_form(arrays, prefix, b.ratios)
        arrays[f"{prefix}expected"] = b.expected.dense().coefficients
        _put_response(arrays, f"{prefix}response", b.response)
        _put_response(arrays, f"{prefix}expected_response", b.expected_response)
    manifest = {
        "name": dataset.name,
        "operators": list(dataset.operators),
        "basis": dataset.basis,
        "units": UNITS,
        "Lambda": "1 TeV",
        "metadata": dataset.metadata,
        "nuisances": list(dataset.nuisances),
        "responses": {
            "": _names(dataset.response, dataset.expected_response),
            **{
                f"background{i}.": _names(b.response, b.expected_response)
                for i, b in enumerate(dataset.backgrounds)
            },
        },
        "backgrounds": [
            {"ratios": list(b.ratios.operators), "expected": list(b.expected.operators)}
            for b in dataset.backgrounds
        ],
    }
    return arrays, manifest


def unpack(arrays: Mapping[str, np.ndarray], head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments from which the dataset is built again."""
    names = head["operators"]
    responses = head.get("responses", {})
    backgrounds = []
    for i, operators in enumerate(head.get("backgrounds", [])):
        prefix = f"background{i}."
        backgrounds.append(
            Component(
                _form(arrays, prefix, operators["ratios"]),
                Polynomial(operators["expected"], arrays[f"{prefix}expected"]),
                *_responses(arrays, prefix, responses),
            )
        )
    response, expected_response = _responses(arrays, "", responses)
    has_replicas = "replicas.ratios" in arrays or "replicas.factors" in arrays
    return {
        "name": head["name"],
        "ratios": _form(arrays, "", names),
        "expected": Polynomial(names, arrays["expected"]),
        "weights": arrays["weights"],
        "basis": head["basis"],
        "response": response,
        "expected_response": expected_response,
        "backgrounds": backgrounds,
        "spread": arrays.get("spread"),
        "replicas": _form(arrays, "replicas.", names) if has_replicas else None,
        "metadata": metadata_of(head),
    }


def metadata_of(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a file; ValueError where the numbers in them that fits use are none."""
    metadata = dict(head["metadata"])
    numbers = [*dict(metadata.get("at", {})).values(), metadata.get("scale") or 1.0]
    if not all(isinstance(x, (int, float)) and math.isfinite(x) for x in numbers) or numbers[-1] < 0:
        raise ValueError("at and scale in the metadata must be finite numbers")
    return {**metadata, "checksums": head["checksums"]}


def _put_form(arrays: Arrays, prefix: str, form: QuadraticForm) -> None:
    if isinstance(form, SumOfSquares):
        arrays[f"{prefix}factors"] = form.factors
    else:
        arrays[f"{prefix}ratios"] = form.dense().coefficients


def _form(arrays: Mapping[str, np.ndarray], prefix: str, names: list[str]) -> QuadraticForm:
    if f"{prefix}factors" in arrays:
        return SumOfSquares(names, arrays[f"{prefix}factors"])
    return Polynomial(names, arrays[f"{prefix}ratios"])


def _put_response(arrays: Arrays, name: str, response: Nuisances | None) -> None:
    if response is not None:
        arrays[f"{name}.linear"], arrays[f"{name}.quadratic"] = response.linear, response.quadratic


def _names(*responses: Nuisances | None) -> list[list[str] | None]:
    return [None if r is None else list(r.names) for r in responses]


def _responses(
    arrays: Mapping[str, np.ndarray], prefix: str, names: Mapping[str, Any]
) -> tuple[Nuisances | None, Nuisances | None]:
    found = names.get(prefix, [None, None])
    made = [
        None
        if n is None
        else Nuisances(tuple(n), arrays[f"{prefix}{kind}.linear"], arrays[f"{prefix}{kind}.quadratic"])
        for n, kind in zip(found, ("response", "expected_response"), strict=True)
    ]
    return made[0], made[1]
