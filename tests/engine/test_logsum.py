"""The sum of logarithms against multiple precision, plain loops, differences, autodiff and itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smeft_unbinned import Polynomial, SumOfSquares, UnbinnedDataset
from smeft_unbinned.engine import FLOOR, LogSum, blocks, rows
from smeft_unbinned.polynomial import homogeneous

N = 1000


def form_of(kind: str, n: int = 3, events: int = N, seed: int = 0) -> Polynomial | SumOfSquares:
    rng = np.random.default_rng(seed)
    factors = 0.2 * rng.normal(size=(events, n + 1, n + 1))
    factors[:, :, 0] = np.eye(n + 1)[0]
    form = SumOfSquares([f"c{i}" for i in range(n)], factors)
    return form if kind == "low rank" else form.dense()


@pytest.fixture(params=["dense", "low rank"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["equal", "different"])
def weights(request: pytest.FixtureRequest) -> np.ndarray:
    return np.full(N, 0.7) if request.param == "equal" else np.random.default_rng(1).uniform(0, 2, N)


def points(n: int, count: int = 5, seed: int = 2) -> np.ndarray:
    return homogeneous(np.random.default_rng(seed).normal(size=(count, n)))


def test_equals_multiple_precision(kind: str) -> None:
    form, x = form_of(kind, events=37), points(3, 2)
    weights = np.linspace(0.1, 2.0, 37)
    matrices = form.matrix()
    for w in (weights, np.ones(37)):
        exact = []
        with mpmath.workdps(40):
            for point in x:
                v = mpmath.matrix([mpmath.mpf(float(t)) for t in point])
                ratios = [(v.T * mpmath.matrix(g.tolist()) * v)[0] for g in matrices]
                total = mpmath.fsum(
                    mpmath.mpf(float(a)) * mpmath.log(r) for a, r in zip(w, ratios, strict=True)
                )
                exact.append(float(total))
        np.testing.assert_allclose(LogSum(form, w).value(x), exact, rtol=1e-12)


def test_derivatives_equal_plain_sums(kind: str, weights: np.ndarray) -> None:
    form, x = form_of(kind), points(3)
    s = LogSum(form, weights)
    r, d, dd = form.evaluate(x[:, 1:]), form.gradient(x[:, 1:]), form.hessian()
    u = weights / r
    gradient = np.einsum("se,sei->si", u, d)
    hessian = np.einsum("se,eij->sij", u, dd) - np.einsum("se,sei,sej->sij", u / r, d, d)
    np.testing.assert_allclose(s.value(x), np.log(r) @ weights, rtol=1e-12)
    np.testing.assert_allclose(s.gradient(x), gradient, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(s.hessian(x), hessian, rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(s.hessian(np.repeat(x, 8, axis=0))[::8], hessian, rtol=1e-11, atol=1e-10)
    value, slope = s.value_and_gradient(x)
    np.testing.assert_allclose(value, s.value(x), rtol=1e-13)
    np.testing.assert_allclose(slope, gradient, rtol=1e-11, atol=1e-11)
    v = np.concatenate([np.zeros((5, 1)), points(3, seed=3)[:, 1:]], axis=1)
    product = np.einsum("sij,sj->si", hessian, v[:, 1:])
    np.testing.assert_allclose(s.hvp(x, v), product, rtol=1e-11, atol=1e-9)


def test_derivatives_equal_differences(kind: str, weights: np.ndarray) -> None:
    s, x, h = LogSum(form_of(kind), weights), points(3, 1), 1e-5
    steps = np.concatenate([np.zeros((3, 1)), h * np.eye(3)], axis=1)
    slope = (s.value(x + steps) - s.value(x - steps)) / (2 * h)
    np.testing.assert_allclose(s.gradient(x)[0], slope, rtol=1e-7, atol=1e-6)
    curvature = (s.gradient(x + steps) - s.gradient(x - steps)) / (2 * h)
    np.testing.assert_allclose(s.hessian(x)[0], curvature, rtol=1e-6, atol=1e-5)


def test_autodiff_agrees(kind: str, weights: np.ndarray, x64: None) -> None:
    import jax
    import jax.numpy as jnp

    form, x = form_of(kind), points(3, 2)
    dense = jnp.asarray(form.dense().coefficients)
    i, j = np.triu_indices(4)

    def total(c: Any) -> Any:
        full = jnp.concatenate([jnp.ones(1), c])
        return jnp.sum(weights * jnp.log(dense @ (full[i] * full[j])))

    s = LogSum(form, weights)
    for k, point in enumerate(x):
        np.testing.assert_allclose(s.value(x)[k], total(point[1:]), rtol=1e-12)
        np.testing.assert_allclose(s.gradient(x)[k], jax.grad(total)(point[1:]), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(s.hessian(x)[k], jax.hessian(total)(point[1:]), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("method", ["value", "gradient", "hessian"])
def test_a_batch_equals_a_loop(kind: str, weights: np.ndarray, method: str) -> None:
    s, x = LogSum(form_of(kind), weights), points(3, 150)
    loop = np.concatenate([getattr(s, method)(x[k : k + 1]) for k in range(150)])
    np.testing.assert_allclose(getattr(s, method)(x), loop, rtol=1e-13, atol=1e-10)


@pytest.mark.parametrize("method", ["value", "gradient", "hessian"])
def test_threads_and_blocks_change_nothing(
    kind: str, weights: np.ndarray, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, form = points(3, 7), form_of(kind)
    whole = getattr(LogSum(form, weights, threads=1), method)(x)
    monkeypatch.setattr(blocks, "CACHE", 1)
    monkeypatch.setattr(blocks, "WORTHWHILE", 0.0)
    for threads in (1, 2, 3):
        parts = getattr(LogSum(form, weights, threads=threads), method)(x)
        np.testing.assert_allclose(parts, whole, rtol=1e-13, atol=1e-10)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), events=st.integers(1, 70))
def test_order_and_merging_of_events_do_not_matter(seed: int, events: int) -> None:
    rng = np.random.default_rng(seed)
    kind = "dense" if seed % 2 else "low rank"
    form, weights, x = form_of(kind, 2, events, seed), rng.uniform(0.1, 2, events), points(2, 3, seed)
    order, twice = rng.permutation(events), rng.integers(0, events, 2 * events)
    value = LogSum(form, weights).value(x)
    np.testing.assert_allclose(LogSum(form[order], weights[order]).value(x), value, rtol=1e-12, atol=1e-12)
    merged = np.bincount(twice, minlength=events).astype(float)
    repeated = LogSum(form[twice], np.ones(2 * events)).value(x)
    np.testing.assert_allclose(LogSum(form, merged).value(x), repeated, rtol=1e-11, atol=1e-11)


def test_products_that_overflow_are_taken_apart() -> None:
    form = Polynomial(["c"], np.tile([1.0, 0.0, 1.0], (64, 1)))
    s, x = LogSum(form, np.ones(64)), homogeneous(np.array([[1e15], [1e-3], [1e140]]))
    np.testing.assert_allclose(s.value(x), 64 * np.log1p(x[:, 1] ** 2), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(s.value_and_gradient(x)[0], s.value(x), rtol=1e-13)


def test_ratios_that_are_not_positive_are_counted_and_sloping() -> None:
    coefficients = np.zeros((100, 3))
    coefficients[:, 0], coefficients[:3, 1] = 1.0, -1.0
    s = LogSum(Polynomial(["c"], coefficients), np.ones(100))
    values = s.value(homogeneous(np.array([[0.5], [1.0 + 1e-12], [1.5], [2.0]])))
    assert s.penalised == 9
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) < 0)
    assert values[2] == pytest.approx(3 * (np.log(FLOOR) + (-0.5 - FLOOR) / FLOOR), rel=1e-9)
    assert np.isnan(s.value(np.array([[1.0, np.nan]]))).all()


def test_single_precision_is_close(kind: str) -> None:
    form, x = form_of(kind, events=20_000), points(3, 12)
    single = (
        SumOfSquares(form.operators, form.factors.astype(np.float32))
        if isinstance(form, SumOfSquares)
        else Polynomial(form.operators, form.coefficients.astype(np.float32))
    )
    a, b = LogSum(form, np.ones(20_000)), LogSum(single, np.ones(20_000))
    for some in (x, x[:2]):
        assert np.abs(a.value(some) - b.value(some)).max() < 1e-3
        assert b.value(some).dtype == np.float64
        np.testing.assert_allclose(b.gradient(some), a.gradient(some), rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(b.hessian(some), a.hessian(some), rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("n", [1, 6, 9])
def test_single_points_of_any_width(kind: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One point takes another route through the linear algebra than many, single precision in slices."""
    monkeypatch.setattr(rows, "PACKED", 1000)
    form, x = form_of(kind, n), points(n, 6)
    single = (
        SumOfSquares(form.operators, form.factors.astype(np.float32))
        if isinstance(form, SumOfSquares)
        else Polynomial(form.operators, form.coefficients.astype(np.float32))
    )
    exact = np.log(form.evaluate(x[:, 1:])).sum(axis=-1)
    for unit in (False, True):
        s = LogSum(form, np.ones(N), unit=unit)
        np.testing.assert_allclose([s.value(p[None])[0] for p in x], exact, rtol=1e-12)
        t = LogSum(single, np.ones(N), unit=unit)
        np.testing.assert_allclose([t.value(p[None])[0] for p in x], exact, rtol=1e-6, atol=1e-3)


