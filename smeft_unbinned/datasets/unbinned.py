"""UnbinnedDataset: an exported unbinned measurement, one file, one term of a global fit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import storage
from ..errors import InputError
from ..operators import UNITS, incomplete, translation
from ..polynomial import Array, Polynomial, QuadraticForm
from .extended import ExtendedTerm, log_ratio

__all__ = ["UnbinnedDataset", "log_ratio"]


class UnbinnedDataset(ExtendedTerm):
    """Events with their ratio polynomials r(x_e|c), and the expected yield nu(c).

    name: how fits and reports call it.
    ratios: quadratic forms with batch (N,), 1 at the SM.
    expected: nu(c) in events, no batch, or the number of events as a form of the same operators.
    weights: (N,), None for observed data (all 1); fractional for an Asimov sample.
    basis: the name set of the operators (`operators.DATASET_BASES`); coefficients are c/Lambda^2 in TeV^-2.
    spread: (N, P) standard deviation of the packed ratio coefficients over the ensemble, or None.
    metadata: JSON types; `export` records process, energy, luminosity, input scheme, features, seeds.
    """

    def __init__(
        self,
        name: str,
        ratios: QuadraticForm,
        expected: QuadraticForm,
        weights: Array | None = None,
        *,
        basis: str = "warsaw",
        spread: Array | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, ratios, expected, weights, basis)
        self.spread = None if spread is None else np.asarray(spread)
        if self.spread is not None and self.spread.shape != self.ratios.coefficients.shape:
            raise InputError(
                f"dataset {name!r}: spread has shape {self.spread.shape}, expected that of the packed "
                f"ratios, {self.ratios.coefficients.shape}"
            )
        self.metadata: dict[str, Any] = dict(metadata or {})

    def __repr__(self) -> str:
        return f"UnbinnedDataset({self.name!r}, {len(self)} events, {', '.join(self.operators)})"

    def _with(self, names: Sequence[str], transformation: Array, basis: str) -> UnbinnedDataset:
        spread = self.spread
        if spread is not None:  # propagated coefficient by coefficient, without their correlation
            full = np.zeros((len(self.operators) + 1, len(names) + 1))
            full[0, 0], full[1:, 1:] = 1.0, np.abs(transformation)
            spread = Polynomial(self.operators, spread).substitute(names, full).coefficients
        return UnbinnedDataset(
            self.name,
            self.ratios.change_basis(names, transformation),
            self.expected.change_basis(names, transformation),
            self.weights,
            basis=basis,
            spread=spread,
            metadata=self.metadata,
        )

    def in_basis(self, target: str) -> UnbinnedDataset:
        """Return the dataset in the coefficients of another basis; operators unknown there are an error.

        `metadata["incomplete"]` of the result names the new coefficients that also move old ones which this
        dataset does not have (see `operators.incomplete`).
        """
        if target == self.basis:
            return self
        names, matrix = translation(self.operators, self.basis, target)
        dataset = self._with(names, matrix, target)
        dataset.metadata["incomplete"] = incomplete(self.operators, self.basis, target)
        return dataset

    def restrict(self, operators: Sequence[str]) -> UnbinnedDataset:
        """Return the dataset with every operator but these set to zero."""
        names = self.ratios.restrict(operators).operators
        same = [float(a == b) for a in self.operators for b in names]
        return self._with(names, np.reshape(same, (len(self.operators), len(names))), self.basis)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file with the manifest in its header."""
        arrays = {
            "ratios": self.ratios.coefficients,
            "expected": self.expected.coefficients,
            "weights": self.weights,
        }
        if self.spread is not None:
            arrays["spread"] = self.spread
        manifest = {
            "name": self.name,
            "operators": list(self.operators),
            "basis": self.basis,
            "units": UNITS,
            "Lambda": "1 TeV",
            "metadata": self.metadata,
        }
        storage.write(path, "unbinned dataset", arrays, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> UnbinnedDataset:
        """Read a file written by `save`; raise InputError for a damaged file or another unit."""
        arrays, head = storage.read(path, "unbinned dataset")
        if head.get("units") != UNITS:
            raise InputError(f"{path} has coefficients in {head.get('units')}, not {UNITS}; convert it first")
        return cls(
            head["name"],
            Polynomial(head["operators"], arrays["ratios"]),
            Polynomial(head["operators"], arrays["expected"]),
            arrays["weights"],
            basis=head["basis"],
            spread=arrays.get("spread"),
            metadata={**head["metadata"], "checksums": head["checksums"]},
        )
