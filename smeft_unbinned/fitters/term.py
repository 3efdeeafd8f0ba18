"""One dataset as a term of another program's likelihood, in that program's coefficients."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np
from array_api_compat import is_jax_array

from ..datasets import PoissonDataset, UnbinnedDataset
from ..datasets.files import load_dataset
from ..datasets.protocol import nuisances_of
from ..errors import InputError, nearest
from ..likelihood import Likelihood
from ..operators import GEV2_PER_TEV2, UNITS, expressible
from ..polynomial import Array, Point, as_point, namespace
from .traced import INLINE, traced

if TYPE_CHECKING:
    from typing_extensions import Unpack

Evolve: TypeAlias = "Callable[[float], tuple[Sequence[str], np.ndarray]]"
"""Running: from the scale of the dataset in GeV to the coefficients there, in the basis of the fitter, and
the matrix (m, n) that gives them from those of the fitter."""

IN_TEV = {UNITS: 1.0, "GeV^-2": 1.0 / GEV2_PER_TEV2}
"""Units of a fitter's coefficients, and the factors to TeV^-2."""

_log = logging.getLogger(__name__)


class ScaleOptions(TypedDict, total=False):
    """The scale at which a dataset sees the coefficients.

    evolve: running to the scale of the dataset, or None where the values hold at that scale, the default.
    scale: of the dataset in GeV, default what its file records; needed with `evolve`.
    remedy: what to do where it is not known, for the message.
    """

    evolve: Evolve | None
    scale: float | None
    remedy: str


@dataclass(frozen=True)
class Scale:
    """`ScaleOptions` with a value for each."""

    evolve: Evolve | None = None
    scale: float | None = None
    remedy: str = "export it with metadata['scale']"


