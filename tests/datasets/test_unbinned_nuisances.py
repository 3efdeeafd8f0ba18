"""Unbinned datasets with nuisance parameters, luminosity and backgrounds against plain sums over events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smeft_unbinned import InputError, Polynomial, UnbinnedDataset
from smeft_unbinned.datasets.rates import Component
from smeft_unbinned.events import Nuisances

N, G = 50, 4
NAMES = ("jes", "btag")


def responses(seed: int, rows: int, names: tuple[str, ...] = NAMES) -> Nuisances:
    rng = np.random.default_rng(seed)
    shape = (rows, len(names))
    return Nuisances(names, rng.normal(0, 0.1, shape), rng.normal(0, 0.02, shape))


def background(seed: int, names: tuple[str, ...] | None = ("btag", "norm")) -> Component:
    rng = np.random.default_rng(seed)
    return Component(
        Polynomial((), rng.uniform(0.1, 0.5, (N, 1))),
        Polynomial((), [7.0]),
        None if names is None else responses(seed, N, names),
        None if names is None else responses(seed + 1, 1, names),
    )


def dataset(make_ratios: Callable[..., Any], kind: str) -> UnbinnedDataset:
    ratios = make_ratios(1, N, ("cHW", "cHu"))
    yields = make_ratios(2, G, ("cHW", "cHu")).dense() * 9.0
    weights = np.random.default_rng(3).uniform(0.5, 1.5, N)
    bare = UnbinnedDataset("d", ratios, yields, weights)
    return {
        "responses": bare.replace(response=responses(4, N), expected_response=responses(5, G)),
        "one row for all groups": bare.replace(response=responses(4, N), expected_response=responses(5, 1)),
        "luminosity": bare.with_luminosity(0.02),
        "silent background": bare.replace(backgrounds=[background(6, None)]),
        "background": bare.replace(
            response=responses(4, N), expected_response=responses(5, G), backgrounds=[background(6)]
        ).with_luminosity(0.02),
    }[kind]


@pytest.fixture(
    params=["responses", "one row for all groups", "luminosity", "silent background", "background"]
)
def d(request: pytest.FixtureRequest, make_ratios: Callable[..., Any]) -> UnbinnedDataset:
    return dataset(make_ratios, request.param)


def plain(d: UnbinnedDataset, p: np.ndarray) -> float:
    """-2 log L without its value at zero, event by event."""
    c, theta = p[:2], dict(zip(d.nuisances, p[2:], strict=True))

    def factor(response: Nuisances | None, rows: int) -> np.ndarray:
        if response is None:
            return np.ones(rows)
        exponent = np.zeros(len(response))
        for k, name in enumerate(response.names):
            exponent += theta[name] * response.linear[:, k] + theta[name] ** 2 * response.quadratic[:, k]
        return np.exp(exponent)

    rate = d.ratios.evaluate(c) * factor(d.response, N)
    nu = np.sum(d.expected.evaluate(c) * factor(d.expected_response, G))
    for b in d.backgrounds:
        rate = rate + b.ratios.evaluate({}) * factor(b.response, N)
        nu += float(b.expected.evaluate({})) * factor(b.expected_response, 1)[0]
    return float(2 * nu - 2 * np.sum(d.weights * np.log(rate)))


def points(d: UnbinnedDataset, count: int = 3) -> np.ndarray:
    p = np.random.default_rng(9).normal(size=(count, len(d.parameters)))
    return p * np.where(np.arange(p.shape[1]) < 2, 0.3, 1.0)


def test_the_value_is_the_plain_sum(d: UnbinnedDataset) -> None:
    zero = plain(d, np.zeros(len(d.parameters)))
    for p in points(d):
        assert d.m2logl(p) == pytest.approx(plain(d, p) - zero, rel=1e-11)
        value, slope = d.value_and_gradient(p)
        assert value == pytest.approx(float(d.m2logl(p)), rel=1e-12)
        np.testing.assert_allclose(slope, d.gradient(p), rtol=1e-12)
    assert d.m2logl({}) == pytest.approx(0.0, abs=1e-12)


def test_derivatives_are_differences(d: UnbinnedDataset) -> None:
    h, m = 1e-5, len(d.parameters)
    p, steps = points(d)[0], h * np.eye(m)
    slope = (d.m2logl(p + steps) - d.m2logl(p - steps)) / (2 * h)
    np.testing.assert_allclose(d.gradient(p), slope, rtol=1e-6, atol=1e-6)
    curvature = (d.gradient(p + steps) - d.gradient(p - steps)) / (2 * h)
    np.testing.assert_allclose(d.hessian(p), curvature, rtol=1e-6, atol=1e-5)
    v = np.linspace(-1, 1, m)
    np.testing.assert_allclose(d.hvp(p, v), d.hessian(p) @ v, rtol=1e-10, atol=1e-9)


def test_a_batch_equals_a_loop(d: UnbinnedDataset) -> None:
    batch = points(d, 6).reshape(2, 3, -1)
    for method in (d.m2logl, d.gradient, d.hessian):
        loop = np.array([[method(p) for p in row] for row in batch])
        np.testing.assert_allclose(method(batch), loop, rtol=1e-11, atol=1e-11)
        assert method(batch[:, :0]).shape == (2, 0, *loop.shape[2:])


def test_jax_agrees(d: UnbinnedDataset, x64: None) -> None:
    import jax

    p = points(d)[0]
    np.testing.assert_allclose(jax.jit(d.m2logl)(p), d.m2logl(p), rtol=1e-11)
    np.testing.assert_allclose(jax.jit(jax.grad(d.m2logl))(p), d.gradient(p), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(jax.jit(d.gradient)(jax.numpy.asarray(p)), d.gradient(p), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(jax.hessian(d.m2logl)(p), d.hessian(p), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(jax.jit(d.hessian)(jax.numpy.asarray(p)), d.hessian(p), rtol=1e-9, atol=1e-8)


def test_files_keep_everything(d: UnbinnedDataset, tmp_path: Path) -> None:
    d.save(tmp_path / "d")
    e, p = UnbinnedDataset.load(tmp_path / "d"), points(d)
    assert (e.parameters, e.nuisances) == (d.parameters, d.nuisances)
    np.testing.assert_array_equal(e.m2logl(p), d.m2logl(p))


def test_basis_and_slices_leave_the_nuisances_alone(d: UnbinnedDataset) -> None:
    point = dict(zip(d.nuisances, [0.5, -0.3, 0.2, 0.1], strict=False))
    new = d.restrict(["cHu"])
    assert new.nuisances == d.nuisances
    assert new.m2logl({"cHu": 0.2, **point}) == pytest.approx(float(d.m2logl({"cHu": 0.2, **point})))
    smefit = d.restrict(["cHW"]).in_basis("smefit")
    assert smefit.parameters == ("OpW", *d.nuisances)


def test_the_luminosity_scales_every_rate(make_ratios: Callable[..., Any]) -> None:
    """nu -> nu 1.02^theta, and every event counts log 1.02 per unit of theta."""
    d, p = dataset(make_ratios, "luminosity"), {"cHW": 0.3, "luminosity": 1.5}
    nu = float(np.sum(d.expected.evaluate([0.3, 0.0])))
    bare = float(d.m2logl({"cHW": 0.3}))
    expected = bare + 2 * nu * (1.02**1.5 - 1) - 2 * d.weights.sum() * 1.5 * np.log(1.02)
    assert d.m2logl(p) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"response": responses(1, 7)}, "response of the signal has 7 rows, expected 50"),
        ({"expected_response": responses(1, 3)}, "expected_response of the signal has 3 rows, expected 4"),
        ({"response": responses(1, N, ("cHW",))}, "cHW cannot be both operator and nuisance"),
        (
            {"backgrounds": [Component(Polynomial((), np.ones((3, 1))), Polynomial((), [1.0]))]},
            "background 1 needs ratios of 50 events",
        ),
        (
            {"backgrounds": [Component(Polynomial((), np.full((N, 1), -2.0)), Polynomial((), [1.0]))]},
            "positive at the SM, got 50 ratios",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    make_ratios: Callable[..., Any], changes: dict[str, Any], message: str
) -> None:
    d = dataset(make_ratios, "luminosity").replace(response=None, expected_response=None)
    with pytest.raises(InputError, match=message):
        d.replace(**changes)


def test_uncertainties_of_the_luminosity_are_checked(make_ratios: Callable[..., Any]) -> None:
    d = dataset(make_ratios, "luminosity")
    for uncertainty, name in ((2.0, "lumi"), (0.02, "luminosity")):
        with pytest.raises(InputError, match="between 0 and 1 of a new name is needed"):
            d.with_luminosity(uncertainty, name)


def test_non_positive_rates_are_counted(make_ratios: Callable[..., Any]) -> None:
    form = Polynomial(["cHW"], [[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    small = Component(Polynomial((), np.full((2, 1), 0.5)), Polynomial((), [1.0]), responses(1, 2))
    d = UnbinnedDataset("d", form, form.sum(), backgrounds=[small])
    assert d.non_positive({"cHW": 1.2}) == 0
    assert d.non_positive({"cHW": 1.8}) == 1
    before = d.penalised
    assert np.isfinite(d.m2logl({"cHW": 1.8}))
    assert d.penalised == before + 1


def test_single_precision_reports_its_error(make_ratios: Callable[..., Any]) -> None:
    ratios = make_ratios(1, 5000)
    d = UnbinnedDataset("d", ratios, ratios.dense().sum())
    e = d.astype(np.float32)
    assert e.ratios.factors.dtype == np.float32
    assert 0 < e.metadata["precision"]["largest_change"] < 1e-3
    assert "precision" not in d.metadata
