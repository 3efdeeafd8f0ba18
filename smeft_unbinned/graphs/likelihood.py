"""The likelihood of an unbinned measurement as ONNX graphs: its events, and -2 log L of any events.

With a_e the packed coefficients of event e and m(c) the monomials 1, c_i, c_i c_j (i <= j),

    ratio_e = a_e . m(c),    yield = nu . m(c),    m2logl_events_e = -2 w_e [log ratio_e - log a_e0],
    m2logl = 2 [nu(c) - nu(0)] + sum_e m2logl_events_e,

where the logarithm continues linearly from `engine.FLOOR` down, see `engine.log_ratio`. All is float64.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from ..datasets import UnbinnedDataset
from ..engine import FLOOR
from ..errors import InputError
from ..events.morphing import monomial_names
from ..operators import UNITS
from ..polynomial import QuadraticForm, SumOfSquares, size
from ..version import __version__
from .builder import LARGEST, Graph, new_graph


def check_representable(dataset: UnbinnedDataset) -> None:
    """Raise InputError for a dataset that depends on nuisance parameters, for which there is no graph."""
    if dataset.nuisances:
        raise InputError(
            f"dataset {dataset.name!r} depends on nuisance parameters ({', '.join(dataset.nuisances)}), "
            "which an ONNX bundle cannot hold; export it without --responses and --luminosity-uncertainty"
        )


def total_yield(dataset: UnbinnedDataset) -> np.ndarray:
    """Return nu(c) with all backgrounds, expected events packed over the monomials, (P,)."""
    forms = [dataset.expected, *(background.expected for background in dataset.backgrounds)]
    groups = [np.atleast_2d(_dense(form, dataset.operators)) for form in forms]
    return np.asarray(np.concatenate(groups).sum(axis=0, dtype=float))


def likelihood_graph(dataset: UnbinnedDataset) -> bytes:
    """Return the file that maps `coefficients` (N, P), `c` (n,) and `weights` (N,) to -2 log L.

    Weights are 1 unless given, c is in TeV^-2. Outputs are `ratio` and `m2logl_events`, (N,), `yield` and
    `m2logl`, (). Of the dataset only the yield enters.
    Raises InputError without the package onnx and for a dataset with nuisances.
    """
    check_representable(dataset)
    graph, n = new_graph(), len(dataset.operators)
    p = size(n)
    weights = graph.constant([1.0], name="weights")
    monomials = graph.monomials("c", n, 1)
    axis = graph.constant([1], np.int64)
    column = graph.add("Unsqueeze", monomials, axis)  # a product with a vector takes ten times as long
    ratio = graph.add("Squeeze", graph.add("MatMul", "coefficients", column), axis, output="ratio")
    gain = graph.add("Sub", _log(graph, ratio), _log(graph, graph.take("coefficients", 0)))
    twice = graph.constant(-2.0)
    events = graph.add("Mul", graph.add("Mul", gain, weights), twice, output="m2logl_events")
    nu = total_yield(dataset)
    slope = nu.copy()
    slope[0] = 0.0  # nu(c) - nu(0) without the rounding of a difference
    change = graph.add("MatMul", monomials, graph.constant(slope))
    graph.add("Add", change, graph.constant(nu[0]), output="yield")
    total = graph.add("ReduceSum", events, keepdims=0)
    graph.add("Sub", total, graph.add("Mul", change, twice), output="m2logl")
    return graph.model(
        "likelihood",
        {"coefficients": ["N", p], "c": [n], "weights": ["N"]},
        {"ratio": ["N"], "m2logl_events": ["N"], "yield": [], "m2logl": []},
        _metadata(dataset) | {"floor": repr(FLOOR), "yield": json.dumps(nu.tolist())},
    )


def events_graph(dataset: UnbinnedDataset) -> bytes:
    """Return the file without inputs that gives `coefficients` (N, P) and `weights` (N,) of the events.

    The coefficients are those of the rate with all backgrounds, relative to the signal at the SM. Raises
    InputError without the package onnx, for a dataset with nuisances and for more than a file can hold.
    """
    check_representable(dataset)
    coefficients = _coefficients(dataset)
    needed = coefficients.nbytes + dataset.weights.nbytes
    if needed > LARGEST:
        raise InputError(
            f"the {len(dataset):,} events of dataset {dataset.name!r} take {needed / 2**30:.1f} GiB, an ONNX "
            "file holds less than 2; take fewer with compress, or export with --precision float32"
        )
    graph = new_graph()
    stored = graph.constant(coefficients, coefficients.dtype)
    graph.add("Cast", stored, to=graph.onnx.TensorProto.DOUBLE, output="coefficients")
    graph.add("Identity", graph.constant(dataset.weights), output="weights")
    shapes = {"coefficients": list(coefficients.shape), "weights": [len(dataset)]}
    return graph.model("events", {}, shapes, _metadata(dataset))


def _coefficients(dataset: UnbinnedDataset) -> np.ndarray:
    """Return the rates of the events, (N, P), in single precision where that is how they are stored."""
    total = _dense(dataset.ratios, dataset.operators)
    for background in dataset.backgrounds:
        total = total.astype(float) + _dense(background.ratios, dataset.operators)
    return total


def _dense(form: QuadraticForm, operators: Sequence[str]) -> np.ndarray:
    if isinstance(form, SumOfSquares):  # products of rounded factors need double precision
        form = SumOfSquares(form.operators, np.asarray(form.factors, dtype=float))
    return np.asarray(form.align(operators).dense().coefficients)


def _log(graph: Graph, r: str) -> str:
    """Add `engine.log_ratio`."""
    floor = graph.constant(FLOOR)
    above = graph.add("Greater", r, floor)
    log = graph.add("Log", graph.add("Where", above, r, graph.constant(1.0)))
    below = graph.add("Div", graph.add("Sub", r, floor), floor)
    return graph.add("Where", above, log, graph.add("Add", below, graph.constant(np.log(FLOOR))))


def _metadata(dataset: UnbinnedDataset) -> dict[str, str]:
    return {
        "smeft_unbinned": __version__,
        "dataset": dataset.name,
        "basis": dataset.basis,
        "operators": json.dumps(dataset.operators),
        "monomials": json.dumps(monomial_names(dataset.operators)),
        "units": UNITS,
    }
