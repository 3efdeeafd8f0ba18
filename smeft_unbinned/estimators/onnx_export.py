"""An estimator as an ONNX graph: features in, ratio coefficients out, for programs without torch or Python.

The graph is written operator by operator and does all that an estimator does: map of the features, growth,
networks of every member, head, calibration, mean. Networks run in float32 as in training, all around them is
float64. An estimator refuses features it cannot use; a graph cannot, and gives NaN for such an event.

Input `features`, (N, F) float64 in the order of the names in the metadata. Output `coefficients`, (N, P)
float64, packed over the monomials 1, c_i, c_i c_j (i <= j) as in `polynomial.pack`; with members also
`replicas`, (M, N, P).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from .. import storage
from ..errors import InputError
from ..events.morphing import monomial_names
from ..graphs.builder import Graph, Shape, new_graph, session
from ..operators import UNITS
from ..polynomial import size
from ..version import __version__
from . import registry
from .backbones import MLP
from .estimator import Estimator
from .features import FeatureMap
from .growth import Growth
from .heads import Head, Linear, Morphing, Quadratic, Squares
from .heads.morphing import LARGEST

_CHUNK = 8192


def to_onnx(estimator: Estimator, path: str | os.PathLike[str], *, members: bool = False) -> Path:
    """Write the estimator as an ONNX file, whole or not at all, and return its path.

    members: also give the coefficients of every member, as the output `replicas`.
    Raises InputError without the package onnx, for a path that cannot be written, and for a backbone or a
    head that the export does not know.
    """
    target = storage.check_target(path)
    storage.write_bytes(target, _model(estimator, members))
    return target


def _model(estimator: Estimator, members: bool) -> bytes:
    graph = new_graph()
    inputs, backbone, write_head = _supported(estimator)
    x = _inputs(graph, inputs, "features")
    g = _growth(graph, estimator.growth, x)
    outputs = _networks(graph, backbone, estimator.parameters, x, len(inputs.mean))
    replicas = write_head(graph, estimator, outputs, g)
    # x - x is 0 for a finite input and NaN for any other, which comparisons and exponentials may have lost
    unusable = graph.add("ReduceSum", graph.add("Sub", x, x), graph.constant([1], np.int64), keepdims=1)
    replicas = graph.add("Add", replicas, unusable, output="replicas")
    graph.add("ReduceMean", replicas, axes=[0], keepdims=0, output="coefficients")
    p = size(len(estimator.operators))
    given: dict[str, Shape] = {"coefficients": ["N", p]}
    if members:
        given["replicas"] = [estimator.members, "N", p]
    features: dict[str, Shape] = {"features": ["N", len(estimator.features)]}
    return graph.model("ratio_coefficients", features, given, _metadata(estimator))


HeadWriter = Callable[[Graph, Estimator, str, str], str]
"""Adds a head: from outputs (M, N, K) and growth (N, n) to calibrated coefficients (M, N, P)."""


def _supported(estimator: Estimator) -> tuple[FeatureMap, MLP, HeadWriter]:
    """Return the parts that depend on the kind of estimator; refuse those that have no graph."""
    backbone, head, inputs = estimator.backbone, estimator.head, estimator.inputs
    if type(backbone) is not MLP or not isinstance(inputs, FeatureMap):
        raise InputError(
            f"cannot write backbone {backbone.name!r} as ONNX, only {MLP.name!r}; train one with "
            f"backbone={MLP.name!r} on the same events, or call this estimator from Python"
        )
    if type(head) not in _HEADS:
        known = ", ".join(h.name for h in _HEADS)
        raise InputError(f"cannot write head {head.name!r} as ONNX, only {known}; train with one of these")
    return inputs, backbone, _HEADS[type(head)]


def _metadata(estimator: Estimator) -> dict[str, str]:
    """Return what the file says of itself: strings, or JSON where it is more than one."""
    arrays = {f"parameter.{k}": p for k, p in enumerate(estimator.parameters)}
    arrays["calibration"] = estimator.calibration
    arrays |= {f"growth.{k}": getattr(estimator.growth, k) for k in ("coefficients", "lower", "upper")}
    return {
        "smeft_unbinned": __version__,
        "features": json.dumps(estimator.features),
        "operators": json.dumps(estimator.operators),
        "monomials": json.dumps(monomial_names(estimator.operators)),
        "units": UNITS,
        "members": str(estimator.members),
        "backbone": json.dumps(registry.manifest(estimator.backbone)),
        "head": json.dumps(registry.manifest(estimator.head)),
        "checksums": json.dumps({name: storage.checksum(a) for name, a in arrays.items()}),
        "versions": json.dumps(estimator.metadata.get("versions", {})),
        "notes": json.dumps(estimator.notes),
    }


def _inputs(graph: Graph, inputs: FeatureMap, features: str) -> str:
    """Add the map from features (N, F) to standardised inputs (N, D)."""
    columns: list[str] = []
    for k, kind in enumerate(inputs.kinds):
        x = graph.take(features, [k])
        if kind == "angle":
            twice = graph.add("Mul", x, graph.constant(2.0))
            for angle in (x, twice):  # older runtimes have no cosine in double precision
                later = graph.add("Add", angle, graph.constant(0.5 * np.pi))
                columns += [graph.add("Sin", later), graph.add("Sin", angle)]
        elif kind == "cosine":
            square = graph.add("Sub", graph.constant(1.0), graph.add("Mul", x, x))
            columns += [x, graph.add("Sqrt", graph.add("Max", square, graph.constant(0.0)))]
        else:
            columns.append(graph.add("Log", x) if kind == "log" else x)
    centred = graph.add("Sub", graph.add("Concat", *columns, axis=1), graph.constant(inputs.mean))
    return graph.add("Div", centred, graph.constant(inputs.std))


def _growth(graph: Graph, growth: Growth, x: str) -> str:
    """Add the growth (N, n) of inputs (N, D)."""
    x = graph.add("Max", graph.add("Min", x, graph.constant(growth.upper)), graph.constant(growth.lower))
    monomials = graph.monomials(x, len(growth.lower), 2)
    return graph.add("Exp", graph.add("MatMul", monomials, graph.constant(growth.coefficients)))


def _networks(graph: Graph, backbone: MLP, parameters: tuple[np.ndarray, ...], x: str, width: int) -> str:
    """Add the networks of all members, from inputs (N, D), D = width, to outputs (M, N, K)."""
    single, double = graph.onnx.TensorProto.FLOAT, graph.onnx.TensorProto.DOUBLE
    h = graph.add("Cast", x, to=single)
    if width <= backbone.products:
        rows, columns = np.triu_indices(width)
        products = graph.add("Mul", graph.take(h, rows), graph.take(h, columns))
        h = graph.add("Concat", h, products, axis=1)
    for k in range(0, len(parameters), 2):
        if k:
            h = graph.add("Mul", h, graph.add("Sigmoid", h))
        product = graph.add("MatMul", h, graph.constant(parameters[k], np.float32))
        h = graph.add("Add", product, graph.constant(parameters[k + 1], np.float32))
    if backbone.separate:  # h is (M, K, N, 1), since parameters have an axis for the networks of a member
        h = graph.add("Squeeze", h, graph.constant([3], np.int64))
        h = graph.add("Transpose", h, perm=[0, 2, 1])
    return graph.add("Cast", h, to=double)


def _squares(graph: Graph, estimator: Estimator, outputs: str, g: str) -> str:
    """Factors (1, 0; a) times the calibration, and their squares."""
    n = len(estimator.operators)
    rank = estimator.head.outputs(n) // n
    a = graph.shaped(outputs, [0, 0, rank, n])
    a = graph.add("Mul", a, graph.add("Unsqueeze", g, graph.constant([1], np.int64)))
    one = np.zeros((rank, n + 1))
    one[0, 0] = 1.0
    factors = graph.add("Add", graph.pad(a, 4, 1, 0, 0.0), graph.constant(one))
    factors = graph.add("MatMul", factors, graph.constant(estimator.calibration[:, None]))
    return _packed(graph, graph.add("MatMul", _transposed(graph, factors), factors), n)


def _quadratic(graph: Graph, estimator: Estimator, outputs: str, g: str) -> str:
    """Coefficients of the monomials in u, times the growth, and the congruence of the calibration."""
    n = len(estimator.operators)
    rows, columns = np.triu_indices(n + 1)
    where = np.zeros((n + 1, n + 1), dtype=np.int64)
    where[rows, columns] = where[columns, rows] = np.arange(rows.size)
    packed = graph.add("Mul", graph.pad(outputs, 3, 1, 0, 1.0), graph.monomials(g, n, 2))
    half = graph.add("Mul", packed, graph.constant(np.where(rows == columns, 1.0, 0.5)))
    matrix = graph.shaped(graph.take(half, where.reshape(-1)), [0, 0, n + 1, n + 1])
    s = estimator.calibration[:, None]
    left = graph.add("MatMul", graph.constant(s.swapaxes(-1, -2)), matrix)
    return _packed(graph, graph.add("MatMul", left, graph.constant(s)), n)


def _morphing(graph: Graph, estimator: Estimator, outputs: str, g: str) -> str:
    """From the logarithms of the ratios at the basis points to the coefficients of the monomials in u."""
    head = estimator.head
    assert isinstance(head, Morphing)
    inverse = head.inverse(len(estimator.operators))
    limited = graph.add("Min", outputs, graph.constant(LARGEST))
    change = graph.add("Sub", graph.add("Exp", limited), graph.constant(1.0))
    return _quadratic(graph, estimator, graph.add("MatMul", change, graph.constant(inverse.T)), g)


def _linear(graph: Graph, estimator: Estimator, outputs: str, g: str) -> str:
    """1, the linear coefficients with the offset of the calibration, and zeros."""
    n = len(estimator.operators)
    offset = graph.constant(2.0 * estimator.calibration[:, None, 0, 1:])
    linear = graph.add("Add", graph.add("Mul", outputs, g), offset)
    return graph.pad(graph.pad(linear, 3, 1, 0, 1.0), 3, 0, size(n) - n - 1, 0.0)


_HEADS: dict[type[Head], HeadWriter] = {
    Squares: _squares, Quadratic: _quadratic, Linear: _linear, Morphing: _morphing,
}  # fmt: skip


def _transposed(graph: Graph, matrices: str) -> str:
    return graph.add("Transpose", matrices, perm=[0, 1, 3, 2])


def _packed(graph: Graph, matrix: str, n: int) -> str:
    """Pack matrices (M, N, n + 1, n + 1) into coefficients (M, N, P)."""
    rows, columns = np.triu_indices(n + 1)
    flat = graph.shaped(matrix, [0, 0, (n + 1) ** 2])
    twice = graph.constant(np.where(rows == columns, 1.0, 2.0))
    return graph.add("Mul", graph.take(flat, rows * (n + 1) + columns), twice)


def check(path: str | os.PathLike[str], estimator: Estimator, frame: pd.DataFrame) -> float:
    """Return the largest relative difference between onnxruntime and the estimator on a frame (N, F).

    A difference counts relative to the coefficient, or to the growth of its monomial, g_i or g_i g_j, where
    that is larger, since a coefficient may vanish; for every output of the file. Infinite where either is
    not finite. Raises InputError without the package onnxruntime, for a file it cannot read, and for one of
    other features, operators or number of members.
    """
    runtime = session(path)
    about = runtime.get_modelmeta().custom_metadata_map
    for key, expected in _metadata(estimator).items():
        if key in ("features", "operators", "members") and about.get(key) != expected:
            raise InputError(
                f"{path} has {key} {about.get(key)}, the estimator {expected}; export this estimator again"
            )
    names = [output.name for output in runtime.get_outputs()]
    rows, columns = np.triu_indices(len(estimator.operators) + 1)
    largest = 0.0
    for start in range(0, max(len(frame), 1), _CHUNK):  # the estimator refuses an empty frame
        part = frame.iloc[start : start + _CHUNK]
        replicas = estimator.replicas(part).dense().coefficients
        wanted = {"coefficients": replicas.mean(axis=0), "replicas": replicas}
        growth = estimator.growth(estimator.inputs.summary(part))
        full = np.concatenate([np.ones((len(part), 1)), growth], axis=1)
        sizes = full[:, rows] * full[:, columns]
        values = part[list(estimator.features)].to_numpy(float)
        for name, found in zip(names, runtime.run(names, {"features": values}), strict=True):
            difference = np.max(np.abs(found - wanted[name]) / np.maximum(np.abs(wanted[name]), sizes))
            largest = max(largest, float(difference) if np.isfinite(difference) else np.inf)
    return largest


def random_features(estimator: Estimator, n: int, seed: int) -> pd.DataFrame:
    """Return n events with independent features of the mean, spread and range of the training, (n, F).

    Raises InputError for inputs other than a feature map.
    """
    inputs, _, _ = _supported(estimator)
    rng = np.random.default_rng(seed)
    values: dict[str, np.ndarray] = {}
    k = 0
    for name, kind in zip(inputs.names, inputs.kinds, strict=True):
        z = np.clip(rng.normal(size=n), estimator.growth.lower[k], estimator.growth.upper[k])
        x = inputs.mean[k] + inputs.std[k] * z
        x = rng.uniform(-np.pi, np.pi, n) if kind == "angle" else x
        values[name] = np.exp(x) if kind == "log" else x
        k += {"angle": 4, "cosine": 2}.get(kind, 1)
    return pd.DataFrame(values)
