"""Inversion of weights at points: exact, over-determined, and refused by the name of what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smeft_unbinned.errors import InputError
from smeft_unbinned.events.morphing import (
    check_points,
    invert,
    monomial_matrix,
    monomial_names,
)
from smeft_unbinned.polynomial import size

NAMES = ("cHW", "cHB", "cHq3", "cHu")


def grid(n: int, scale: float = 0.1) -> np.ndarray:
    """The SM, two values of each coefficient and one point per pair: (size(n), n)."""
    eye = np.eye(n)
    pairs = [eye[i] + eye[j] for i in range(n) for j in range(i)]
    return scale * np.array([np.zeros(n), *eye, *(2 * eye), *pairs])


def forms(n: int, events: int, seed: int) -> np.ndarray:
    """Packed coefficients of random sums of squares, (events, P), with a positive constant."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(events, 2, n + 1))
    factors[:, 0, 0] = rng.uniform(0.5, 2.0, events)
    g = np.einsum("eri,erj->eij", factors, factors)
    rows, columns = np.triu_indices(n + 1)
    return g[:, rows, columns] * np.where(rows == columns, 1, 2)


def test_names_follow_the_order_of_the_monomials():
    assert monomial_names(["a", "b"]) == ["1", "a", "b", "a^2", "a*b", "b^2"]
    assert monomial_matrix(np.array([[2.0, 3.0]])).tolist() == [[1, 2, 3, 4, 6, 9]]


@settings(deadline=None)
@given(st.integers(1, 4), st.sampled_from([0.01, 0.1, 1.0, 7.0]), st.integers(0, 10**6))
def test_round_trip(n, scale, seed):
    points, q = grid(n, scale), forms(n, 5, seed)
    weights = q @ monomial_matrix(points).T
    ratio, sm, report = invert(NAMES[:n], points, weights)
    assert np.array_equal(sm, q[:, 0])  # the weight at the SM, untouched
    assert np.all(ratio.constant == 1.0)
    units = monomial_matrix(np.full((1, n), scale))[0]
    np.testing.assert_allclose(ratio.coefficients * units, q / q[:, :1] * units, atol=1e-10, rtol=1e-9)
    assert report.rank == report.monomials == size(n)
    assert report.condition < 200  # whatever the units
    assert report.smallest_eigenvalue > -1e-7 / scale**2
    assert report.dropped == 0


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 10**6), st.booleans())
def test_round_trip_over_determined_with_and_without_the_sm(n, seed, with_sm):
    rng = np.random.default_rng(seed)
    points = np.concatenate([np.zeros((int(with_sm), n)), rng.normal(size=(3 * size(n), n))])
    q = forms(n, 4, seed)
    ratio, sm, report = invert(NAMES[:n], points, q @ monomial_matrix(points).T)
    np.testing.assert_allclose(sm, q[:, 0], rtol=1e-8)
    np.testing.assert_allclose(ratio.coefficients, q / q[:, :1], atol=1e-8 * np.max(q / q[:, :1]))
    assert np.all(ratio.constant == 1.0)
    assert report.points == len(points)


def test_residual_tells_weights_that_are_not_quadratic():
    points = np.linspace(0.0, 1.0, 6)[:, None]
    _, _, report = invert(["cHW"], points, np.exp(points.T))
    assert 1e-3 < report.residual < 0.1


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (grid(2)[:3], r"cHW from cHW\^2, cHB from cHB\^2; they never switch on cHW\*cHB\."),
        (grid(2)[:5], r"determine only 5 of the 6 monomials in 2 operators: they never switch on cHW\*cHB"),
        (grid(2) * [1, 0], "are the same"),
        (np.array([[0.0, 0], [1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]), "cannot separate cHW from cHB"),
        (np.array([[1.0, 0], [2, 0], [0, 1], [0, 2], [1, 1]]), "determine only 5 of the 6"),
        (np.array([[0.0, 0], [np.nan, 1]]), "point 1 is not finite"),
        (np.zeros((4, 3)), r"shape \(B, 2\)"),
        (np.zeros(2), r"shape \(B, 2\)"),
        (np.zeros((0, 2)), "determine only 0 of the 6"),
    ],
)
def test_points_refused(points, says):
    with pytest.raises(InputError, match=says):
        check_points(NAMES[:2], points)


def test_never_varied_operator_is_named():
    points = np.array([[0.0, 0], [1, 0], [2, 0]])
    with pytest.raises(InputError, match=r"never switch on cHB, cHW\*cHB, cHB\^2"):
        check_points(NAMES[:2], points)


def test_no_operators():
    with pytest.raises(InputError, match="at least one operator"):
        check_points([], np.zeros((1, 0)))


def test_point_twice_is_named():
    with pytest.raises(InputError, match=r"points 1 and 6 are the same, \(cHW = 0\.1\)"):
        check_points(NAMES[:2], np.concatenate([grid(2), grid(2)[1:2]]))


def test_weights_refused():
    points = grid(1)
    weights = np.ones((5, 3))
    weights[3, 1] = np.nan
    with pytest.raises(InputError, match="event 3: weight 'w1' is nan"):
        invert(["cHW"], points, weights, labels=["w0", "w1", "w2"])
    with pytest.raises(InputError, match="do not fit 3 points"):
        invert(["cHW"], points, np.ones((5, 4)))
    with pytest.raises(InputError, match="no events"):
        invert(["cHW"], points, np.ones((0, 3)))


def test_non_positive_by_choice():
    points, q = grid(1), forms(1, 4, 0)
    weights = q @ monomial_matrix(points).T
    weights[1] *= -1
    weights[2] = 0
    with pytest.raises(
        InputError, match="2 of 4 events have an SM weight that is not positive, first event 1"
    ):
        invert(["cHW"], points, weights)
    ratio, sm, report = invert(["cHW"], points, weights, non_positive="drop")
    assert report.kept.tolist() == [True, False, False, True]
    assert (report.dropped, len(sm), len(ratio)) == (2, 2, 2)
    with pytest.raises(InputError, match="'error' or 'drop'"):
        invert(["cHW"], points, weights, non_positive="keep")
    with pytest.raises(InputError, match="4 of 4"):
        invert(["cHW"], points, -np.abs(weights), non_positive="drop")
