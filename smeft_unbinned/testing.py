"""Checks that an adapter hands the right numbers to a dataset: any adapter runs them, with or without pytest.

    def make(dataset, names):
        term = my_adapter.Term(dataset, names)
        return Adapter(term.m2logl, units="GeV^-2")

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check): check(make, operators=("phiW", "phiB", "phiWB"), basis="wcxf")

Each check raises AssertionError with what came and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeAlias

import numpy as np

from .datasets import UnbinnedDataset
from .fitters.term import IN_TEV
from .operators import UNITS
from .polynomial import Array, Polynomial, size

OPERATORS, BASIS = ("OpW", "O3pq", "Opui"), "smefit"
"""Coefficients of the dataset of the checks, unless others are given."""
POINTS = 20
"""Random points at which values are compared."""
TOLERANCE = 1e-10
"""Relative error of -2 log L, on the scale of the largest of the values."""
STEP, SLOPE = 1e-5, 1e-6
"""Step of finite differences in TeV^-2, and the relative error of a gradient, on the scale of the largest."""


@dataclass(frozen=True)
class Adapter:
    """What the checks see of an adapter that was made for a dataset and n names.

    m2logl: -2 log L of values (n,) in the order of the names and in `units`, as the fitter hands them over.
    gradient: its derivatives (n,) by these values, None where there are none. batch: whether m2logl takes
    (..., n) too. pickles: whether m2logl has to survive pickling, as it does in a fitter that uses MPI.
    """

    m2logl: Callable[[Array], Any]
    units: str = UNITS
    gradient: Callable[[Array], Any] | None = None
    batch: bool = False
    pickles: bool = True


Make: TypeAlias = "Callable[[UnbinnedDataset, Sequence[str]], Adapter]"
"""From a dataset, and the names of the fit's coefficients in their order, absent and further ones too."""
Check: TypeAlias = "Callable[..., None]"


def toy_dataset(
    operators: Sequence[str] = OPERATORS, basis: str = BASIS, events: int = 200, seed: int = 0
) -> UnbinnedDataset:
    """Return a dataset of random events with squared amplitudes linear in the coefficients: r > 0."""
    n, rng = len(operators), np.random.default_rng(seed)
    amplitudes = 0.3 * rng.normal(size=(events, 2, n + 1))
    amplitudes[:, 0, 0], amplitudes[:, 1, 0] = 1.0, 0.0
    packed = [Polynomial.from_matrix(operators, a.T @ a).coefficients for a in amplitudes]
    ratios = Polynomial(operators, np.reshape(packed, (events, size(n))))
    expected = Polynomial(operators, ratios.coefficients.mean(axis=0) * events)
    return UnbinnedDataset("toy", ratios, expected, basis=basis, metadata={"scale": 1000.0})


def points(adapter: Adapter, n: int, count: int = POINTS, seed: int = 1) -> tuple[Array, Array]:
    """Return random coefficients (count, n) in TeV^-2, and the same in the units of the adapter."""
    c = np.random.default_rng(seed).uniform(-1.0, 1.0, size=(count, n))
    return c, c / IN_TEV[adapter.units]


def _same(found: Sequence[Any], expected: Array, what: str, tolerance: float = TOLERANCE) -> None:
    values = np.array([np.asarray(x, dtype=float) for x in found])
    assert values.shape == np.shape(expected), f"{what}: shape {values.shape}, expected {np.shape(expected)}"
    difference = float(np.max(np.abs(values - expected)) / np.max(np.abs(expected)))
    assert difference <= tolerance, (
        f"{what}: differs by {difference:.3g} of the largest value, at most {tolerance:g} is allowed; "
        f"first values {values.ravel()[:3]}, expected {np.ravel(expected)[:3]}"
    )


