"""Amplitudes of t tbar: gauge invariance, closed forms and symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from smeft_unbinned.polynomial import Polynomial
from smeft_unbinned.processes import ttbar_amplitudes as amplitudes
from smeft_unbinned.processes import ttbar_rates as tr
from smeft_unbinned.processes.densities import LesHouches, strong_coupling
from smeft_unbinned.processes.ttbar_couplings import CHANNELS, MT, OPERATORS
from smeft_unbinned.processes.vh_kernels import PICOBARN
from smeft_unbinned.processes.vh_kinematics import boost

X, Y = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])


def momenta(n: int = 400, boosted: bool = True) -> list[np.ndarray]:
    """Momenta of gluons, t and tbar, with an azimuth and, where asked for, a boost and a turned axis."""
    rng = np.random.default_rng(4)
    m, cos, phi = rng.uniform(346.0, 3000.0, n), rng.uniform(-1.0, 1.0, n), rng.uniform(-np.pi, np.pi, n)
    p = [part.copy() for part in tr.momenta(m, cos)]
    for part in p:
        x = part[:, 1].copy()
        part[:, 1], part[:, 2] = x * np.cos(phi), x * np.sin(phi)
    return [boost(part, np.tile([0.3, -0.2, 0.5], (n, 1))) for part in p] if boosted else p


def polarisations(k1: np.ndarray, k2: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
    """Two transverse vectors orthogonal to both gluons, in the boosted frame."""
    n = len(k1)
    return [boost(np.tile(axis, (n, 1)), np.tile(v, (n, 1))) for axis in (X, Y)]


@pytest.mark.parametrize("boosted", [False, True])
def test_gauge_invariance(boosted: bool) -> None:
    k1, k2, top, antitop = momenta(boosted=boosted)
    v = np.array([0.3, -0.2, 0.5]) if boosted else np.zeros(3)
    vectors = polarisations(k1, k2, v)
    size = [np.abs(amplitudes.gluons(k1, k2, top, antitop, a, b, MT)) ** 2 for a in vectors for b in vectors]
    scale = np.sqrt(np.sum(size, axis=0).sum(axis=(1, 3, 4)))  # (3, N)
    units1, units2 = k1 / k1[:, :1], k2 / k2[:, :1]
    for e1, e2 in [(units1, b) for b in vectors] + [(a, units2) for a in vectors] + [(units1, units2)]:
        value = np.abs(amplitudes.gluons(k1, k2, top, antitop, e1, e2, MT)).max(axis=(1, 3, 4))
        assert np.max(value / scale) < (1e-14 if not boosted else 1e-13)


def test_the_contact_term_is_needed() -> None:
    """Without its two-gluon vertex the dipole would fail the test above by many orders of magnitude."""
    k1, k2, top, antitop = momenta(boosted=False)
    vectors = polarisations(k1, k2, np.zeros(3))
    full = amplitudes.gluons(k1, k2, top, antitop, k1 / k1[:, :1], vectors[0], MT)
    a, b = amplitudes.slash(k1 / k1[:, :1]), amplitudes.slash(vectors[0])
    contact = amplitudes.u_bar(top, MT) @ (a @ b - b @ a) @ amplitudes.v_spinor(antitop, MT)
    assert np.max(np.abs(full[1])) < 1e-6 * np.max(np.abs(contact))


@pytest.mark.parametrize("mass", [0.0, MT])
def test_spinor_sums(mass: float) -> None:
    _, _, top, _ = momenta(20)
    p = top.copy()
    p[:, 0] = np.sqrt(mass**2 + np.sum(p[:, 1:] ** 2, axis=1))
    ubar, v = amplitudes.u_bar(p, mass), amplitudes.v_spinor(p, mass)
    gamma0 = amplitudes.GAMMA[0]
    u = gamma0 @ np.swapaxes(ubar.conj(), 1, 2)
    vbar = np.swapaxes(v.conj(), 1, 2) @ gamma0
    slash, unit = amplitudes.slash(p), mass * np.eye(4)
    np.testing.assert_allclose(u @ ubar, slash + unit, atol=1e-9)
    np.testing.assert_allclose(v @ vbar, slash - unit, atol=1e-9)


def test_standard_model_equals_closed_forms() -> None:
    """Gluons: Combridge, Nucl. Phys. B151 (1979) 429; quarks: 4/9 (t1^2 + u1^2 + 2 m^2 s)/s^2."""
    rng = np.random.default_rng(1)
    m, cos = rng.uniform(346.0, 4000.0, 500), rng.uniform(-1.0, 1.0, 500)
    density, q2 = LesHouches(), np.full(500, MT**2)
    gluons, quarks = tr.products(m, cos, q2, density)
    s, beta = m**2, tr.velocity(m)
    t1, u1 = 0.5 * s * (1.0 - beta * cos), 0.5 * s * (1.0 + beta * cos)
    g4 = (4.0 * np.pi * strong_coupling(density, q2)) ** 2
    factor = g4 * PICOBARN * beta / (32.0 * np.pi * s)
    bracket = t1**2 + u1**2 + 4.0 * MT**2 * s - 4.0 * MT**4 * s**2 / (t1 * u1)
    closed = (1.0 / (6.0 * t1 * u1) - 3.0 / (8.0 * s**2)) * bracket
    np.testing.assert_allclose(gluons[0], factor * closed, rtol=2e-13)
    closed = 4.0 / 9.0 * (t1**2 + u1**2 + 2.0 * MT**2 * s) / s**2
    np.testing.assert_allclose(quarks[:, 0].sum(axis=0), factor * closed, rtol=1e-13)
    inside = {"energy": 13_000.0, "density": density, "scale": "m_t"}
    y = rng.uniform(-0.5, 0.5, 500)
    full = tr.rates(m, y, cos, operators=(), **inside)[:, 0]
    np.testing.assert_allclose(tr.sm_rate(m, y, cos, **inside), full, rtol=2e-13)


def test_four_quark_terms_equal_closed_forms() -> None:
    """|A|^2 of a contact term: s^2 (1 +- beta cos)^2 for t_L with a left- (right-) handed quark."""
    rng = np.random.default_rng(2)
    m, cos = rng.uniform(346.0, 4000.0, 200), rng.uniform(-1.0, 1.0, 200)
    for chirality in (0, 1):
        left, right, _, _ = amplitudes.quarks(*tr.momenta(m, cos), MT, chirality)
        for part, sign in ((left, 1.0), (right, -1.0)):
            sign = sign if chirality == 0 else -sign
            closed = m**4 * (1.0 + sign * tr.velocity(m) * cos) ** 2
            np.testing.assert_allclose((np.abs(part) ** 2).sum(axis=(1, 2)), closed, rtol=1e-11, atol=1e-3)
        mixed = (left * right.conj()).real.sum(axis=(1, 2))
        np.testing.assert_allclose(mixed, 4.0 * MT**2 * m**2, rtol=1e-11)


def test_exchange_of_quark_and_antiquark() -> None:
    m, cos = np.array([350.0, 500.0, 2000.0]), np.array([0.2, -0.7, 0.99])
    q2, density = np.full(3, MT**2), LesHouches()
    gluons, quarks = tr.products(m, cos, q2, density)
    mirrored_gluons, mirrored = tr.products(m, -cos, q2, density)
    scale = np.abs(quarks).max(axis=(0, 2))[None, :, None]
    scale = np.where(scale > 0.0, scale, 1.0)
    np.testing.assert_allclose(mirrored / scale, quarks[::-1] / scale, atol=1e-14)
    np.testing.assert_allclose(mirrored_gluons[[0, 1, 3, 5]], gluons[[0, 1, 3, 5]], rtol=1e-12)


def test_interference_pattern() -> None:
    """Singlets do not interfere with gluon exchange, and the CP-odd dipole with nothing that is even."""
    matrix = tr.rates(
        np.array([700.0]), np.array([0.3]), np.array([0.4]), energy=13_000.0, operators=OPERATORS,
        density=LesHouches(), scale="m_t",
    )  # fmt: skip
    g = np.asarray(Polynomial(OPERATORS, matrix).matrix())[0]
    place = {name: 1 + i for i, name in enumerate(OPERATORS)}
    unit = np.sqrt(np.outer(np.diag(g), np.diag(g)))
    for name in OPERATORS:
        assert g[place[name], place[name]] > 0.0
        if name.endswith("1") and name != "cQq81":
            assert g[0, place[name]] == 0.0
        if name != "ctGI":
            assert abs(g[place["ctGI"], place[name]]) < 1e-14 * unit[place["ctGI"], place[name]]
    assert abs(g[0, place["ctGI"]]) < 1e-14 * unit[0, place["ctGI"]]
    assert g[place["cQu8"], place["cQd8"]] == 0.0  # different initial states
    assert g[place["cQu8"], place["ctu8"]] != 0.0  # opposite chiralities of a massive top
    assert len(CHANNELS) == 6
