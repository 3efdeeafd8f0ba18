"""Dependent coefficients by nonlinear rules, and datasets at linear combinations of the coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nuisance_double import counting

from smeft_unbinned import InputError, Likelihood

OPERATORS = ("cHW", "cHq3", "cHu", "cHd")
UV: dict[str, Any] = {
    "cHq3": ((0.5, (("lam", 2),)), (-0.3, (("lam", 1), ("y", 1))), (0.02, ())),
    "cHu": ((0.2, (("cHq3", 1), ("y", 1))),),  # a chain
    "cHd": {"lam": 0.3, "m": -1.0},
}


def substituted(p: Any) -> dict[str, Any]:
    """The coefficients that UV stands for, written by hand."""
    lam, y, w = p[..., 0], p[..., 1], p[..., 2]
    q = 0.5 * lam**2 - 0.3 * lam * y + 0.02
    return {"cHW": w, "cHq3": q, "cHu": 0.2 * q * y, "cHd": 0.3 * lam - 0.1}


@pytest.fixture(scope="module")
def pair(make_unbinned: Any, make_linear: Any) -> tuple[Any, Any]:
    return make_unbinned(1, operators=OPERATORS), make_linear(2, operators=OPERATORS[::-1])


def model(pair: Any, **more: Any) -> Likelihood:
    return Likelihood(pair, ["lam", "y", "cHW"], fixed={"m": 0.1}, dependent=UV, **more)


def differences(f: Any, p: np.ndarray, h: float = 1e-5) -> np.ndarray:
    steps = h * np.eye(p.size)
    return np.stack([(f(p + s) - f(p - s)) / (2 * h) for s in steps], axis=-1)


point = st.lists(st.floats(-0.8, 0.8), min_size=3, max_size=3)


@settings(max_examples=30)
@given(point)
def test_values_equal_direct_substitution(pair: Any, p: list[float]) -> None:
    likelihood = model(pair)
    assert not likelihood.linear_rules
    c = {name: float(x) for name, x in substituted(np.array(p)).items()}
    assert likelihood.m2logl(p) == pytest.approx(sum(float(d.m2logl(c)) for d in pair), rel=1e-11)
    assert likelihood.terms(p) == pytest.approx({d.name: float(d.m2logl(c)) for d in pair})
    got = likelihood.coefficients(p)
    assert {n: float(got[n]) for n in c} == pytest.approx(c, rel=1e-12, abs=1e-15)
    assert float(got["m"]) == 0.1
    for d in pair:
        np.testing.assert_allclose(
            likelihood.dataset_points(p)[d.name], [c[n] for n in d.operators], rtol=1e-12, atol=1e-15
        )


@settings(max_examples=15)
@given(point)
def test_derivatives_equal_finite_differences(pair: Any, p: list[float]) -> None:
    likelihood, x = model(pair), np.array(p)
    slope, curvature = likelihood.gradient(x), likelihood.hessian(x)
    scale = np.max(np.abs(curvature)) + np.max(np.abs(slope))
    np.testing.assert_allclose(slope, differences(likelihood.m2logl, x), rtol=1e-6, atol=1e-7 * scale)
    np.testing.assert_allclose(curvature, differences(likelihood.gradient, x), rtol=1e-6, atol=1e-7 * scale)
    np.testing.assert_allclose(curvature, curvature.T, rtol=1e-12, atol=1e-12 * scale)


def test_batches_have_the_shape_of_the_points(pair: Any) -> None:
    likelihood, many = model(pair), 0.5 * np.random.default_rng(1).normal(size=(2, 4, 3))
    for name, extra in (("m2logl", ()), ("gradient", (3,)), ("hessian", (3, 3))):
        got = getattr(likelihood, name)(many)
        assert got.shape == (2, 4, *extra)
        for index in np.ndindex(2, 4):
            single = getattr(likelihood, name)(many[index])
            np.testing.assert_allclose(got[index], single, rtol=1e-10, atol=1e-10)
    assert likelihood.gradient(np.zeros((0, 3))).shape == (0, 3)
    assert likelihood.hessian(np.zeros((0, 3))).shape == (0, 3, 3)


def test_jax_traces_and_differentiates_the_rules(pair: Any, x64: None) -> None:
    import jax

    p = np.array([0.4, -0.3, 0.2])
    x, many = jax.numpy.asarray(p), np.stack([p, -p, 0.5 * p])
    both, likelihood = model(pair), model(pair[1:])
    assert float(jax.jit(both.m2logl)(x)) == pytest.approx(float(both.m2logl(p)), rel=1e-10)
    np.testing.assert_allclose(jax.jit(jax.grad(both.m2logl))(x), both.gradient(p), rtol=1e-9)
    np.testing.assert_allclose(jax.jit(jax.hessian(likelihood.m2logl))(x), likelihood.hessian(p), rtol=1e-8)
    np.testing.assert_allclose(jax.jit(likelihood.hessian)(x), likelihood.hessian(p), rtol=1e-9)
    slopes = jax.jit(jax.vmap(jax.grad(likelihood.m2logl)))(jax.numpy.asarray(many))
    np.testing.assert_allclose(slopes, likelihood.gradient(many), rtol=1e-9)


def test_torch_differentiates_the_rules(pair: Any) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    likelihood, p = model(pair), np.array([[0.4, -0.3, 0.2], [0.1, 0.6, -0.4]])
    for dtype, accuracy in ((torch.float64, 1e-9), (torch.float32, 1e-3)):
        c = torch.tensor(p, dtype=dtype, requires_grad=True)
        (slope,) = torch.autograd.grad(likelihood.m2logl(c).sum(), c)
        np.testing.assert_allclose(slope, likelihood.gradient(p), rtol=accuracy, atol=accuracy)
        got = likelihood.gradient(c.detach())
        assert got.dtype == dtype
        np.testing.assert_allclose(got, likelihood.gradient(p), rtol=accuracy, atol=accuracy)
        np.testing.assert_allclose(
            likelihood.hessian(c.detach()), likelihood.hessian(p), rtol=accuracy, atol=10 * accuracy
        )


def test_linear_rules_stay_linear(pair: Any) -> None:
    """Chains, constants and fixed values of linear rules need no curves; the Hessian is that of a slice."""
    dependent = {"cHd": {"cHq3": 2.0, "m": 1.0}, "cHq3": ((1.5, (("cHW", 1), ("m", -2))), (0.3, ()))}
    likelihood = Likelihood(pair, ["cHW", "cHu"], fixed={"m": 0.5}, dependent=dependent)
    assert likelihood.linear_rules
    full = {"cHW": 0.1, "cHu": -0.2, "cHq3": 0.9, "cHd": 2.3}
    values = likelihood.coefficients([0.1, -0.2])
    assert {n: float(x) for n, x in values.items()} == pytest.approx({**full, "m": 0.5})
    assert likelihood.m2logl([0.1, -0.2]) == pytest.approx(sum(float(d.m2logl(full)) for d in pair))
    whole = Likelihood(pair, list(OPERATORS))
    embed = np.array([[1, 0], [6, 0], [0, 1], [12, 0]])
    expected = embed.T @ whole.hessian(full) @ embed
    np.testing.assert_allclose(likelihood.hessian([0.1, -0.2]), expected, rtol=1e-9)


def test_only_sets_the_others_to_zero(pair: Any) -> None:
    likelihood = model(pair, bounds={"lam": (-1.0, 1.0), "y": (-2.0, 2.0)})
    one = likelihood.only(["lam"])
    assert (one.parameters, one.bounds) == (("lam",), {"lam": (-1.0, 1.0)})
    assert one.m2logl([0.7]) == pytest.approx(float(likelihood.m2logl({"lam": 0.7})))
    np.testing.assert_allclose(one.hessian([0.7])[0, 0], likelihood.hessian({"lam": 0.7})[0, 0])
    assert likelihood.only(["cHW"]).linear_rules
    product = Likelihood(pair, ["a", "b"], dependent={"cHW": ((1.0, (("a", 1), ("b", 1))),)})
    with pytest.raises(
        InputError, match=r"no dataset constrains a: it acts only in products .* are zero here; fit"
    ):
        product.only(["a"])


def test_profiled_likelihoods_take_rules() -> None:
    parts = (counting(1), counting(2, ("cHu", "cHW"), ("shape", "scale"), "others"))
    dependent: dict[str, Any] = {
        "cHq3": ((0.6, (("lam", 2),)), (0.05, ())),
        "cHu": ((1.0, (("lam", 1), ("cHW", 1))),),
    }
    plain = Likelihood(parts).profiled()
    ruled = Likelihood(parts, ["lam", "cHW"], dependent=dependent).profiled()
    p = np.array([0.5, -0.2])
    c = {"cHW": -0.2, "cHq3": 0.6 * 0.25 + 0.05, "cHu": -0.1}
    assert ruled.m2logl(p) == pytest.approx(float(plain.m2logl(c)), rel=1e-9)
    slope = ruled.gradient(p)
    np.testing.assert_allclose(slope, differences(ruled.m2logl, p), rtol=1e-5)
    np.testing.assert_allclose(ruled.hessian(p), differences(ruled.gradient, p), rtol=1e-5, atol=1e-4)
    again = ruled.with_datasets(parts)
    assert again.m2logl(p) == pytest.approx(float(ruled.m2logl(p)))


def test_a_dataset_at_combinations_of_the_coefficients(pair: Any) -> None:
    """Two datasets at two scales: each sees its own linear map of the coefficients of the fit."""
    a, b = pair
    rng = np.random.default_rng(5)
    names = ["u", "v", "cHW"]
    maps = {d.name: rng.normal(scale=0.4, size=(4, 3)) for d in pair}
    evolution = {
        d.name: {o: dict(zip(names, maps[d.name][i], strict=True)) for i, o in enumerate(d.operators)}
        for d in pair
    }
    likelihood = Likelihood(pair, names, evolution=evolution)
    p = np.array([0.3, -0.2, 0.5])
    terms = {d.name: float(d.m2logl(maps[d.name] @ p)) for d in pair}
    assert likelihood.terms(p) == pytest.approx(terms)
    slopes = [maps[d.name].T @ d.gradient(maps[d.name] @ p) for d in pair]
    np.testing.assert_allclose(likelihood.gradient(p), sum(slopes), rtol=1e-10)
    del evolution[b.name]
    part = Likelihood(pair, [*names, "cHu"], evolution=evolution)
    where = {**dict(zip(names, p, strict=True)), "cHu": 0.1}
    expected = a.m2logl(maps[a.name] @ p) + b.m2logl({"cHW": 0.5, "cHu": 0.1})
    assert part.m2logl(where) == pytest.approx(float(expected))
    np.testing.assert_allclose(part.dataset_points(where)[a.name], maps[a.name] @ p)
    assert part.only(["cHW"]).m2logl([0.4]) == pytest.approx(float(part.m2logl({"cHW": 0.4})))
    assert part.with_datasets([a, b]).m2logl(where) == pytest.approx(float(part.m2logl(where)))


def test_evolution_and_rules_together(pair: Any) -> None:
    a, b = pair
    rows = {"cHW": {"cHW": 0.9, "cHq3": 0.2}, "cHu": {"cHq3": -0.5, "cHd": 0.4}}
    likelihood = model(pair, evolution={a.name: rows})
    p = np.array([0.4, -0.3, 0.2])
    c = {name: float(x) for name, x in substituted(p).items()}
    at_a = {n: sum(f * c[m] for m, f in row.items()) for n, row in rows.items()}
    assert likelihood.m2logl(p) == pytest.approx(float(a.m2logl(at_a) + b.m2logl(c)))
    np.testing.assert_allclose(likelihood.gradient(p), differences(likelihood.m2logl, p), rtol=1e-6)
    np.testing.assert_allclose(
        likelihood.hessian(p), differences(likelihood.gradient, p), rtol=1e-6, atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dependent": {"cHW": {"cHW": 1}}}, "cHW is constrained by itself: cHW -> cHW"),
        ({"dependent": {"cHW": ((1.0, (("cHu", -1),)),)}}, "cHu to the power -1"),
        ({"operators": ["cHW", "lam"], "dependent": {"x": {"lam": 1}}}, "no dataset constrains lam"),
        ({"operators": ["cHW"], "evolution": {"unbind": {}}}, "'unbind', which is no dataset here. Did you"),
        ({"operators": ["cHW"], "evolution": ["a"]}, "evolution must be"),
        ({"operators": ["cHW"], "evolution": {"unbinned": {"cHW": 1}}}, "evolution of unbinned must be"),
        ({"operators": ["cHW"], "evolution": {"unbinned": {"cHW": {"cHW": "x"}}}}, "cHW in unbinned must be"),
    ],
)
def test_unusable_rules_are_refused(pair: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Likelihood(pair, **arguments)


def test_a_rule_may_not_name_a_nuisance() -> None:
    parts = [counting(1)]
    for fixed in ({}, {"scale": 0.5}):
        with pytest.raises(InputError, match="cHq3 is constrained by 'scale', not a coefficient"):
            Likelihood(parts, ["cHW"], fixed=fixed, dependent={"cHq3": {"scale": 1.0}})