def check_values(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """-2 log L is that of the dataset, in the units of the fitter."""
    dataset = toy_dataset(operators, basis)
    adapter = make(dataset, operators)
    c, values = points(adapter, len(operators))
    _same([adapter.m2logl(v) for v in values], dataset.m2logl(c), f"-2 log L of values in {adapter.units}")


def check_order(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """Values go by name, in whatever order the fitter has its coefficients."""
    dataset, names = toy_dataset(operators, basis), tuple(reversed(operators))
    adapter = make(dataset, names)
    c, values = points(adapter, len(names))
    expected = [dataset.m2logl(dict(zip(names, row, strict=True))) for row in c]
    _same([adapter.m2logl(v) for v in values], expected, f"-2 log L in the order {', '.join(names)}")


def check_absent(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """A coefficient of the dataset that the fit lacks is zero."""
    dataset, names = toy_dataset(operators, basis), tuple(operators[1:])
    adapter = make(dataset, names)
    c, values = points(adapter, len(names))
    expected = [dataset.m2logl(dict(zip(names, row, strict=True))) for row in c]
    _same([adapter.m2logl(v) for v in values], expected, f"-2 log L without {operators[0]}")


def check_zero(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """-2 log L is zero at the SM."""
    found = float(make(toy_dataset(operators, basis), operators).m2logl(np.zeros(len(operators))))
    assert found == 0.0, f"-2 log L at the SM is {found:g}, expected zero"


def check_precision(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """Coefficients are not rounded to single precision on the way."""
    dataset = toy_dataset(operators, basis)
    adapter = make(dataset, operators)
    c, _ = points(adapter, len(operators), 1)
    steps = c[0] + np.array([[0.0], [1e-9]])
    low, high = (float(adapter.m2logl(row / IN_TEV[adapter.units])) for row in steps)
    expected = float(dataset.gradient(c[0]) @ np.full(len(operators), 1e-9))
    assert abs((high - low) - expected) < 0.01 * abs(expected), (
        f"-2 log L changes by {high - low:.3g} over 1e-9 in each coefficient, expected {expected:.3g}: is "
        "there single precision on the way?"
    )


def check_gradient(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """A gradient is that of -2 log L by the values, in their units; without one nothing is checked."""
    adapter = make(toy_dataset(operators, basis), operators)
    if adapter.gradient is None:
        return
    _, values = points(adapter, len(operators), 5)
    step = np.eye(len(operators)) * STEP / IN_TEV[adapter.units]
    size_of = 2.0 * STEP / IN_TEV[adapter.units]
    expected = [[(adapter.m2logl(v + s) - adapter.m2logl(v - s)) / size_of for s in step] for v in values]
    _same([adapter.gradient(v) for v in values], np.array(expected, dtype=float), "gradient", SLOPE)


def check_batch(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """Several points at once give what each gives alone, where the adapter takes several."""
    adapter = make(toy_dataset(operators, basis), operators)
    if not adapter.batch:
        return
    _, values = points(adapter, len(operators), 6)
    alone = np.array([float(adapter.m2logl(v)) for v in values])
    _same([adapter.m2logl(values)], alone[None], "-2 log L of a batch")
    nested = adapter.m2logl(values.reshape(2, 3, -1))
    _same([nested], alone.reshape(1, 2, 3), "-2 log L of a batch with two axes")


def check_pickling(make: Make, operators: Sequence[str] = OPERATORS, basis: str = BASIS) -> None:
    """What another process gets of it gives the same, where the fitter has several."""
    adapter = make(toy_dataset(operators, basis), operators)
    if not adapter.pickles:
        return
    _, values = points(adapter, len(operators), 3)
    copy = ForkingPickler.loads(ForkingPickler.dumps(adapter.m2logl))
    same = [float(copy(v)) == float(adapter.m2logl(v)) for v in values]
    assert all(same), "-2 log L differs after pickling"


CHECKS: tuple[Check, ...] = (
    check_values, check_order, check_absent, check_zero, check_precision, check_gradient, check_batch,
    check_pickling,
)  # fmt: skip
