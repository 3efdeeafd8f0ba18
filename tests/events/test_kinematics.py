"""Kinematic functions against values worked out by hand, and their symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smeft_unbinned.events import kinematics as kin

P = np.array([3.0, 4.0, 12.0, 14.0])
MOMENTA = st.tuples(
    st.floats(1, 500), st.floats(-3, 3), st.floats(-np.pi, np.pi), st.floats(0, 200)
)  # pt, rapidity, phi, mass


def momentum(pt: float, y: float, phi: float, m: float) -> np.ndarray:
    mt = np.hypot(pt, m)
    return np.array([pt * np.cos(phi), pt * np.sin(phi), mt * np.sinh(y), mt * np.cosh(y)])


def test_by_hand():
    assert kin.pt(P) == 5.0
    assert kin.phi(P) == pytest.approx(np.arctan2(4, 3))
    assert kin.mass(P) == pytest.approx(np.sqrt(196 - 169))
    assert kin.rapidity(P) == pytest.approx(0.5 * np.log(26 / 2))
    assert kin.eta(P) == pytest.approx(-np.log(np.tan(0.5 * np.arccos(12 / 13))))
    assert kin.energy(P) == 14.0


def test_pairs_by_hand():
    a = momentum(50.0, 2.0, 3.0, 0.0)
    b = momentum(40.0, -1.0, -3.0, 0.0)
    assert kin.delta_eta(a, b) == pytest.approx(3.0)
    assert kin.delta_phi(a, b) == pytest.approx(6.0 - 2 * np.pi)
    assert kin.delta_r(a, b) == pytest.approx(np.hypot(3.0, 2 * np.pi - 6.0))


def test_along_the_beam_and_spacelike():
    beam = np.array([0.0, 0.0, -5.0, 5.0])
    assert kin.eta(beam) == -np.inf
    assert kin.rapidity(beam) == -np.inf
    assert kin.mass(np.array([3.0, 0.0, 0.0, 2.999999])) == 0.0


def test_wrap_ends():
    assert kin.wrap(np.array([np.pi, -np.pi, 3 * np.pi])) == pytest.approx(np.pi)


@given(MOMENTA, MOMENTA)
def test_recovers_and_symmetries(first, second):
    a, b = momentum(*first), momentum(*second)
    assert kin.pt(a) == pytest.approx(first[0])
    assert kin.rapidity(a) == pytest.approx(first[1], abs=1e-6)
    assert kin.mass(a) == pytest.approx(first[3], abs=1e-2)
    angle = kin.delta_phi(a, b)
    assert -np.pi < angle <= np.pi
    if abs(first[1] - second[1]) > 1e-6 and abs(angle) < 3.14:
        assert kin.delta_phi(b, a) == pytest.approx(angle)
        mirror = np.array([1, -1, 1, 1])  # a reflection flips CP-odd angles and nothing else
        assert kin.delta_phi(a * mirror, b * mirror) == pytest.approx(-angle)
    assert kin.delta_r(a, b) == pytest.approx(kin.delta_r(b, a))


def test_leading_dimensions_are_free():
    p = np.stack([np.stack([P, 2 * P]), np.stack([3 * P, 4 * P])])
    assert kin.pt(p).tolist() == [[5, 10], [15, 20]]
    assert kin.delta_r(p, p[::-1]).shape == (2, 2)