class Term:
    """-2 log L of one dataset, zero at the SM, as a function of the coefficients of a fitter.

    dataset: unbinned or Poisson, or the path of its file.
    names: n coefficients of the fitter, in the order of the values that it hands over; default those of the
        dataset in `basis`. A coefficient of the dataset that is absent here is zero, one that the dataset
        does not know has no effect: `used` and `set_to_zero` name them.
    basis: whose names these are, one of `operators.DATASET_BASES`; default that of the dataset.
    units: of the values, "TeV^-2" or "GeV^-2".
    inline: bytes of the dataset up to which jax compiles it into a program; a larger one, and with 0 any, is
        evaluated by the engine of this package, which the program calls. See `traced`.
    options: evolve, scale and remedy, see `ScaleOptions`.

    `name` and `metadata` are those of the dataset: `datasets.overlap.check_overlap` takes terms as well.
    Nuisance parameters of the dataset have unit-Gaussian constraints, and -2 log L is minimised over them.
    Raises InputError for a file that cannot be read, for units and bases that are not known, for names given
    twice, and for running to a scale that is not known.
    """

    def __init__(
        self,
        dataset: UnbinnedDataset | PoissonDataset | str | os.PathLike[str],
        names: Sequence[str] | None = None,
        *,
        basis: str | None = None,
        units: str = UNITS,
        inline: int = INLINE,
        **options: Unpack[ScaleOptions],
    ) -> None:
        at = Scale(**options)
        original = load_dataset(dataset) if isinstance(dataset, str | os.PathLike) else dataset
        if units not in IN_TEV:
            raise InputError(
                f"unknown units {units!r}; known are {', '.join(IN_TEV)}.{nearest(units, IN_TEV)}"
            )
        self.basis, self.units = basis or original.basis, units
        known = expressible(original.operators, original.basis, self.basis)
        whole = _restricted(original, known).in_basis(self.basis)
        self.name, self.metadata = whole.name, whole.metadata
        self.names = tuple(str(n) for n in (whole.operators if names is None else names))
        if twice := sorted({n for n in self.names if self.names.count(n) > 1}):
            raise InputError(f"coefficients named twice: {', '.join(twice)}")
        self.scale = _scale(whole.metadata.get("scale") if at.scale is None else at.scale, whole.name)
        reached, matrix = self.names, np.eye(len(self.names))
        if at.evolve is not None:
            if self.scale is None:
                raise InputError(f"running is asked for, but dataset {whole.name} has no scale; {at.remedy}")
            names_there, matrix = at.evolve(self.scale)
            reached = tuple(names_there)
        self.used = tuple(name for name in whole.operators if name in reached)
        self.set_to_zero = (
            *(name for name in original.operators if name not in known),
            *(name for name in whole.operators if name not in self.used),
        )
        rows = [matrix[reached.index(name)] for name in self.used]
        shape = len(self.used), len(self.names)
        self._matrix = np.ascontiguousarray(np.reshape(rows, shape).T) * IN_TEV[units]  # (n, used)
        self._same = self.names == self.used and np.array_equal(self._matrix, np.eye(len(self.used)))
        self.dataset = _restricted(whole, self.used) if self.used else None
        self.nuisances = nuisances_of(self.dataset)
        self._term: Any = self.dataset
        if self.dataset is not None and self.nuisances:
            self._term = Likelihood([self.dataset]).profiled()
        self._inline, self._traced = inline, None
        self.notes = _notes(whole, self)

    def __repr__(self) -> str:
        name = self.dataset.name if self.dataset is not None else "nothing"
        return f"Term({name!r}, {', '.join(self.used) or 'no coefficient'}; {self.basis}, {self.units})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_traced": None}

    def log(self, logger: logging.Logger = _log) -> None:
        """Say which coefficients are used, which are zero, and what else to know, `notes`."""
        used, zero = ", ".join(self.used) or "none", ", ".join(self.set_to_zero) or "none"
        logger.log(
            logging.INFO if self.used else logging.WARNING, "%s: uses the operators %s; set to zero: %s",
            self._what, used, zero,
        )  # fmt: skip
        for note in self.notes:
            logger.warning("%s: %s", self._what, note)

    @property
    def _what(self) -> str:
        if self.dataset is None:
            return "a dataset"
        unbinned = isinstance(self.dataset, UnbinnedDataset)
        size = f"{len(self.dataset)} {'events' if unbinned else 'bins'}"
        return f"{'Unbinned' if unbinned else 'Poisson'} dataset {self.dataset.name}, {size}"

    def _inner(self, values: Point) -> Array:
        """Return the coefficients (..., used) of the dataset in TeV^-2 at its scale."""
        c = as_point(values, self.names)
        xp = namespace(c)
        if c.dtype != xp.float64:
            raise InputError(
                f"values of coefficients must be float64, got {c.dtype}: -2 log L of many events needs "
                "double precision (in jax, jax.config.update('jax_enable_x64', True))"
            )
        return c if self._same else xp.matmul(c, xp.asarray(self._matrix))

    def _for(self, c: Array) -> Any:
        """Return what has the values and derivatives of the dataset for the library of some coefficients."""
        if not is_jax_array(c):
            return self._term
        if self._traced is None and self.dataset is not None:
            self._traced = traced(self.dataset, self._term, self._inline)
        return self._traced

    def m2logl(self, values: Point) -> Array:
        """Return -2 log L, zero at the SM, shape (...).

        values: mapping by name, absent ones zero, or (..., n) in float64, of numpy, torch or jax.
        Raises InputError for another shape or precision, and for unknown names in a mapping.
        """
        c = self._inner(values)
        if self._term is None:
            return 0.0 * namespace(c).sum(as_point(values, self.names), axis=-1)
        return self._for(c).m2logl(c)

    def log_likelihood(self, values: Point) -> Array:
        """Return log L(c) - log L(0), shape (...)."""
        return -0.5 * self.m2logl(values)

    def gradient(self, values: Point) -> Array:
        """Return the derivatives of `m2logl` by the values, (..., n), in inverse units of them."""
        c = self._inner(values)
        if self._term is None:
            return 0.0 * as_point(values, self.names)
        xp = namespace(c)
        return xp.matmul(self._for(c).gradient(c), xp.asarray(self._matrix.T))

    def hessian(self, values: Point) -> Array:
        """Return the second derivatives, (..., n, n)."""
        c = self._inner(values)
        xp = namespace(c)
        if self._term is None:
            return xp.zeros((*c.shape[:-1], len(self.names), len(self.names)), dtype=c.dtype)
        matrix = xp.asarray(self._matrix)
        return xp.matmul(xp.matmul(matrix, self._for(c).hessian(c)), xp.matrix_transpose(matrix))


def _restricted(
    dataset: UnbinnedDataset | PoissonDataset, operators: Sequence[str]
) -> UnbinnedDataset | PoissonDataset:
    """Return the dataset with other operators set to zero, itself where there are none: it may be large."""
    return dataset if tuple(operators) == dataset.operators else dataset.restrict(operators)


def _scale(scale: object, name: str) -> float | None:
    if scale is None:
        return None
    try:
        value = float(scale)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = np.nan
    if isinstance(scale, bool) or not (np.isfinite(value) and value > 0):
        raise InputError(f"dataset {name}: scale must be a positive number of GeV, got {scale!r}")
    return value


def _notes(whole: UnbinnedDataset | PoissonDataset, term: Term) -> tuple[str, ...]:
    """Return what a user of the term has to know."""
    notes = [
        f"takes no account of {', '.join(missing)}, which {name} moves too"
        for name, missing in whole.metadata.get("incomplete", {}).items()
        if name in term.used
    ]
    if term.nuisances:
        notes.append(
            f"-2 log L is minimised over its nuisances {', '.join(term.nuisances)}, with unit constraints; "
            "they are not correlated with those of other datasets"
        )
    return tuple(notes)
