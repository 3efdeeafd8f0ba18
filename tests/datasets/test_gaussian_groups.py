"""Measurements within a GaussianDataset: their chi2, other data for all, and faults named by point."""

from __future__ import annotations

import numpy as np
import pytest

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.errors import InputError
from smeft_unbinned.polynomial import Polynomial, size

OPERATORS = ("OpW", "OpB")
GROUPS = (("A", slice(0, 3)), ("B", slice(3, 4)), ("C", slice(4, 7)))


def make(nuisances: bool = False, seed: int = 1, **more: object) -> GaussianDataset:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(7, 9))
    units = 10.0 ** rng.uniform(-4, 4, size=7)
    theory = Polynomial(OPERATORS, rng.normal(size=(7, size(2))) * units[:, None])
    shifts = {"lumi": rng.normal(size=7) * units} if nuisances else {}
    covariance = a @ a.T * np.outer(units, units)
    arguments = {"groups": GROUPS, "nuisances": shifts, **more}
    return GaussianDataset("toy", rng.normal(size=7) * units, theory, covariance, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("nuisances", [False, True])
def test_chi2_by_group_is_the_sum_over_its_points(nuisances: bool) -> None:
    d = make(nuisances)
    c = np.random.default_rng(2).normal(size=(3, 4, 2 + nuisances))
    parts = d.chi2_by_group(c)
    assert tuple(parts) == ("A", "B", "C")
    np.testing.assert_allclose(sum(parts.values()), d.chi2(c), rtol=1e-10)
    difference = d.data - d.theory.evaluate(c[1, 2, :2])
    if nuisances:
        difference = difference - c[1, 2, 2] * d.shifts[0]
    pulled = np.linalg.solve(d.covariance, difference)
    for name, place in GROUPS:
        assert parts[name].shape == (3, 4)
        assert parts[name][1, 2] == pytest.approx(difference[place] @ pulled[place], rel=1e-8)


def test_chi2_by_group_in_jax(x64: None) -> None:
    import jax

    d, c = make(), np.array([0.3, -0.2])
    traced = jax.jit(d.chi2_by_group)(c)
    for name, value in d.chi2_by_group(c).items():
        assert float(traced[name]) == pytest.approx(float(value), rel=1e-10)


def test_groups_default_to_one_and_survive_a_change_of_basis() -> None:
    assert make(groups=None).groups == (("toy", slice(0, 7)),)
    d = make()
    other = d.in_basis("warsaw").in_basis("smefit")
    assert other.groups == d.groups == GROUPS
    assert d.replace(data=np.zeros(7)).groups == GROUPS


@pytest.mark.parametrize(
    "groups",
    [
        [("A", slice(0, 3))],
        [("A", slice(0, 3)), ("A", slice(3, 7))],
        [("A", slice(0, 3)), ("B", slice(4, 7))],
        [("A", slice(3, 7)), ("B", slice(0, 3))],
    ],
)
def test_groups_that_do_not_cover_the_points(groups: list[tuple[str, slice]]) -> None:
    with pytest.raises(InputError, match="cover the 7 points in order"):
        make(groups=groups)


def test_replaced_data_are_as_if_given_from_the_start() -> None:
    d, data = make(True, sampling_covariance=np.eye(7)), np.arange(7.0)
    new = d.replace(data=data)
    fresh = GaussianDataset(
        "toy", data, d.theory, d.covariance, nuisances={"lumi": d.shifts[0]}, metadata=d.metadata
    )
    c = np.random.default_rng(3).normal(size=(5, 3))
    np.testing.assert_allclose(new.m2logl(c), fresh.m2logl(c), rtol=1e-12)
    np.testing.assert_allclose(new.gradient(c), fresh.gradient(c), rtol=1e-12)
    np.testing.assert_array_equal(new.sampling_covariance, np.eye(7))
    before = d.chi2(c)
    new.metadata["x"] = data[:] = 3.0
    assert "x" not in d.metadata
    assert new.data[1] == 1.0
    np.testing.assert_array_equal(d.chi2(c), before)
    with pytest.raises(InputError, match=r"must have shape \(7,\), got \(6,\)"):
        d.replace(data=np.zeros(6))
    with pytest.raises(InputError, match=r"non-finite entry at \(4,\), point C\[0\]"):
        d.replace(data=np.array([0, 0, 0, 0, np.nan, 0, 0]))


def test_asimov_data_have_chi2_zero_where_they_are_made() -> None:
    d = make(True)
    c = {"OpW": 0.4, "lumi": -1.2}
    new = d.asimov(c)
    np.testing.assert_allclose(new.data, d.theory.evaluate([0.4, 0.0]) - 1.2 * d.shifts[0])
    assert new.chi2(c) == pytest.approx(0.0, abs=1e-18)
    np.testing.assert_allclose(new.gradient(c), 0.0, atol=1e-9)


def test_pseudo_data_have_the_moments_of_the_likelihood() -> None:
    d, c = make(True), {"OpW": 0.4, "lumi": 0.5}
    rng = np.random.default_rng(4)
    sample = np.array([d.pseudo(rng, c).data for _ in range(4000)])
    scale = np.sqrt(np.diag(d.covariance))
    np.testing.assert_allclose(sample.mean(0) / scale, d.prediction(c) / scale, atol=4.5 / 4000**0.5)
    correlation = np.cov(sample.T) / np.outer(scale, scale)
    expected = d.covariance / np.outer(scale, scale)
    np.testing.assert_allclose(correlation, expected, atol=4.5 * (2 / 4000) ** 0.5)
    a, b = (d.pseudo(np.random.default_rng(7), c) for _ in range(2))
    np.testing.assert_array_equal(a.data, b.data)
    np.testing.assert_array_equal(a.covariance, d.covariance)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.diag([1, 1, 1, 1, 0, 1, 0.0]), r"no uncertainty at C\[0\], C\[2\] \(counted from 0\)"),
        (np.diag([1, 1, 1, -1, 1, 1, 1.0]), r"no uncertainty or a negative variance at B\[0\]"),
        (
            np.diag([1, 0, 1, 1, 1, 0, 1.0]) + np.outer(*2 * [[0, 2, 0, 0, 0, 3, 0]]),
            r"A\[1\], C\[1\] \(counted from 0\) are fully correlated",
        ),
        (np.eye(7) + np.eye(7, k=3), r"not symmetric, between A\[0\], B\[0\]"),
    ],
)
def test_a_singular_covariance_names_the_points(covariance: np.ndarray, message: str) -> None:
    d = make()
    with pytest.raises(InputError, match=message):
        GaussianDataset("toy", d.data, d.theory, covariance, groups=GROUPS)