def test_constants_that_are_one_need_not_be_read() -> None:
    form, x = form_of("dense"), points(3, 1)
    plain, unit = LogSum(form, np.ones(N)), LogSum(form, np.ones(N), unit=True)
    np.testing.assert_allclose(unit.value(x), plain.value(x), rtol=1e-13)
    np.testing.assert_allclose(unit.gradient(x), plain.gradient(x), rtol=1e-13)


def test_a_mapped_file_is_given_back(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_ratios: Callable[..., Any]
) -> None:
    ratios = make_ratios(1, 4000) if kind == "low rank" else make_ratios(1, 4000).dense()
    d = UnbinnedDataset("mapped", ratios, ratios.dense().sum())
    d.save(tmp_path / "d")
    monkeypatch.setattr(blocks, "RESIDENT", 0)
    monkeypatch.setattr(blocks, "CACHE", 2**12)
    released: list[slice] = []
    release = blocks.release

    def noted(array: np.ndarray, part: slice, source: Any) -> None:
        released.append(part)
        release(array, part, source)

    monkeypatch.setattr(blocks, "release", noted)
    e = UnbinnedDataset.load(tmp_path / "d")
    c = 0.3 * np.random.default_rng(3).normal(size=(4, 3))
    stored = e.ratios.factors if kind == "low rank" else e.ratios.coefficients
    assert blocks.mapping(stored) is not None
    released.clear()
    for method in ("m2logl", "gradient", "hessian"):
        np.testing.assert_allclose(getattr(e, method)(c), getattr(d, method)(c), rtol=1e-12)
    assert len(released) > 10
