"""Datasets under jax: written into the program, and called by it, against the engine in numpy."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from smeft_unbinned import PoissonDataset, Polynomial, UnbinnedDataset
from smeft_unbinned.datasets import Component
from smeft_unbinned.fitters import Term
from smeft_unbinned.lowrank import to_sum_of_squares
from smeft_unbinned.testing import toy_dataset

jax = pytest.importorskip("jax", reason="the jax extra is not installed")
pytestmark = pytest.mark.usefixtures("x64")
POINTS = np.random.default_rng(5).uniform(-0.5, 0.5, (5, 3))


def weighted() -> UnbinnedDataset:
    data = toy_dataset(events=203)
    return data.replace(weights=np.random.default_rng(0).uniform(0.1, 2.0, 203))


def with_background() -> UnbinnedDataset:
    data = toy_dataset(events=50)
    ratios = Polynomial(data.operators, np.random.default_rng(0).uniform(0.2, 0.4, (50, 1)) * np.eye(10)[0])
    return data.replace(backgrounds=[Component(ratios, Polynomial((), [15.0]))])


def bins() -> PoissonDataset:
    data = toy_dataset(events=7)
    return PoissonDataset("bins", data.ratios.dense() * 20.0, np.arange(15.0, 22.0), basis="smefit")


def flattened() -> UnbinnedDataset:
    data = toy_dataset(events=102)
    return data.replace(ratios=to_sum_of_squares(data.ratios)[0])


DATASETS: dict[str, Callable[[], Any]] = {
    "equal weights": lambda: toy_dataset(events=201),
    "one weight of half": lambda: toy_dataset(events=200).replace(weights=np.full(200, 0.5)),
    "weights": weighted,
    "single precision": lambda: toy_dataset().astype(np.float32),
    "low rank": flattened,
    "full rank": lambda: toy_dataset(events=3).replace(
        ratios=to_sum_of_squares(toy_dataset(events=3).ratios, tolerance=0.0)[0]
    ),
    "groups of the yield": lambda: toy_dataset().replace(
        expected=Polynomial(toy_dataset().operators, np.stack([toy_dataset().expected.coefficients / 2] * 2))
    ),
    "bins": bins,
    "background": with_background,
    "nuisance": lambda: toy_dataset(events=60).with_luminosity(0.1),
}


@pytest.mark.parametrize("inline", [2**27, 0])
@pytest.mark.parametrize("name", DATASETS)
def test_values_and_derivatives_are_those_of_the_engine(name: str, inline: int) -> None:
    term = Term(DATASETS[name](), inline=inline)
    expected = term.m2logl(POINTS)
    slopes, bends = term.gradient(POINTS), term.hessian(POINTS)
    exact = 1e-6 if name == "single precision" else 1e-11  # of the engine, which multiplies in that precision
    value = jax.jit(term.m2logl)
    assert float(value(POINTS[1])) == pytest.approx(expected[1], rel=exact)
    assert float(value(np.zeros(3))) == pytest.approx(0.0, abs=1e-11)
    for values in (jax.jit(jax.vmap(term.m2logl)), jax.vmap(value), value):
        np.testing.assert_allclose(values(POINTS), expected, rtol=exact)
    slope = jax.jit(jax.vmap(jax.grad(term.m2logl)))(POINTS)
    np.testing.assert_allclose(slope, slopes, rtol=100 * exact, atol=exact * np.abs(slopes).max())
    if term.nuisances and inline:
        return  # the second derivative of a search takes a minute to compile
    bend = jax.jit(jax.vmap(jax.hessian(term.m2logl)))(POINTS)
    np.testing.assert_allclose(bend, bends, rtol=1000 * exact, atol=10 * exact * np.abs(bends).max())


def test_derivatives_that_are_asked_for_by_name() -> None:
    for inline in (2**27, 0):
        term = Term(toy_dataset(), inline=inline)
        for function in (term.gradient, term.hessian):
            np.testing.assert_allclose(jax.jit(function)(POINTS), function(POINTS), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("inline", [2**27, 0])
def test_ratios_that_are_not_positive_cost_a_finite_sloping_amount(inline: int) -> None:
    ratios = Polynomial(["OpW"], [[1.0, -1.0, 0.0], [1.0, 0.5, 0.0]])
    data = UnbinnedDataset("x", ratios, Polynomial(["OpW"], [2.0, 0.0, 0.0]), basis="smefit")
    for weights in (np.ones(2), np.array([1.0, 2.0])):
        term = Term(data.replace(weights=weights), inline=inline)
        c = np.array([[0.5], [2.0], [3.0]])
        np.testing.assert_allclose(jax.jit(term.m2logl)(c), term.m2logl(c), rtol=1e-12)
        slopes = jax.vmap(jax.grad(term.m2logl))(c)
        np.testing.assert_allclose(slopes, term.gradient(c), rtol=1e-12)


def test_at_the_sm_it_is_zero() -> None:
    assert float(jax.jit(Term(toy_dataset()).m2logl)(np.zeros(3))) == 0.0
    assert float(jax.jit(Term(toy_dataset(), inline=0).m2logl)(np.zeros(3))) == 0.0


def test_a_large_dataset_does_not_become_part_of_the_program() -> None:
    data = toy_dataset(events=2000)
    inside, called = (
        jax.jit(Term(data, inline=inline).m2logl).lower(np.zeros(3)).as_text() for inline in (2**27, 0)
    )
    assert len(called) < 10_000 < len(inside)


def test_it_pickles_after_it_was_traced() -> None:
    for inline in (2**27, 0):
        term = Term(toy_dataset(), inline=inline)
        expected = float(jax.jit(term.m2logl)(POINTS[0]))
        again = pickle.loads(pickle.dumps(term))
        assert float(jax.jit(again.m2logl)(POINTS[0])) == expected


def test_several_threads_may_call_it() -> None:
    term = Term(toy_dataset(events=20_000), inline=0)
    function = jax.jit(term.m2logl)
    many = np.random.default_rng(1).uniform(-0.5, 0.5, (40, 3))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda p: float(function(p)), many))
    np.testing.assert_allclose(found, term.m2logl(many), rtol=1e-12)


def test_single_precision_is_refused() -> None:
    from smeft_unbinned import InputError

    with pytest.raises(InputError, match="must be float64, got float32"):
        jax.jit(Term(toy_dataset(), inline=0).m2logl)(np.zeros(3, dtype=np.float32))
