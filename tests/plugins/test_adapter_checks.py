"""The checks of adapters notice each of the mistakes that they are there for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from smeft_unbinned import UnbinnedDataset, testing
from smeft_unbinned.fitters import Term
from smeft_unbinned.testing import CHECKS, Adapter, Check

Wrong = Callable[[UnbinnedDataset, Sequence[str]], Adapter]


def good(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    term = Term(dataset, names)
    return Adapter(term.m2logl, gradient=term.gradient, batch=True)


def without_batch(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    """An adapter that offers the value of one point, and no more."""
    return Adapter(Term(dataset, names).m2logl, pickles=False)


def wrong_order(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    return Adapter(Term(dataset, sorted(names)).m2logl)


def wrong_units(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    return Adapter(Term(dataset, names).m2logl, units="GeV^-2")


def half(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    return Adapter(Term(dataset, names).log_likelihood)


def by_place(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    first = Term(dataset, dataset.operators[: len(names)])
    return Adapter(lambda v: first.m2logl(v))


def offset(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    term = Term(dataset, names)
    return Adapter(lambda v: term.m2logl(v) + 1e-6)


def single(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    term = Term(dataset, names)
    return Adapter(lambda v: term.m2logl(np.asarray(v, dtype=np.float32).astype(float)))


def wrong_gradient(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    term = Term(dataset, names)
    return Adapter(term.m2logl, gradient=lambda v: 1e6 * term.gradient(v))


def wrong_batch(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    term = Term(dataset, names)
    return Adapter(lambda v: term.m2logl(v).sum(), batch=True)


def not_pickled(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
    term = Term(dataset, names)
    return Adapter(lambda v: term.m2logl(v))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("make", [good, without_batch])
def test_what_is_right_passes(make: Wrong, check: Check) -> None:
    check(make)


@pytest.mark.parametrize(
    ("make", "check", "match"),
    [
        (wrong_order, testing.check_order, "in the order Opui, O3pq, OpW: differs by"),
        (wrong_units, testing.check_values, "of values in GeV"),
        (half, testing.check_values, "differs by 1.5 of the largest value"),
        (by_place, testing.check_absent, "without OpW: differs"),
        (offset, testing.check_zero, "at the SM is 1e-06, expected zero"),
        (single, testing.check_precision, "is there single precision on the way"),
        (wrong_gradient, testing.check_gradient, "gradient: differs"),
        (wrong_batch, testing.check_batch, r"shape \(1,\), expected \(1, 6\)"),
    ],
)
def test_what_is_wrong_is_told(make: Wrong, check: Check, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        check(make)


def test_what_cannot_be_pickled_is_noticed() -> None:
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        testing.check_pickling(not_pickled)
