"""Calibration: the congruence meets its target, keeps r = 1 at the SM, and is the nearest to the identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from smeft_unbinned import InputError
from smeft_unbinned.estimators.calibration import transformation

seeds = st.integers(0, 2**31)


def mean_form(rng: np.random.Generator, n: int, units: np.ndarray) -> np.ndarray:
    """The mean of random squares, one at the SM."""
    f = rng.normal(size=(20, n + 1, n + 1))
    f[:, :, 0] = np.eye(n + 1)[0]
    return (f.swapaxes(1, 2) @ f).mean(axis=0) * np.outer([1, *units], [1, *units])


@given(seeds, st.integers(1, 6))
def test_the_target_is_met_and_the_sm_kept(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    units = 10.0 ** rng.uniform(-3, 3, n)
    mean, target = mean_form(rng, n, units), mean_form(rng, n, units)
    s = transformation(mean, target)
    size = np.sqrt(np.diag(target))
    np.testing.assert_allclose(
        (s.T @ mean @ s) / np.outer(size, size), target / np.outer(size, size), atol=1e-8
    )
    np.testing.assert_array_equal(s[:, 0], np.eye(n + 1)[0])


@given(seeds, st.integers(1, 6))
def test_nothing_is_done_where_nothing_is_needed(seed: int, n: int) -> None:
    mean = mean_form(np.random.default_rng(seed), n, np.ones(n))
    np.testing.assert_allclose(transformation(mean, mean), np.eye(n + 1), atol=1e-7)


def test_one_coefficient_is_a_shift_and_a_factor() -> None:
    m, l, c, d = 0.3, 0.5, 2.0, 8.0  # noqa: E741 (the names of the derivation)
    s = transformation(np.array([[1, m], [m, c + m * m]]), np.array([[1, l], [l, d + l * l]]))
    np.testing.assert_allclose(s, [[1, l - 2 * m], [0, 2]], atol=1e-12)


def test_it_is_the_optimal_map_between_gaussians() -> None:
    rng = np.random.default_rng(4)
    a, b = (mean_form(rng, 3, np.ones(3)) for _ in range(2))
    size = np.sqrt(np.diag(b)[1:])
    c, d = ((x[1:, 1:] - np.outer(x[0, 1:], x[0, 1:])) / np.outer(size, size) for x in (a, b))
    root = sqrtm(c).real
    inverse = np.linalg.inv(root)
    expected = inverse @ sqrtm(root @ d @ root).real @ inverse
    found = transformation(a, b)[1:, 1:] * size[:, None] / size[None, :]
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_a_direction_without_effect_stays() -> None:
    mean = np.diag([1.0, 2.0, 0.0])
    s = transformation(mean, np.diag([1.0, 8.0, 0.0]))
    np.testing.assert_allclose(s, np.diag([1.0, 2.0, 1.0]), atol=1e-9)


def test_what_is_no_mean_of_squares_is_refused() -> None:
    with pytest.raises(InputError, match=r"negative eigenvalue .*check that the cross section belongs"):
        transformation(np.diag([1.0, 1.0]), np.diag([1.0, -0.5]))
