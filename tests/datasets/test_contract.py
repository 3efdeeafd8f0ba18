"""What every term of a likelihood must do, checked on each kind of dataset and on their sum."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuisance_double import counting

from smeft_unbinned import (
    GaussianDataset,
    InputError,
    Likelihood,
    PoissonDataset,
    Polynomial,
    UnbinnedDataset,
)
from smeft_unbinned.operators import WARSAW_IN_SMEFIT
from smeft_unbinned.polynomial import size

OPERATORS = ("cHW", "cHq1", "cHq3")


def unbinned(make_ratios: Callable[..., Any], name: str = "unbinned") -> UnbinnedDataset:
    ratios = make_ratios(1, 60, OPERATORS)
    return UnbinnedDataset(name, ratios[:30], ratios[30:].dense().sum(), np.linspace(0.5, 2, 30))


def poisson(make_ratios: Callable[..., Any]) -> PoissonDataset:
    return PoissonDataset("poisson", make_ratios(2, 6, OPERATORS).dense() * 20.0, np.arange(15.0, 21.0))


def gaussian(make_ratios: Callable[..., Any]) -> GaussianDataset:
    rng = np.random.default_rng(3)
    theory = Polynomial(OPERATORS, rng.normal(size=(5, size(3))))
    a = rng.normal(size=(5, 8))
    return GaussianDataset("gaussian", rng.normal(size=5), theory, a @ a.T, basis="warsaw")


def likelihood(make_ratios: Callable[..., Any]) -> Likelihood:
    parts = [unbinned(make_ratios), poisson(make_ratios), gaussian(make_ratios)]
    return Likelihood(parts, OPERATORS)


def gaussian_with_nuisances(make_ratios: Callable[..., Any]) -> GaussianDataset:
    plain, rng = gaussian(make_ratios), np.random.default_rng(6)
    shifts = {"lumi": rng.normal(size=5), "scale": rng.normal(size=5)}
    return GaussianDataset(
        "systematics", plain.data, plain.theory, plain.covariance, basis="warsaw", nuisances=shifts
    )


def likelihood_with_nuisances(make_ratios: Callable[..., Any]) -> Likelihood:
    parts = [unbinned(make_ratios), gaussian_with_nuisances(make_ratios), counting(5, ("cHq1", "cHW"))]
    return Likelihood(parts, OPERATORS, constraints={"lumi": (0.2, 0.5), "scale": None})


def profiled_likelihood(make_ratios: Callable[..., Any]) -> Likelihood:
    parts = [unbinned(make_ratios), gaussian_with_nuisances(make_ratios), counting(5, ("cHq1", "cHW"))]
    return Likelihood(parts, OPERATORS).profiled()


def slice_of_likelihood(make_ratios: Callable[..., Any]) -> Likelihood:
    """A fit whose dependent coefficient makes the map from the free ones non-trivial."""
    return Likelihood(
        [unbinned(make_ratios), gaussian(make_ratios)], dependent={"cHq1": {"cHW": 0.5, "cHq3": 2}}
    )


@pytest.fixture(
    params=[
        unbinned,
        poisson,
        gaussian,
        gaussian_with_nuisances,
        likelihood,
        likelihood_with_nuisances,
        profiled_likelihood,
        slice_of_likelihood,
    ],
    ids=lambda f: f.__name__,
)
def term(request: pytest.FixtureRequest, make_ratios: Callable[..., Any]) -> Any:
    return request.param(make_ratios)


@pytest.fixture(params=[unbinned, poisson, gaussian, gaussian_with_nuisances], ids=lambda f: f.__name__)
def dataset(request: pytest.FixtureRequest, make_ratios: Callable[..., Any]) -> Any:
    return request.param(make_ratios)


def names(term: Any) -> tuple[str, ...]:
    """The names of what a point of the term holds: operators, then nuisances."""
    return getattr(term, "parameters", term.operators)


def points(term: Any, *shape: int) -> np.ndarray:
    return 0.5 * np.random.default_rng(4).normal(size=(*shape, len(names(term))))


def test_shapes_follow_the_point(term: Any) -> None:
    n = len(names(term))
    for shape in ((), (1,), (4,), (2, 3), (0,)):
        c = points(term, *shape)
        assert np.shape(term.m2logl(c)) == shape
        assert np.shape(term.gradient(c)) == (*shape, n)
        assert np.shape(term.hessian(c)) == (*shape, n, n)


def test_the_value_is_zero_at_the_sm(term: Any) -> None:
    assert term.m2logl(np.zeros(len(names(term)))) == pytest.approx(0.0, abs=1e-12)
    assert term.m2logl({}) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_derivatives_equal_differences(term: Any, seed: int) -> None:
    n, h = len(names(term)), 1e-5
    c, steps = 0.5 * np.random.default_rng(seed).normal(size=n), h * np.eye(n)
    slope = (term.m2logl(c + steps) - term.m2logl(c - steps)) / (2 * h)
    np.testing.assert_allclose(term.gradient(c), slope, rtol=1e-5, atol=1e-5 * np.abs(slope).max())
    curvature = (term.gradient(c + steps) - term.gradient(c - steps)) / (2 * h)
    hessian = term.hessian(c)
    np.testing.assert_allclose(hessian, curvature, rtol=1e-5, atol=1e-5 * np.abs(curvature).max())
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-10, atol=1e-10 * np.abs(hessian).max())


def test_a_batch_equals_a_loop(term: Any) -> None:
    batch = points(term, 2, 3)
    for method in (term.m2logl, term.gradient, term.hessian):
        loop = [[method(c) for c in row] for row in batch]
        np.testing.assert_allclose(method(batch), loop, rtol=1e-10, atol=1e-10)


def test_a_mapping_equals_an_array(term: Any) -> None:
    c = points(term)
    c[1] = 0.0
    named = {name: x for name, x in zip(names(term), c, strict=True) if x}
    for method in (term.m2logl, term.gradient, term.hessian):
        np.testing.assert_array_equal(method(named), method(c))
        np.testing.assert_array_equal(method(dict(reversed(named.items()))), method(c))
        np.testing.assert_array_equal(method(list(c)), method(c))


def test_wrong_points_are_refused(term: Any) -> None:
    for method in (term.m2logl, term.gradient, term.hessian):
        with pytest.raises(InputError, match=r"unknown operator 'cHw'.*Did you mean 'cHW'"):
            method({"cHw": 1.0})
        with pytest.raises(InputError, match=f"do not fit {len(names(term))} operators"):
            method(np.zeros(len(names(term)) + 1))


def test_pickling_changes_nothing(term: Any) -> None:
    again, c = pickle.loads(pickle.dumps(term)), points(term, 3)
    assert again.operators == term.operators
    np.testing.assert_array_equal(again.m2logl(c), term.m2logl(c))


def test_jax_traces_value_and_gradient(term: Any, x64: None) -> None:
    import jax

    c = jax.numpy.asarray(points(term))
    np.testing.assert_allclose(jax.jit(term.m2logl)(c), term.m2logl(np.asarray(c)), rtol=1e-10)
    np.testing.assert_allclose(jax.jit(jax.grad(term.m2logl))(c), term.gradient(np.asarray(c)), rtol=1e-9)
    np.testing.assert_allclose(jax.jit(term.gradient)(c), term.gradient(np.asarray(c)), rtol=1e-9)
    many = jax.numpy.stack([c, -c])
    np.testing.assert_allclose(jax.jit(jax.vmap(term.m2logl))(many), term.m2logl(np.asarray(many)), rtol=1e-9)


def test_torch_differentiates(term: Any) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    c = torch.tensor(points(term), requires_grad=True)
    term.m2logl(c).backward()
    np.testing.assert_allclose(c.grad, term.gradient(c.detach().numpy()), rtol=1e-9)
    np.testing.assert_allclose(term.gradient(c.detach()), c.grad, rtol=1e-9)


def test_in_basis_keeps_the_physics(dataset: Any) -> None:
    new = dataset.in_basis("smefit")
    assert (new.basis, new.name, set(new.operators)) == ("smefit", dataset.name, {"OpW", "OpqMi", "O3pq"})
    theta = dict.fromkeys(names(dataset)[len(OPERATORS) :], 0.7)
    point = {"OpW": 0.2, "OpqMi": -0.3, "O3pq": 0.1, **theta}
    old = {n: sum(x * point[s] for s, x in WARSAW_IN_SMEFIT[n].items()) for n in OPERATORS} | theta
    assert new.m2logl(point) == pytest.approx(float(dataset.m2logl(old)), rel=1e-10)
    back = new.in_basis("warsaw")
    assert back.m2logl(old) == pytest.approx(float(dataset.m2logl(old)), rel=1e-10)
    assert dataset.in_basis("warsaw") is dataset
    with pytest.raises(InputError, match="unknown basis 'mass'"):
        dataset.in_basis("mass")


def test_saving_and_loading_changes_nothing(make_ratios: Callable[..., Any], tmp_path: Path) -> None:
    dataset = unbinned(make_ratios)
    dataset.save(tmp_path / "d.safetensors")
    again, c = type(dataset).load(tmp_path / "d.safetensors"), points(dataset, 3)
    assert (again.name, again.operators, again.basis) == (dataset.name, dataset.operators, dataset.basis)
    np.testing.assert_array_equal(again.m2logl(c), dataset.m2logl(c))


def test_later_changes_of_the_input_do_not_matter() -> None:
    weights, counts = np.ones(3), np.ones(3)
    form = Polynomial(["cHW"], np.ones((3, 3)))
    a = UnbinnedDataset("a", form, form.sum(), weights)
    b = PoissonDataset("b", form, counts)
    before = a.m2logl([0.3]), b.m2logl([0.3])
    weights[:] = counts[:] = 7.0
    assert (a.m2logl([0.3]), b.m2logl([0.3])) == before
