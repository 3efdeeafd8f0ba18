"""Binned measurements with a Gaussian likelihood: -2 log L = (d - t)^T V^-1 (d - t), zero at the SM.

The theory is t(c) + sum_k theta_k s_k, a quadratic form in the coefficients per bin and a shift s_k per
nuisance parameter. With the Cholesky factor V = L L^T, data and theory are
whitened once, r = L^-1 (d - t(0)) and s(c, theta) = L^-1 (t(c) - t(0) + sum_k theta_k s_k), so that
-2 log L = s . (s - 2 r), without the large numbers that cancel in the difference of two chi2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from scipy.linalg import solve_triangular

from ..errors import InputError
from ..operators import translate
from ..polynomial import (
    Array,
    Point,
    Polynomial,
    as_point,
    check_operators,
    convert,
    homogeneous,
    namespace,
    unpack,
)
from .gaussian_checks import check_finite, check_groups, factorised
from .gaussian_load import Dataset, Folders, Rules, Running, TableOptions, read

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PointOptions(TypedDict, total=False):
    """What else is known of the n points of a Gaussian measurement.

    nuisances: {name: (n,)}, by how much the theory shifts at one standard deviation of each nuisance
        parameter, in the units of the data. What they describe must not be in the covariance too.
    groups: name and slice of each measurement that the points come from, in order; default one, of all.
    sampling_covariance: (n, n), what data fluctuate with where that is another covariance than the one of
        the likelihood: without t0, if the latter has it. Default the covariance.
    """

    nuisances: Mapping[str, Array] | None
    groups: Sequence[tuple[str, slice]] | None
    sampling_covariance: Array | None


@dataclass(frozen=True)
class Points:
    """`PointOptions` with a value for each."""

    nuisances: Mapping[str, Array] | None = None
    groups: Sequence[tuple[str, slice]] | None = None
    sampling_covariance: Array | None = None


class GaussianDataset:
    """A binned measurement of n points with a Gaussian covariance.

    name: of the dataset.
    data: (n,), in the units of the measurement.
    theory: Polynomial with batch (n,), same units, in c/Lambda^2 (TeV^-2).
    covariance: (n, n), squared units, symmetric and positive definite.
    basis: of the operators, "smefit" or "warsaw". metadata: anything of JSON types.
    options: nuisances, groups and sampling_covariance, see `PointOptions`.

    Points are over `parameters`: the operators, then the nuisances, for which -2 log L has no constraint
    (`Likelihood` adds it). `shifts` holds the (K, n) shifts.
    Raises InputError for shapes that do not match, entries that are not finite, and a covariance that is not
    symmetric or not positive definite.
    """

    def __init__(
        self,
        name: str,
        data: Array,
        theory: Polynomial,
        covariance: Array,
        *,
        basis: str = "smefit",
        metadata: Mapping[str, Any] | None = None,
        **options: Unpack[PointOptions],
    ) -> None:
        points = Points(**options)
        self.name, self.basis, self.metadata = str(name), basis, dict(metadata or {})
        self.operators = theory.operators
        self.data = np.array(data, dtype=float)
        coefficients = np.array(theory.coefficients, dtype=float)
        self.theory = Polynomial(self.operators, coefficients)
        self.covariance = np.array(covariance, dtype=float)
        self._check()
        self.groups = check_groups(self.name, points.groups, self.data.size)
        for what, array in (("data", self.data), ("theory", coefficients), ("covariance", self.covariance)):
            check_finite(self.name, what, array, self.groups)
        self.covariance, self._factor = factorised(self.name, self.covariance, self.groups)
        self.sampling_covariance = self.covariance
        if points.sampling_covariance is not None:
            self.sampling_covariance = np.array(points.sampling_covariance, dtype=float)
        self._set_data(self.data)
        whitened = solve_triangular(self._factor, coefficients, lower=True)
        whitened[:, 0] = 0.0
        self._shift = Polynomial(self.operators, whitened)  # s(c, 0)
        self._set_nuisances(points.nuisances or {})

    def _set_data(self, data: Array) -> None:
        self.data = np.array(data, dtype=float)
        difference = self.data - self.theory.coefficients[:, 0]
        self._residual = solve_triangular(self._factor, difference, lower=True)  # r, (n,)

    def _set_nuisances(self, nuisances: Mapping[str, Array]) -> None:
        n = self.data.size
        self.nuisances = check_operators(nuisances)
        both = [name for name in self.nuisances if name in self.operators]
        if both:
            raise InputError(f"{self.name}: {', '.join(both)} is an operator and a nuisance; rename one")
        for name, shift in nuisances.items():
            if np.shape(shift) != (n,) or not np.all(np.isfinite(shift)):
                raise InputError(
                    f"{self.name}: the shifts of nuisance {name!r} must be {n} finite numbers, one per "
                    f"point, got shape {np.shape(shift)}"
                )
        self.parameters = (*self.operators, *self.nuisances)
        self.shifts = np.array([nuisances[k] for k in self.nuisances], dtype=float).reshape(-1, n)
        self._response = solve_triangular(self._factor, self.shifts.T, lower=True)  # ds/dtheta, (n, K)

    def _check(self) -> None:
        """Refuse arrays whose shapes do not match or that hold what is no finite number."""
        n = self.data.size
        shapes = self.data.shape, self.theory.batch_shape, self.covariance.shape
        if n == 0 or shapes != ((n,), (n,), (n, n)):
            raise InputError(
                f"{self.name}: data (n,), theory (n,) and covariance (n, n) must agree, n > 0; got shapes "
                f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
            )

    def __repr__(self) -> str:
        return f"GaussianDataset({self.name}; {self.data.size} points; {', '.join(self.parameters)})"

    def __len__(self) -> int:
        return int(self.data.size)

    def _shifted(self, c: Point) -> tuple[Any, Array, Array, Array, Array]:
        """Return the namespace, the operators' part of a point, s of shape (..., n), r, and ds/dtheta."""
        point = as_point(c, self.parameters)
        k = len(self.operators)
        shift = self._shift.evaluate(point[..., :k])
        xp = namespace(shift)
        response = xp.asarray(self._response, dtype=shift.dtype)
        if self.nuisances:
            shift = shift + xp.matmul(convert(xp, point[..., k:], shift.dtype), response.T)
        return xp, point[..., :k], shift, xp.asarray(self._residual, dtype=shift.dtype), response

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L minus its SM value at c (mapping by name, or (..., p)): shape (...)."""
        xp, _, shift, residual, _ = self._shifted(c)
        return xp.sum(shift * (shift - 2.0 * residual), axis=-1)

    def chi2(self, c: Point) -> Array:
        """Return the absolute (d - t)^T V^-1 (d - t) at c: shape (...)."""
        xp, _, shift, residual, _ = self._shifted(c)
        return xp.sum((residual - shift) ** 2, axis=-1)

    def chi2_by_group(self, c: Point) -> dict[str, Array]:
        """Return sum_i d_i (V^-1 d)_i over the points i of each measurement by its name, d = data - theory.

        Shape (...) each. They sum to chi2(c); where measurements are correlated one can be negative.
        """
        xp, _, shift, residual, _ = self._shifted(c)
        white = residual - shift
        factor = xp.asarray(self._factor, dtype=white.dtype)
        inverse = xp.asarray(self._inverse, dtype=white.dtype)
        terms = xp.matmul(white, factor.T) * xp.matmul(white, inverse)
        return {name: xp.sum(terms[..., place], axis=-1) for name, place in self.groups}

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.asarray(solve_triangular(self._factor, np.eye(len(self)), lower=True))

    def prediction(self, c: Point) -> Array:
        """Return the theory at c, with the shifts of nuisances, in the units of the data: shape (..., n)."""
        point = as_point(c, self.parameters)
        k = len(self.operators)
        theory = self.theory.evaluate(point[..., :k])
        if not self.nuisances:
            return theory
        xp = namespace(theory)
        shifts = xp.asarray(self.shifts, dtype=theory.dtype)
        return theory + xp.matmul(convert(xp, point[..., k:], theory.dtype), shifts)

    def replace(self, *, data: Array) -> GaussianDataset:
        """Return the dataset with other data (n,), everything else the same."""
        values = np.array(data, dtype=float)
        if values.shape != self.data.shape:
            raise InputError(f"{self.name}: data must have shape {self.data.shape}, got {values.shape}")
        check_finite(self.name, "data", values, self.groups)
        new = copy(self)
        new.metadata = dict(self.metadata)
        new._set_data(values)
        return new

    def asimov(self, c: Point) -> GaussianDataset:
        """Return the dataset with data equal to the prediction at one point c; the covariance stays."""
        return self.replace(data=self.prediction(c))

    def pseudo(self, rng: np.random.Generator, c: Point) -> GaussianDataset:
        """Return the dataset with data drawn at one point c from its own Gaussian likelihood.

        The covariance stays as loaded, with t0 or without.
        """
        noise = self._factor @ rng.standard_normal(len(self))
        return self.replace(data=self.prediction(c) + noise)

    def _contracted(self, xp: Any, shift: Array, residual: Array) -> Array:
        """Return the symmetric forms sum_i 2 (s_i - r_i) G_i, (..., n_operators + 1, n_operators + 1)."""
        whitened = xp.asarray(self._shift.coefficients, dtype=shift.dtype)
        return unpack(xp.tensordot(2.0 * (shift - residual), whitened, axes=([-1], [0])))

    def gradient(self, c: Point) -> Array:
        """Return the derivatives of m2logl by the parameters: shape (..., p)."""
        xp, point, shift, residual, response = self._shifted(c)
        matrix = self._contracted(xp, shift, residual)
        x = convert(xp, homogeneous(point), shift.dtype)
        slope = 2.0 * xp.matmul(matrix[..., 1:, :], x[..., None])[..., 0]
        if not self.nuisances:
            return slope
        return xp.concat([slope, 2.0 * xp.matmul(shift - residual, response)], axis=-1)

    @cached_property
    def _forms(self) -> np.ndarray:
        """What (1, c) is multiplied with for ds/dc: (n_operators + 1, n, n_operators)."""
        matrices = unpack(np.asarray(self._shift.coefficients))  # (n, n_operators + 1, n_operators + 1)
        return np.ascontiguousarray(2.0 * matrices[:, 1:, :].transpose(2, 0, 1))

    def hessian(self, c: Point) -> Array:
        """Return the second derivatives of m2logl by the parameters: shape (..., p, p)."""
        xp, point, shift, residual, response = self._shifted(c)
        forms = xp.asarray(self._forms, dtype=shift.dtype)
        slope = xp.tensordot(convert(xp, homogeneous(point), shift.dtype), forms, axes=([-1], [0]))
        curvature = self._contracted(xp, shift, residual)[..., 1:, 1:]
        corner = xp.matmul(xp.matrix_transpose(slope), slope) + curvature
        if not self.nuisances:
            return 2.0 * corner
        mixed = xp.matmul(response.T, slope)  # (..., K, n_operators)
        own = xp.zeros_like(mixed[..., :1]) + xp.matmul(response.T, response)
        top = xp.concat([corner, xp.matrix_transpose(mixed)], axis=-1)
        return 2.0 * xp.concat([top, xp.concat([mixed, own], axis=-1)], axis=-2)

    def in_basis(self, target: str) -> GaussianDataset:
        """Return the dataset in the coefficients of another basis.

        Raises InputError for operators that the target cannot express.
        """
        if target == self.basis:
            return self
        theory = translate(self.theory, self.basis, target).dense()
        return GaussianDataset(
            self.name,
            self.data,
            theory,
            self.covariance,
            basis=target,
            metadata=self.metadata,
            nuisances=dict(zip(self.nuisances, self.shifts, strict=True)),
            groups=self.groups,
            sampling_covariance=self.sampling_covariance,
        )

    @classmethod
    def load(
        cls,
        datasets: Dataset | Sequence[Dataset],
        *,
        data_path: Folders = None,
        theory_path: Folders = None,
        name: str = "binned",
        operators: Sequence[str] | None = None,
        nuisances: Sequence[str] = (),
        running: Running | None = None,
        **options: Unpack[TableOptions],
    ) -> GaussianDataset:
        """Load datasets in the format of SMEFiT as one measurement with the full covariance.

        datasets: a name, a mapping {name, order, theory_cov}, or a list of these.
        data_path, theory_path: folders of NAME.yaml and NAME.json, one or several; the theory is looked for
            with the data when only data_path is given, and both in the package `theory_tables` when neither
            is. A name that two folders hold is refused.
        running: how the coefficients at the scale of each point follow from those of the fit, after the
            rotation; the operators of the dataset are then those of `running`.
        operators: the coefficients of the fit. Other operators of the tables are set to zero, as SMEFiT does;
            metadata["operators_set_to_zero"] lists them, metadata["operators_without_effect"] lists names
            that no table knows. None keeps every operator of the tables.
        nuisances: names of systematics, correlated across datasets, that become nuisance parameters with
            explicit shifts in place of a part of the covariance. metadata["correlated_systematics"] lists
            all there are. Profiled over them with unit constraints, -2 log L is that of the full covariance.
        options: use_quad, use_t0, use_theory_covmat, use_multiplicative_prescription, default_order,
            cutoff_scale and rot_to_fit_basis, the keys of a SMEFiT runcard, see `TableOptions`.
        Raises InputError for datasets that are missing (all of them at once) and files that cannot be used.
        """
        rules = Rules(**options)
        arguments = read(datasets, data_path, theory_path, rules, operators, nuisances, running)
        try:
            return cls(name, **arguments)
        except InputError as error:
            explicit = arguments["nuisances"]
            if not explicit or "not positive definite" not in str(error):
                raise
            raise InputError(
                f"{error}. Without {', '.join(explicit)}, now nuisance parameters, some point has no "
                "uncertainty of its own left; leave them in the covariance"
            ) from None
