"""ONNX graphs written operator by operator, and the sessions of onnxruntime that run them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, require
from ..polynomial import packed_indices
from ..version import __version__

OPSET, IR_VERSION = 17, 8
"""Version of the operators and of the file format, which runtimes read since mid-2022."""
LARGEST = 2**31 - 2**20
"""Bytes of constants that one file may hold: the format ends at two gibibytes."""
Shape = Sequence["int | str"]
"""Lengths of the axes; a name stands for any length."""


@dataclass
class Graph:
    """A graph under construction: nodes and constants, each value known by its name."""

    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, value: Any, dtype: Any = np.float64, name: str | None = None) -> str:
        """Store an array and return its name; with that of an input, it is what the input is by default."""
        name = name or f"constant{len(self.constants)}"
        array = np.array(value, dtype=dtype, order="C")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the name of that."""
        name = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], **attributes))
        return name

    def take(self, value: str, index: Any) -> str:
        """Select entries on the last axis, which a single number removes."""
        return self.add("Gather", value, self.constant(index, np.int64), axis=-1)

    def pad(self, value: str, dimensions: int, before: int, after: int, filling: float) -> str:
        """Put entries before and after those on the last axis."""
        other = [0] * (dimensions - 1)
        widths = self.constant([*other, before, *other, after], np.int64)
        return self.add("Pad", value, widths, self.constant(filling))

    def shaped(self, value: str, shape: list[int]) -> str:
        """Reshape; 0 keeps the length of an axis."""
        return self.add("Reshape", value, self.constant(shape, np.int64))

    def monomials(self, value: str, n: int, dimensions: int) -> str:
        """Add the monomials 1, x_i, x_i x_j (i <= j) of (..., n): (..., P)."""
        full = self.pad(value, dimensions, 1, 0, 1.0)
        rows, columns = packed_indices(n)
        return self.add("Mul", self.take(full, rows), self.take(full, columns))

    def model(
        self,
        name: str,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, Shape],
        metadata: Mapping[str, str],
    ) -> bytes:
        """Return the checked file; inputs and outputs are float64, metadata is what it says of itself."""
        helper, double = self.onnx.helper, self.onnx.TensorProto.DOUBLE

        def values(shapes: Mapping[str, Shape]) -> list[Any]:
            return [helper.make_tensor_value_info(key, double, list(shape)) for key, shape in shapes.items()]

        model = helper.make_model(
            helper.make_graph(self.nodes, name, values(inputs), values(outputs), self.constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="smeft-unbinned",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        self.onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())


def new_graph() -> Graph:
    """Return an empty graph; raise InputError without the package onnx."""
    return Graph(require("onnx", "onnx"))


def session(path: str | os.PathLike[str]) -> Any:
    """Return an onnxruntime session of one thread for a file.

    Raises InputError without the package onnxruntime and for a file that it cannot read.
    """
    runtime = require("onnxruntime", "onnx")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path") from error
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it would warn of every input that has a default
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no public class in common
        raise InputError(f"{path} is not an ONNX file that onnxruntime reads: {error}") from error
