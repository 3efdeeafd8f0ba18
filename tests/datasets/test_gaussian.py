"""GaussianDataset: values against the direct formula, derivatives against differences, and its errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.errors import InputError
from smeft_unbinned.polynomial import Polynomial, size

OPERATORS = ("OpW", "OpB", "OtG")


def make(n: int = 7, operators: tuple[str, ...] = OPERATORS, seed: int = 1) -> GaussianDataset:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n + 2))
    units = 10.0 ** rng.uniform(-4, 4, size=n)  # as in global fits, where every bin has its own unit
    theory = Polynomial(operators, rng.normal(size=(n, size(len(operators)))) * units[:, None])
    covariance = a @ a.T * np.outer(units, units)
    return GaussianDataset("toy", rng.normal(size=n) * units, theory, covariance, metadata={"a": 1})


def direct(d: GaussianDataset, c: np.ndarray) -> float:
    x = d.data - d.theory.evaluate(c)
    return float(x @ np.linalg.solve(d.covariance, x))


def test_values_equal_the_direct_formula_in_every_shape() -> None:
    d, rng = make(), np.random.default_rng(2)
    c = rng.normal(size=(4, 5, 3))
    chi2 = np.array([[direct(d, p) for p in row] for row in c])
    np.testing.assert_allclose(d.chi2(c), chi2, rtol=1e-9)
    np.testing.assert_allclose(d.m2logl(c), chi2 - direct(d, np.zeros(3)), rtol=1e-8)
    assert d.m2logl(np.zeros(3)) == 0.0
    assert d.gradient(c).shape == (4, 5, 3)
    assert d.hessian(c).shape == (4, 5, 3, 3)
    assert d.m2logl({"OtG": 0.3, "OpW": -1.0}) == pytest.approx(float(d.m2logl([-1.0, 0.0, 0.3])))
    assert d.m2logl({"OtG": np.linspace(-1, 1, 6)}).shape == (6,)
    assert len(d) == 7
    assert "toy" in repr(d)


@given(st.integers(0, 10_000))
def test_derivatives_equal_differences(seed: int) -> None:
    d, c, h = make(seed=seed), np.random.default_rng(seed).normal(size=3), 1e-4
    steps = h * np.eye(3)
    slope = (d.m2logl(c + steps) - d.m2logl(c - steps)) / (2 * h)
    np.testing.assert_allclose(d.gradient(c), slope, rtol=1e-5, atol=1e-5 * np.abs(slope).max())
    curvature = (d.gradient(c + steps) - d.gradient(c - steps)) / (2 * h)
    np.testing.assert_allclose(d.hessian(c), curvature, rtol=1e-5, atol=1e-5 * np.abs(curvature).max())


def test_small_differences_near_the_sm_keep_their_digits() -> None:
    d = make()
    slope = d.gradient(np.zeros(3)) @ np.ones(3)
    assert d.m2logl(np.full(3, 1e-12)) == pytest.approx(1e-12 * slope, rel=1e-9)


def test_jax_traces_value_and_derivatives() -> None:
    jax = pytest.importorskip("jax", reason="the jax extra is not installed")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        d, c = make(), np.array([0.2, -0.1, 0.4])
        assert float(jax.jit(d.m2logl)(c)) == pytest.approx(float(d.m2logl(c)), rel=1e-12)
        np.testing.assert_allclose(jax.grad(d.m2logl)(jax.numpy.asarray(c)), d.gradient(c), rtol=1e-10)
        np.testing.assert_allclose(jax.jit(jax.vmap(d.gradient))(c[None]), d.gradient(c)[None], rtol=1e-10)
        np.testing.assert_allclose(jax.hessian(d.m2logl)(jax.numpy.asarray(c)), d.hessian(c), rtol=1e-10)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_in_basis_translates_the_coefficients() -> None:
    d = make(operators=("OpW", "OpB", "O3pq"))
    assert d.in_basis("smefit") is d
    e = make(operators=("cHq1", "cHq3", "cHW"))
    e = GaussianDataset("toy", e.data, e.theory, e.covariance, basis="warsaw")
    f = e.in_basis("smefit")
    assert f.basis == "smefit"
    assert set(f.operators) == {"OpqMi", "O3pq", "OpW"}
    value = e.m2logl({"cHq1": 0.3 + 0.2, "cHq3": 0.2, "cHW": 1.0})
    assert f.m2logl({"OpqMi": 0.3, "O3pq": 0.2, "OpW": 1.0}) == pytest.approx(float(value))
    with pytest.raises(InputError, match="OtG"):
        make().in_basis("warsaw")


def test_one_linear_operator_is_the_weighted_mean() -> None:
    sigma, slope, shift = np.array([0.5, 2.0]), np.array([1.0, 3.0]), np.array([0.4, -1.0])
    theory = Polynomial(["OpW"], np.column_stack([np.ones(2), slope, np.zeros(2)]))
    d = GaussianDataset("two bins", 1 + shift, theory, np.diag(sigma**2))
    information = np.sum(slope**2 / sigma**2)
    best = np.sum(slope * shift / sigma**2) / information
    np.testing.assert_allclose(d.gradient([best]), 0, atol=1e-12)
    np.testing.assert_allclose(d.hessian([best]), 2 * information)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros(6)}, "must agree"),
        ({"data": np.zeros(0)}, "n > 0"),
        ({"covariance": np.eye(6)}, "must agree"),
        ({"data": np.array([1, 2, 3, np.nan, 5, 6, 7.0])}, r"data has a non-finite entry at \(3,\)"),
        ({"covariance": np.diag([1, 1, 1, 1, 1, 1, np.inf])}, "covariance has a non-finite"),
        ({"covariance": np.diag([1, 1, 1, 1, 1, 1, -2.0])}, "smallest eigenvalue -2"),
        ({"covariance": np.zeros((7, 7))}, "smallest eigenvalue 0"),
        ({"covariance": np.ones((7, 7)) + np.diag([1e-15, 1, 1, 1, 1, 1, 0])}, "fully correlated"),
        ({"covariance": np.eye(7) + np.eye(7, k=1) * 0.1}, "not symmetric"),
        ({"theory": Polynomial(OPERATORS, np.full((7, 10), np.inf))}, "theory has a non-finite"),
    ],
)
def test_unusable_input_is_refused(change: dict[str, object], message: str) -> None:
    d = make()
    arguments: dict[str, object] = {"data": d.data, "theory": d.theory, "covariance": d.covariance}
    with pytest.raises(InputError, match=message):
        GaussianDataset("toy", **{**arguments, **change})  # type: ignore[arg-type]


def test_wrong_points_are_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'OpW'"):
        make().m2logl({"Opw": 1.0})
    with pytest.raises(InputError, match="do not fit 3 operators"):
        make().m2logl(np.zeros(4))
