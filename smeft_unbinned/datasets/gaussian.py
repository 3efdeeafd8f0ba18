"""Binned measurements with a Gaussian likelihood: -2 log L = (d - t)^T V^-1 (d - t), zero at the SM.

The theory is t(c) + sum_k theta_k s_k, a quadratic form in the coefficients per bin and a shift s_k per
nuisance parameter. With the Cholesky factor V = L L^T, data and theory are
whitened once, r = L^-1 (d - t(0)) and s(c, theta) = L^-1 (t(c) - t(0) + sum_k theta_k s_k), so that
-2 log L = s . (s - 2 r), without the large numbers that cancel in the difference of two chi2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from .gaussian_load import Dataset, Rules, read

_SINGULAR = 1e-7
"""Fraction of a standard deviation that the other points must leave free; less is lost in rounding."""


class GaussianDataset:
    """A binned measurement of n points with a Gaussian covariance.

    name: of the dataset.
    data: (n,), in the units of the measurement.
    theory: Polynomial with batch (n,), same units, in c/Lambda^2 (TeV^-2).
    covariance: (n, n), squared units, symmetric and positive definite.
    basis: of the operators, "smefit" or "warsaw". metadata: anything of JSON types.
    nuisances: {name: (n,)}, by how much the theory shifts at one standard deviation of each nuisance
        parameter, in the units of the data. What they describe must not be in the covariance too.

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
        nuisances: Mapping[str, Array] | None = None,
    ) -> None:
        self.name, self.basis, self.metadata = str(name), basis, dict(metadata or {})
        self.operators = theory.operators
        self.data = np.array(data, dtype=float)
        self.covariance = np.array(covariance, dtype=float)
        coefficients = np.array(theory.coefficients, dtype=float)
        self.theory = Polynomial(self.operators, coefficients)
        factor = self._factor()
        self._residual = solve_triangular(factor, self.data - coefficients[:, 0], lower=True)  # r, (n,)
        whitened = solve_triangular(factor, coefficients, lower=True)
        whitened[:, 0] = 0.0
        self._shift = Polynomial(self.operators, whitened)  # s(c, 0)
        self._set_nuisances(nuisances or {}, factor)

    def _set_nuisances(self, nuisances: Mapping[str, Array], factor: np.ndarray) -> None:
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
        self._response = solve_triangular(factor, self.shifts.T, lower=True)  # ds/dtheta, (n, K)

    def _factor(self) -> np.ndarray:
        n = self.data.size
        shapes = self.data.shape, self.theory.batch_shape, self.covariance.shape
        if n == 0 or shapes != ((n,), (n,), (n, n)):
            raise InputError(
                f"{self.name}: data (n,), theory (n,) and covariance (n, n) must agree, n > 0; got shapes "
                f"{shapes[0]}, {shapes[1]} and {shapes[2]}"
            )
        arrays = {"data": self.data, "theory": self.theory.coefficients, "covariance": self.covariance}
        for what, array in arrays.items():
            if not np.all(np.isfinite(array)):
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise InputError(
                    f"{self.name}: the {what} has a non-finite entry at {where}; correct the input"
                )
        scale = np.sqrt(np.abs(np.diag(self.covariance)))
        if np.any(np.abs(self.covariance - self.covariance.T) > 1e-8 * np.outer(scale, scale)):
            raise InputError(
                f"{self.name}: the covariance is not symmetric; pass (V + V^T)/2 if that is meant"
            )
        self.covariance = 0.5 * (self.covariance + self.covariance.T)
        try:
            factor = np.linalg.cholesky(self.covariance)
            if np.min(np.diag(factor) / scale) > _SINGULAR:
                return factor
        except np.linalg.LinAlgError:
            pass
        smallest = float(np.linalg.eigvalsh(self.covariance)[0])
        raise InputError(
            f"{self.name}: the covariance is not positive definite (smallest eigenvalue {smallest:.3g}); "
            "look for a point without any uncertainty or for points that are fully correlated"
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

    def hessian(self, c: Point) -> Array:
        """Return the second derivatives of m2logl by the parameters: shape (..., p, p)."""
        xp, point, shift, residual, response = self._shifted(c)
        slope = self._shift.gradient(point)  # (..., n, n_operators)
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
        )

    @classmethod
    def load(
        cls,
        datasets: Dataset | Sequence[Dataset],
        *,
        data_path: str | Path | None = None,
        theory_path: str | Path | None = None,
        use_quad: bool = True,
        use_t0: bool = False,
        use_theory_covmat: bool = True,
        use_multiplicative_prescription: bool = False,
        default_order: str = "LO",
        name: str = "binned",
        operators: Sequence[str] | None = None,
        nuisances: Sequence[str] = (),
    ) -> GaussianDataset:
        """Load datasets in the format of SMEFiT as one measurement with the full covariance.

        The options mean what they mean in a SMEFiT runcard.

        datasets: a name, a mapping {name, order, theory_cov}, or a list of these.
        data_path, theory_path: folders of NAME.yaml and NAME.json; the theory is looked for with the data
            when only data_path is given, and both in the package `theory_tables` when neither is.
        use_quad: keep the quadratic corrections. use_t0: MULT uncertainties scale with the SM prediction.
        use_theory_covmat: add the covariance of the SM prediction ("current" unless an entry says otherwise).
        use_multiplicative_prescription: best SM times (1 + correction / SM at the order of the correction).
        operators: the coefficients of the fit. Other operators of the tables are set to zero, as SMEFiT does;
            metadata["operators_set_to_zero"] lists them, metadata["operators_without_effect"] lists names
            that no table knows. None keeps every operator of the tables.
        nuisances: names of systematics, correlated across datasets, that become nuisance parameters with
            explicit shifts in place of a part of the covariance. metadata["correlated_systematics"] lists
            all there are. Profiled over them with unit constraints, -2 log L is that of the full covariance.
        Raises InputError for datasets that are missing (all of them at once) and files that cannot be used.
        """
        rules = Rules(
            use_quad=use_quad,
            use_t0=use_t0,
            use_theory_covmat=use_theory_covmat,
            use_multiplicative_prescription=use_multiplicative_prescription,
            default_order=default_order,
        )
        arguments = read(datasets, data_path, theory_path, rules, operators, nuisances)
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
