"""Binned measurements with a Gaussian likelihood: -2 log L = (d - t)^T V^-1 (d - t), zero at the SM.

The theory is t(c) + sum_k theta_k s_k, a quadratic form in the coefficients per bin and a shift s_k per
nuisance parameter. With the Cholesky factor V = L L^T, data and theory are
whitened once, r = L^-1 (d - t(0)) and s(c, theta) = L^-1 (t(c) - t(0) + sum_k theta_k s_k), so that
-2 log L = s . (s - 2 r), without the large numbers that cancel in the difference of two chi2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import block_diag, solve_triangular

from ..errors import InputError, nearest
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
from .commondata import (
    CommonData,
    TheoryTable,
    experimental_covariance,
    read_commondata,
    read_theory,
    shared_sources,
)

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
        entries = _entries(datasets, default_order)
        sets, tables = _read(entries, data_path, theory_path, use_theory_covmat)
        found = sorted({o for t in tables for o in (t.operators if use_quad else t.linear)})
        wanted = tuple(found) if operators is None else check_operators(operators)
        kept = tuple(o for o in wanted if o in found)
        t0 = [t.sm for t in tables] if use_t0 else None
        shared = shared_sources(sets, t0)
        explicit = {k: shared[k] for k in _known(nuisances, list(shared))}
        covariance = experimental_covariance(sets, t0, leave_out=tuple(explicit))
        covariance += block_diag(*(t.covariance for t in tables))
        coefficients = [_packed(t, kept, use_quad, use_multiplicative_prescription) for t in tables]
        metadata = {
            "datasets": [
                {
                    "name": t.name,
                    "order": t.order,
                    "points": t.sm.size,
                    "scales": None if np.any(np.isnan(t.scales)) else t.scales.tolist(),  # GeV
                }
                for t in tables
            ],
            "use_quad": use_quad,
            "use_t0": use_t0,
            "use_theory_covmat": use_theory_covmat,
            "use_multiplicative_prescription": use_multiplicative_prescription,
            "operators_set_to_zero": [o for o in found if o not in kept],
            "operators_without_effect": [o for o in wanted if o not in found],
            "correlated_systematics": list(shared),
        }
        data = np.concatenate([d.data for d in sets])
        theory = Polynomial(kept, np.concatenate(coefficients))
        try:
            return cls(name, data, theory, covariance, basis="smefit", metadata=metadata, nuisances=explicit)
        except InputError as error:
            if not explicit or "not positive definite" not in str(error):
                raise
            raise InputError(
                f"{error}. Without {', '.join(explicit)}, now nuisance parameters, some point has no "
                "uncertainty of its own left; leave them in the covariance"
            ) from None


Dataset = str | Mapping[str, Any]
"""An entry of `datasets`: a name, or a mapping {name, order, theory_cov}."""


@dataclass(frozen=True)
class _Entry:
    name: str
    order: str
    theory_cov: str = "current"


def _known(nuisances: Sequence[str], systematics: Sequence[str]) -> tuple[str, ...]:
    """Return the names; raise InputError for one that is no systematic correlated across datasets."""
    names = check_operators(nuisances)
    for name in names:
        if name not in systematics:
            raise InputError(
                f"{name!r} is no systematic of these datasets that is correlated by name; they have "
                f"{', '.join(systematics) or 'none'}.{nearest(name, systematics)}"
            )
    return names


def _entries(datasets: Dataset | Sequence[Dataset], default_order: str) -> list[_Entry]:
    listed = [datasets] if isinstance(datasets, str | Mapping) else list(datasets)
    known = ("name", "order", "theory_cov")
    entries = []
    for item in listed:
        fields = {"name": item} if isinstance(item, str) else item
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
            raise InputError(f"a dataset is a name or a mapping {{name, order, theory_cov}}, got {item!r}")
        for key, value in fields.items():
            if key not in known:
                raise InputError(f"dataset {fields['name']}: unknown key {key!r}.{nearest(str(key), known)}")
            if not isinstance(value, str):
                raise InputError(f"dataset {fields['name']}: {key} must be text, got {value!r}")
        entries.append(_Entry(**{"order": default_order, **fields}))
    names = [e.name for e in entries]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not names:
        raise InputError(
            f"datasets must be distinct and not none at all; given twice: {', '.join(twice) or '-'}"
        )
    return entries


def _folder(path: str | Path | None, default: str) -> dict[str, Path]:
    """Return the files of a folder by name without suffix."""
    folder = Path(path) if path is not None else Path(str(files("theory_tables"))) / default
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}; give data_path and theory_path")
    suffix = ".yaml" if default == "commondata" else ".json"
    return {p.stem: p for p in folder.iterdir() if p.suffix == suffix}


def _read(
    entries: Sequence[_Entry],
    data_path: str | Path | None,
    theory_path: str | Path | None,
    with_covariance: bool,
) -> tuple[list[CommonData], list[TheoryTable]]:
    data_files = _folder(data_path, "commondata")
    theory_files = _folder(data_path if theory_path is None else theory_path, "theory")
    known = [n for n in data_files if n in theory_files]
    missing = []
    for entry in entries:
        lacks = [w for w, have in (("data", data_files), ("theory", theory_files)) if entry.name not in have]
        if lacks:
            missing.append(f"{entry.name} (no {' and no '.join(lacks)}).{nearest(entry.name, known)}")
    if missing:
        raise InputError(
            f"datasets not found (data_path: {data_path or 'theory_tables'}, "
            f"theory_path: {theory_path or data_path or 'theory_tables'}):\n  " + "\n  ".join(missing)
        )
    sets = [read_commondata(data_files[e.name], e.name) for e in entries]
    tables = [
        read_theory(
            theory_files[e.name], e.name, d.data.size, e.order, e.theory_cov if with_covariance else None
        )
        for e, d in zip(entries, sets, strict=True)
    ]
    return sets, tables


def _packed(
    table: TheoryTable, operators: tuple[str, ...], use_quad: bool, multiplicative: bool
) -> np.ndarray:
    """Return the packed coefficients (n, P) of one table in the given operators."""
    m = len(operators)
    if multiplicative and np.any(table.normalisation == 0):
        raise InputError(f"{table.name}: SM of order {table.order} is zero in a bin, so that no ratio exists")
    factor = table.sm / table.normalisation if multiplicative else np.ones_like(table.sm)
    rows, columns = np.triu_indices(m + 1)
    out = np.zeros((table.sm.size, rows.size))
    out[:, 0] = table.sm
    position = {o: i + 1 for i, o in enumerate(operators)}
    place = {(int(i), int(j)): k for k, (i, j) in enumerate(zip(rows, columns, strict=True))}
    for o, values in table.linear.items():
        if o in position:
            out[:, position[o]] = values * factor
    for (a, b), values in table.quadratic.items() if use_quad else ():
        if a in position and b in position:
            i, j = sorted((position[a], position[b]))
            out[:, place[i, j]] = values * factor
    return out
