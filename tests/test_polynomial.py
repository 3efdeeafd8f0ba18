"""Quadratic forms: both storages against loops and autodiff, and the algebra by random examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned import InputError, Polynomial, QuadraticForm, SumOfSquares
from smeft_unbinned.polynomial import monomial_gradient, monomials, pack, size, unpack

NAMES = ("cHW", "cHq3", "cHu", "cHd", "cHB")
seeds = st.integers(0, 2**31)
counts = st.integers(1, 5)


def polynomial(seed: int, n: int, batch: tuple[int, ...] = (3,)) -> Polynomial:
    rng = np.random.default_rng(seed)
    return Polynomial(NAMES[:n], rng.normal(size=(*batch, size(n))))


def squares(seed: int, n: int, batch: tuple[int, ...] = (3,)) -> SumOfSquares:
    return SumOfSquares(NAMES[:n], np.random.default_rng(seed).normal(size=(*batch, 2, n + 1)))


FORMS = pytest.mark.parametrize("make", [polynomial, squares], ids=["Polynomial", "SumOfSquares"])


def loop(form: QuadraticForm, c: np.ndarray) -> float:
    """(1, c)^T G (1, c) of one form at one point."""
    g, x = form.matrix(), (1.0, *c)
    return sum(g[i, j] * x[i] * x[j] for i in range(len(x)) for j in range(len(x)))


@FORMS
@given(seeds, counts)
def test_values_equal_a_loop_over_monomials(make, seed: int, n: int) -> None:
    form, c = make(seed, n), np.random.default_rng(seed).normal(size=(2, 4, n))
    expected = [[[loop(form[k], p) for k in range(3)] for p in row] for row in c]
    np.testing.assert_allclose(form.evaluate(c), expected, rtol=1e-10, atol=1e-12)
    assert form.gradient(c).shape == (2, 4, 3, n)
    assert form.evaluate(np.zeros(n)).shape == (3,)
    np.testing.assert_allclose(form.evaluate(np.zeros(n)), form.matrix()[:, 0, 0])


@FORMS
@given(seeds, counts)
def test_derivatives_equal_differences(make, seed: int, n: int) -> None:
    form, c, h = make(seed, n), np.random.default_rng(seed).normal(size=n), 1e-3
    steps = h * np.eye(n)
    slope = (form.evaluate(c + steps) - form.evaluate(c - steps)).T / (2 * h)  # exact for a quadratic form
    np.testing.assert_allclose(form.gradient(c), slope, atol=1e-9)
    curvature = (form.gradient(c + steps) - form.gradient(c - steps)).transpose(1, 0, 2) / (2 * h)
    np.testing.assert_allclose(form.hessian(), curvature, atol=1e-9)


@given(seeds, counts)
def test_monomials_have_the_documented_order_and_derivatives(seed: int, n: int) -> None:
    c = np.random.default_rng(seed).normal(size=n)
    x = (1.0, *c)
    expected = [x[i] * x[j] for i, j in zip(*np.triu_indices(n + 1), strict=True)]
    np.testing.assert_allclose(monomials(c), expected)
    h = 1e-3
    steps = h * np.eye(n)
    np.testing.assert_allclose(
        monomial_gradient(c), (monomials(c + steps) - monomials(c - steps)) / (2 * h), atol=1e-9
    )


@given(seeds, st.integers(0, 5))
def test_pack_and_unpack_are_inverse(seed: int, n: int) -> None:
    packed = np.random.default_rng(seed).normal(size=(2, size(n)))
    matrix = unpack(packed)
    np.testing.assert_array_equal(matrix, matrix.swapaxes(-1, -2))
    np.testing.assert_allclose(pack(matrix), packed, rtol=1e-15)
    np.testing.assert_allclose(Polynomial.from_matrix(NAMES[:n], matrix).coefficients, packed, rtol=1e-15)


@FORMS
@given(seeds, st.integers(2, 5))
def test_align_and_restrict_commute_with_evaluate(make, seed: int, n: int) -> None:
    form, rng = make(seed, n), np.random.default_rng(seed)
    wider = tuple(rng.permutation([*form.operators, "new"]))
    point = {name: float(x) for name, x in zip(wider, rng.normal(size=n + 1), strict=True)}
    own = {name: point[name] for name in form.operators}
    np.testing.assert_allclose(form.align(wider).evaluate(point), form.evaluate(own), rtol=1e-10, atol=1e-12)
    fewer = form.operators[: n - 1][::-1]
    kept = {name: own[name] for name in fewer}
    np.testing.assert_allclose(
        form.restrict(fewer).evaluate(kept), form.evaluate(kept), rtol=1e-10, atol=1e-12
    )
    assert form.restrict(fewer).operators == fewer
    assert isinstance(form.align(wider), type(form))


@FORMS
@given(seeds, counts, counts)
def test_change_of_basis_commutes_with_evaluate(make, seed: int, n: int, m: int) -> None:
    form, rng = make(seed, n), np.random.default_rng(seed)
    t, c = rng.normal(size=(n, m)), rng.normal(size=(4, m))
    new = form.change_basis([f"O{i}" for i in range(m)], t)
    np.testing.assert_allclose(new.evaluate(c), form.evaluate(c @ t.T), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(new.gradient(c), form.gradient(c @ t.T) @ t, rtol=1e-8, atol=1e-9)


@given(seeds, counts)
def test_squares_are_dense_and_never_negative(seed: int, n: int) -> None:
    form, c = squares(seed, n), 100 * np.random.default_rng(seed).normal(size=(20, n))
    np.testing.assert_allclose(form.dense().evaluate(c), form.evaluate(c), rtol=1e-9, atol=1e-9)
    assert np.all(form.evaluate(c) >= 0)
    assert form.dense().dense() is not None


@given(seeds)
def test_sums_and_products_act_on_the_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = polynomial(seed, 3), polynomial(seed + 1, 4)
    other = Polynomial(("cHd", "cHB", "cHW", "cHj"), b.coefficients)
    names = ("cHW", "cHq3", "cHu", "cHd", "cHB", "cHj")
    point = dict(zip(names, rng.normal(size=6), strict=True))
    va = a.evaluate({n: point[n] for n in a.operators})
    vb = other.evaluate({n: point[n] for n in other.operators})
    total = a + other
    assert total.operators == names
    np.testing.assert_allclose(total.evaluate(point), va + vb, rtol=1e-10, atol=1e-12)
    own = {n: point[n] for n in a.operators}
    np.testing.assert_allclose((2.5 * a).evaluate(own), 2.5 * va)
    w = rng.uniform(1, 2, 3)
    np.testing.assert_allclose((a * w / w).evaluate(own), va)
    np.testing.assert_allclose((a * w).evaluate(own), va * w)
    np.testing.assert_allclose(a.sum(w).evaluate(own), va @ w)
    np.testing.assert_allclose(a.sum().evaluate(own), va.sum(), rtol=1e-10, atol=1e-12)
    assert len(a) == 3
    np.testing.assert_allclose(a.constant, a.evaluate({}))
    np.testing.assert_allclose(a.linear, a.gradient({}))


def test_points_by_name_array_list_and_series_agree() -> None:
    p = polynomial(1, 3)
    expected = p.evaluate(np.array([0.5, 0.0, -2.0]))
    for point in ({"cHu": -2.0, "cHW": 0.5}, [0.5, 0.0, -2.0], pd.Series({"cHu": -2.0, "cHW": 0.5})):
        np.testing.assert_array_equal(p.evaluate(point), expected)
    scan = p.evaluate({"cHW": np.linspace(0, 0.5, 7), "cHu": -2.0})
    assert scan.shape == (7, 3)
    np.testing.assert_allclose(scan[-1], expected)


def test_whole_numbers_do_not_truncate() -> None:
    p = Polynomial(["cHW"], [1.0, 0.5, 0.25])
    assert p.evaluate(np.array([1])) == 1.75
    assert p.gradient(np.array([2]))[0] == 1.5
    whole = Polynomial(["cHW"], np.array([1, 2, 3]))
    assert whole.change_basis(["x"], [[0.5]]).evaluate([1.0]) == 1 + 1 + 0.75
    assert SumOfSquares(["cHW"], np.array([[1, 1]])).evaluate([0.5]) == 2.25


def test_single_precision_stays_single() -> None:
    form = squares(1, 2)
    single = form.evaluate(np.array([0.3, -0.2], dtype=np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, form.evaluate([0.3, -0.2]), rtol=1e-5)


@FORMS
def test_jax_traces_differentiates_and_maps(make, x64: None) -> None:
    import jax

    form, c = make(4, 3), jax.numpy.asarray([0.3, -0.4, 0.2])
    np.testing.assert_allclose(jax.jit(form.evaluate)(c), form.evaluate(np.asarray(c)), rtol=1e-12)
    np.testing.assert_allclose(jax.jacobian(form.evaluate)(c), form.gradient(np.asarray(c)), rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(form.evaluate)(c), form.hessian(), rtol=1e-10, atol=1e-12)
    many = jax.numpy.stack([c, 2 * c])
    np.testing.assert_allclose(jax.vmap(form.gradient)(many), form.gradient(np.asarray(many)), rtol=1e-12)
    by_name = jax.jit(lambda x: form.evaluate({"cHW": x, "cHu": 2 * x}))(0.5)
    np.testing.assert_allclose(by_name, form.evaluate({"cHW": 0.5, "cHu": 1.0}), rtol=1e-12)


@FORMS
def test_torch_differentiates(make) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    form = make(5, 3)
    c = torch.tensor([0.3, -0.4, 0.2], dtype=torch.float64, requires_grad=True)
    form.evaluate(c)[1].backward()
    np.testing.assert_allclose(c.grad, form.gradient([0.3, -0.4, 0.2])[1], rtol=1e-12)
    a = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    form.evaluate({"cHW": a})[0].backward()
    np.testing.assert_allclose(a.grad, form.gradient({"cHW": 0.3})[0, 0], rtol=1e-12)
    inside = Polynomial(form.operators, torch.as_tensor(form.dense().coefficients))
    np.testing.assert_allclose(inside.evaluate(np.array([0.3, -0.4, 0.2])), form.evaluate([0.3, -0.4, 0.2]))
    np.testing.assert_allclose(
        inside.restrict(["cHu"]).coefficients, form.dense().restrict(["cHu"]).coefficients
    )


def test_forms_without_operators_are_constants() -> None:
    p = Polynomial([], [[2.0], [3.0]])
    np.testing.assert_array_equal(p.evaluate({}), [2.0, 3.0])
    np.testing.assert_array_equal(p.align(["cHW"]).evaluate([5.0]), [2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.evaluate({"cHw": 1.0}), "unknown operator 'cHw'; known are .*Did you mean 'cHW'"),
        (lambda p: p.evaluate([1.0]), r"shape \(1,\) do not fit 3 operators .*pass an array \(..., 3\)"),
        (lambda p: p.evaluate(1.0), "do not fit 3 operators"),
        (lambda p: p.restrict(["cHq1"]), "unknown operator 'cHq1'. Did you mean 'cHq3'"),
        (lambda p: p.align(["cHW"]), "would drop cHq3, cHu; use restrict"),
        (lambda p: p.change_basis(["x"], np.eye(3)), r"T must have shape \(3, 1\), got \(3, 3\)"),
        (lambda p: Polynomial(["a", "b"], [1.0, 2.0]), r"2 operators need 6 coefficients .*got shape \(2,\)"),
        (lambda p: Polynomial(["a", "a"], np.ones(6)), r"distinct and not empty; repeated: \['a'\]"),
        (lambda p: Polynomial(["a", ""], np.ones(6)), "distinct and not empty"),
        (lambda p: Polynomial("ab", np.ones(6)), "single string 'ab'"),
        (lambda p: SumOfSquares(["a"], np.ones((3, 3))), r"shape \(..., rank, 2\), got \(3, 3\)"),
    ],
)
def test_wrong_input_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(polynomial(0, 3))


def test_representations_name_the_operators() -> None:
    assert repr(polynomial(0, 2)) == "Polynomial(cHW, cHq3; batch (3,))"
    assert repr(squares(0, 2)) == "SumOfSquares(cHW, cHq3; rank 2, batch (3,))"


def test_differences_and_the_argument_of_the_hessian(make_ratios) -> None:
    a, b = make_ratios(1, 5, ("cHW", "cHu")), make_ratios(2, 5, ("cHu", "cHd"))
    c = {"cHW": 0.3, "cHu": -0.2, "cHd": 0.1}
    expected = a.evaluate({"cHW": 0.3, "cHu": -0.2}) - b.evaluate({"cHu": -0.2, "cHd": 0.1})
    np.testing.assert_allclose((a.dense() - b).evaluate(c), expected)
    np.testing.assert_array_equal(a.hessian([0.3, 0.1]), a.hessian())
