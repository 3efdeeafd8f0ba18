"""Fisher information: half the Hessian of Asimov data at the truth, and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mixed_data import OPERATORS, binned, counts, everything, linear, simulated

from smeft_unbinned import GaussianDataset, InputError, Likelihood, Polynomial, UnbinnedDataset
from smeft_unbinned.directions import in_words
from smeft_unbinned.statistics import asimov, fisher
from smeft_unbinned.statistics.flat import free_directions

POINTS = [None, {"cHW": 0.2, "cHq3": -0.1}, {"cHW": -0.3, "scale": 0.5, "rate": -0.4, "shape": 0.2}]


@pytest.mark.parametrize("point", POINTS)
def test_it_is_half_the_hessian_of_asimov_data(point: dict[str, float] | None) -> None:
    """All second derivatives of predictions drop out where data and prediction are equal."""
    likelihood = everything()
    found = fisher(likelihood, point)
    expected = 0.5 * asimov(likelihood, point).hessian(point or {})
    np.testing.assert_allclose(found.total, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(sum(found.parts.values()), found.total, atol=1e-10 * np.abs(expected).max())
    assert list(found.parts) == ["first", "second", "counts", "events", "mixture", "constraints"]


def test_rules_are_followed() -> None:
    data = [binned(nuisances=False), simulated()]
    likelihood = Likelihood(data, ["cHW"], dependent={"cHq3": ((2.0, (("cHW", 2),)), (0.5, (("cHW", 1),)))})
    point = {"cHW": 0.3}
    expected = 0.5 * asimov(likelihood, point).hessian(point)
    np.testing.assert_allclose(fisher(likelihood, point).total, expected, rtol=1e-9)


def test_counts_have_the_closed_form() -> None:
    d, c = counts(), np.array([0.2, 0.1])
    nu, slope = d.yields.evaluate(c), d.yields.gradient(c)
    likelihood = Likelihood([d], fixed={"scale": 0.0})
    np.testing.assert_allclose(fisher(likelihood, c).total, slope.T @ (slope / nu[:, None]), rtol=1e-12)


def test_observed_events_count_as_they_are_without_a_reference() -> None:
    ratios = simulated().ratios[:50]
    likelihood = Likelihood([UnbinnedDataset("data", ratios, ratios.dense().sum())])
    c = np.array([0.3, -0.2])
    score = ratios.gradient(c) / ratios.evaluate(c)[:, None]
    np.testing.assert_allclose(fisher(likelihood, c).total, score.T @ score, rtol=1e-12)
    weighted = score.T @ (score * ratios.evaluate(c)[:, None])
    np.testing.assert_allclose(fisher(likelihood, c, reference={}).total, weighted, rtol=1e-12)


def test_shares_sum_to_a_hundred_and_name_both_measurements() -> None:
    likelihood = Likelihood([binned(nuisances=False), simulated()])
    for split in ("additive", "conditional"):
        found = fisher(likelihood, split=split)
        np.testing.assert_allclose(found.table.sum(axis=1), 100.0)
    d = binned(nuisances=False)
    j, inverse = d.theory.gradient(np.zeros(2)), np.linalg.inv(d.covariance)
    np.testing.assert_allclose(found.parts["first"], j[:3].T @ inverse[:3, :3] @ j[:3])
    additive = 0.5 * (j[:3].T @ (inverse @ j)[:3] + (inverse @ j)[:3].T @ j[:3])
    np.testing.assert_allclose(fisher(likelihood).parts["first"], additive)


def test_nuisances_are_profiled_out() -> None:
    likelihood = everything()
    found = fisher(likelihood, {"cHW": 0.1})
    covariance = np.linalg.inv(found.total)
    np.testing.assert_allclose(np.linalg.inv(found.coefficients), covariance[:2, :2], rtol=1e-8)
    np.testing.assert_allclose(found.errors["marginal"], np.sqrt(np.diag(covariance)[:2]), rtol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(found.errors["individual"], np.diag(found.total)[:2] ** -0.5)
    profiled = fisher(likelihood.profiled(), {"cHW": 0.1})
    np.testing.assert_allclose(profiled.total, found.total)


def test_principal_components() -> None:
    """Two measurements, one of each of two orthogonal combinations with errors 0.1 and 2."""
    axis, other = np.array([0.6, 0.8]), np.array([0.8, -0.6])
    coefficients = np.zeros((2, 6))
    coefficients[:, 1:3] = axis / 0.1, other / 2.0
    theory = Polynomial(("a", "b"), coefficients)
    groups = (("sharp", slice(0, 1)), ("blunt", slice(1, 2)))
    d = GaussianDataset("d", np.zeros(2), theory, np.eye(2), basis="warsaw", groups=groups)
    found = fisher(Likelihood([d]))
    components = found.principal_components(1)
    np.testing.assert_allclose(components["error"], [0.1, 2.0])
    np.testing.assert_allclose(components["eigenvalue"], [100.0, 0.25])
    np.testing.assert_allclose(components["fraction"], 0.64)
    assert list(components["direction"]) == ["b", "a"]
    assert list(components["measurement"]) == ["sharp", "blunt"]
    np.testing.assert_allclose(components["share"], 100.0)
    np.testing.assert_allclose(found.eigen[["a", "b"]], [axis, other], rtol=1e-12)
    assert found.flat == ()


def test_flat_directions_are_named() -> None:
    """Only a + 0.5 b is measured, and c not at all at the SM, where it enters squared."""
    names, coefficients = ("a", "b", "c"), np.zeros((4, 10))
    coefficients[:, 1] = [1.0, 2.0, -1.0, 0.5]
    coefficients[:, 2] = 0.5 * coefficients[:, 1]
    coefficients[:, 9] = 1.0
    d = GaussianDataset("d", np.zeros(4), Polynomial(names, coefficients), np.eye(4), basis="warsaw")
    found = fisher(Likelihood([d]))
    assert set(found.flat) == {"b - 0.5 a", "c"}
    assert np.isinf(found.errors["marginal"]).all()
    assert np.isinf(found.errors.loc["c", "individual"])
    assert found.table.loc["c"].isna().all()
    assert np.isinf(found.principal_components()["error"]).sum() == 2
    with pytest.raises(InputError, match=r"b - 0\.5 a; c"):
        _ = found.covariance
    assert set(fisher(Likelihood([d]), {"c": 0.5}).flat) == {"b - 0.5 a"}


def test_free_directions_do_not_depend_on_units() -> None:
    rng = np.random.default_rng(0)
    basis, units = rng.normal(size=(3, 5)), 10.0 ** np.array([-3, 4, 0, 2, -5])
    free = free_directions((basis.T @ basis) * np.outer(units, units))
    assert free.shape == (2, 5)
    np.testing.assert_allclose((basis * units) @ free.T, 0.0, atol=1e-8 * np.abs(basis * units).max())


def test_words() -> None:
    assert in_words(np.array([0.3, -1.0, 0.001]), ["a", "b", "c"]) == "-b + 0.3 a"
    assert in_words(np.arange(1.0, 12.0), list("abcdefghijk"), most=2) == "k + 0.91 j + ..."


def test_frames_have_names() -> None:
    found = fisher(everything())
    assert isinstance(found.matrix, pd.DataFrame)
    assert list(found.matrix.columns) == [*OPERATORS, "shape", "scale", "rate"]
    assert list(found.information.index) == list(found.parameters)


def test_refusals() -> None:
    with pytest.raises(InputError, match="split must be one of additive, conditional, got 'half'"):
        fisher(linear(), split="half")
    with pytest.raises(InputError, match="Did you mean 'cHW'"):
        fisher(linear(), {"chw": 1.0})
    with pytest.raises(InputError, match="one point of finite numbers"):
        fisher(linear(), [[0.0, 0.0]])
